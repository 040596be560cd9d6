"""The units of time that every part of the harness shares.

Audio is mono float32 at 24 kHz in [-1, 1]. A frame is 80 ms = 1920 samples, so there are exactly
25/2 frames a second (the frame rate of Mimi, Moshi and of the reference core). Seconds are floats
measured from the first sample of a scenario; a frame index is called a tick.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

SAMPLE_RATE_HZ: Final = 24_000
FRAME_RATE_HZ: Final = Fraction(25, 2)


def _exact(value: Fraction) -> int:
    if value.denominator != 1:
        raise ValueError(f"{value} is not a whole number")
    return value.numerator


FRAME_SAMPLES: Final = _exact(SAMPLE_RATE_HZ / FRAME_RATE_HZ)  # 1920
FRAME_MS: Final = _exact(1000 / FRAME_RATE_HZ)  # 80
FRAME_S: Final = FRAME_MS / 1000


def seconds_to_samples(seconds: float) -> int:
    """Nearest sample index of a time in seconds."""
    return round(seconds * SAMPLE_RATE_HZ)


def frames_for(samples: int) -> int:
    """Number of whole frames that hold `samples` samples (the last one is padded)."""
    return -(-samples // FRAME_SAMPLES)
