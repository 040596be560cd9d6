"""The one door from the harness to the reference core (`sts_core`).

Everything here imports the core when it is called, so that a suite without it never loads torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sts_eval.target import MissingDependencyError, Samples, TargetError

if TYPE_CHECKING:
    from sts_core.codec.base import Codec

REFERENCE = "reference"


def load_codec(name: str = REFERENCE) -> Codec:
    """The reference codec, or encodec, dac, mimi or hf:FOLDER (extra `[hf]`).

    Raises TargetError when there is none of this name or it does not load.
    """
    from sts_core.codec.files import load_codec as load_reference
    from sts_core.codec.hf import load_hf_codec
    from sts_core.hf import MissingExtraError

    try:
        return load_reference() if name == REFERENCE else load_hf_codec(name)
    except MissingExtraError as error:
        raise MissingDependencyError(str(error)) from error
    except ValueError as error:  # CodecError, WeightsError
        raise TargetError(f"codec {name!r}: {error}") from error


def tones() -> tuple[str, ...]:
    """The tones that `apply_tone` can give to speech."""
    from sts_core.data.prosody import TONES

    return tuple(TONES)


def apply_tone(
    audio: Samples, tone: str, rng: np.random.Generator, strength: float = 1.0
) -> Samples:
    """Speech float32 [S] at 24 kHz in another tone of voice, float32 [S'] (vocoder: pyworld).

    Raises MissingDependencyError when the vocoder is not installed, ValueError on another tone.
    """
    from sts_core.data.prosody import apply_tone as transform
    from sts_core.hf import MissingExtraError

    try:
        return np.asarray(transform(audio, tone, rng, strength), np.float32)
    except (MissingExtraError, ModuleNotFoundError) as error:
        raise MissingDependencyError(str(error)) from error
