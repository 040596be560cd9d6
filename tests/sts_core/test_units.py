"""Derived sizes are exact, and inexact ones fail loudly."""

from __future__ import annotations

import pytest

from sts_core import units


def test_exact_division() -> None:
    assert units.exact_div(12, 4) == 3
    with pytest.raises(ValueError, match="13 is not a multiple of 4"):
        units.exact_div(13, 4)


@pytest.mark.parametrize(
    ("samples", "frames"), [(0, 0), (1, 1), (1920, 1), (1921, 2), (24_000, 13)]
)
def test_the_last_frame_is_padded(samples: int, frames: int) -> None:
    assert units.frames_of(samples) == frames


def test_the_clock() -> None:
    assert units.FRAME_MS == 80
    assert units.HOPS_PER_FRAME == 8
    assert units.SAMPLE_RATE_HZ / units.FRAME_SAMPLES == units.FRAME_RATE_HZ
