"""`codec`: repeats every turn of the user as a codec keeps it.

    codec   codec:name=mimi   codec:name=hf:FOLDER,codebooks=4

What it says has lost what the codec loses, so that any suite that listens to the agent (its voice,
its tone) measures the codec. The token half of the emotion suite reads the tokens of this codec
when it is the target.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sts_eval.audio import resample, rms_dbfs
from sts_eval.target import Emission, Samples, SessionSetup, TargetError, TargetEvent
from sts_eval.targets.core import REFERENCE, load_codec
from sts_eval.trace import silence
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

QUIET_FRAMES: Final = 9  # 720 ms end a turn
SOUND_DBFS: Final = -50.0
MOST_FRAMES: Final = 1500  # two minutes; a turn that goes on is repeated in parts


class CodecTarget:
    """Repeats what it hears through a codec.

    name: of the codec (`sts_eval.targets.core.load_codec`). codebooks: decode the first so many;
    0: all.
    """

    clock = "lockstep"
    name = "codec"

    def __init__(self, name: str = REFERENCE, codebooks: int = 0) -> None:
        self._codec_name, self._codebooks = str(name), int(codebooks)
        if self._codebooks < 0:
            raise TargetError("codec: codebooks must be at least 0")
        self._codec: Any = None

    def describe(self) -> dict[str, Any]:
        """The codec and its sizes. Raises TargetError when it cannot be loaded."""
        codec = self._loaded()
        return {
            "name": self.name,
            "codec": codec.name,
            "sample_rate_hz": codec.sample_rate_hz,
            "codebooks": self._codebooks or codec.num_codebooks,
            "codebook_size": codec.codebook_size,
        }

    def open(self, setup: SessionSetup) -> CodecSession:
        """A conversation that repeats. Raises TargetError when the codec cannot be loaded."""
        return CodecSession(self._loaded(), self._codebooks)

    def shutdown(self) -> None:
        """Forget the codec."""
        self._codec = None

    def _loaded(self) -> Any:
        if self._codec is None:
            codec = load_codec(self._codec_name)
            if self._codebooks > codec.num_codebooks:
                raise TargetError(f"codec: {codec.name} has {codec.num_codebooks} codebooks")
            self._codec = codec
        return self._codec


class CodecSession:
    """Hears turns by their sound."""

    def __init__(self, codec: Any, codebooks: int) -> None:
        self._codec, self._codebooks = codec, codebooks or None
        self._heard: list[Samples] = [silence(FRAME_SAMPLES)]  # the frame before the turn, and it
        self._quiet: int | None = None  # frames since the user was last heard; None: no turn yet

    def push(self, frame: Samples) -> Emission:
        """Hear one frame, float32 [1920]."""
        loud = rms_dbfs(frame) > SOUND_DBFS
        if self._quiet is None and not loud:
            self._heard = [frame.copy()]
            return Emission()
        self._heard.append(frame.copy())
        self._quiet = 0 if loud else (self._quiet or 0) + 1
        if self._quiet < QUIET_FRAMES and len(self._heard) < MOST_FRAMES:
            return Emission()
        turn = np.concatenate(self._heard[: len(self._heard) - self._quiet + 1])
        self._heard, self._quiet = [silence(FRAME_SAMPLES)], None
        return self._repeated(turn)

    def close(self) -> Emission:
        """What was not finished is not repeated."""
        return Emission()

    def _repeated(self, turn: Samples) -> Emission:
        import torch

        codec = self._codec
        audio = resample(turn, SAMPLE_RATE_HZ, codec.sample_rate_hz)
        codes = codec.encode(torch.from_numpy(audio)[None, None])[:, : self._codebooks]
        said = codec.decode(codes)[0, 0].cpu().numpy()
        said = resample(said.astype(np.float32), codec.sample_rate_hz, SAMPLE_RATE_HZ)
        event = TargetEvent("repeats", {"frames": int(codes.shape[-1])})
        return Emission(np.clip(said[: turn.size], -1.0, 1.0), events=(event,))
