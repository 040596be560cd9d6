"""The clock of the reference core: every rate and size, derived by exact division.

24 kHz mono audio; a token frame is 1920 samples = 80 ms (12.5 frames a second); a spectral hop is
240 samples = 10 ms, so that a token frame holds exactly eight hops.
"""

from __future__ import annotations


def exact_div(numerator: int, denominator: int) -> int:
    """The quotient of two integers that must divide exactly.

    Raises:
        ValueError: the division leaves a remainder.
    """
    quotient, remainder = divmod(numerator, denominator)
    if remainder:
        raise ValueError(f"{numerator} is not a multiple of {denominator}")
    return quotient


SAMPLE_RATE_HZ = 24_000
FRAME_SAMPLES = 1_920
FRAME_RATE_HZ = 12.5
FRAME_MS = exact_div(1_000 * FRAME_SAMPLES, SAMPLE_RATE_HZ)
HOP_SAMPLES = 240
HOP_RATE_HZ = exact_div(SAMPLE_RATE_HZ, HOP_SAMPLES)
HOPS_PER_FRAME = exact_div(FRAME_SAMPLES, HOP_SAMPLES)


def frames_of(samples: int) -> int:
    """Number of 80 ms frames that hold `samples` samples, the last one padded."""
    return -(-samples // FRAME_SAMPLES)
