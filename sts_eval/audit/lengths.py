"""What the mean score of a longer recording is worth beside that of one window.

    ln LR(s, n) = (slope s + offset) gain(n),  gain(n) = 1 / (correlation + (1 - correlation) / n)

s is the mean of the scores of the windows, n how many windows fit side by side into what was scored
(overlapping ones hear the same seconds twice and count once). Windows of one recording share a
voice, an attack, a room and a channel: of the variance of one window's score within a class,
`correlation` is common to all windows of a recording, and only the rest is averaged away, as in the
design effect of cluster samples (Kish, Survey sampling, 1965). For normal scores of equal variance
the equation is exact: the ratio is linear in s, its slope the distance of the classes over the
variance. correlation 1: nothing is gained; 0: windows are independent.

The correlation is fitted on recordings of real length, together with slope and offset
(`length_fit`). Limits of the ratio and counts of what misled are of each length apart, and hold
from it on to the next; beyond the longest no more is gained.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator


class Misleading(BaseModel):
    """Of n validation trials, the shares with 2:1 (weak), 10:1 (decisive) for what they are not."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    n: int = Field(gt=0)
    weak: float = Field(ge=0, le=1)
    decisive: float = Field(ge=0, le=1)


class AtLength(BaseModel):
    """From `windows` on: the limits of ln LR, and what misled (see `Calibration`).

    cllr_after: bits, of held-out voices; None where there were too few to hold any out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    windows: float = Field(gt=1)
    lower: float = Field(le=0)
    upper: float = Field(ge=0)
    n_bonafide: int
    n_spoof: int
    cllr_after: float | None
    cllr_min: float
    misleading: dict[str, Misleading] | None = None


class Lengths(BaseModel):
    """What a calibration of one window (schema 1) lacks for longer recordings.

    at: of more than one window, ascending; for less holds what the calibration has for one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    correlation: float = Field(ge=0, le=1)
    at: tuple[AtLength, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        windows = [each.windows for each in self.at]
        if sorted({1.0, *windows}) != [1.0, *windows]:
            raise ValueError(f"lengths must ascend from more than 1 window, not {windows}")
        return self

    def gain(self, windows: ArrayLike) -> NDArray[np.float64]:
        """[n] factor of the ratio of one window; what is shorter than a window counts as one."""
        return gain(np.clip(windows, 1.0, self.at[-1].windows), self.correlation)

    def rows(self, windows: ArrayLike) -> NDArray[np.int64]:
        """[n] which of `at` holds, counted from 1; 0: what holds for one window."""
        starts = [each.windows for each in self.at]
        found = np.searchsorted(starts, np.asarray(windows, np.float64) + 1e-6, side="right")
        return np.asarray(found, np.int64)


def gain(windows: ArrayLike, correlation: float) -> NDArray[np.float64]:
    """[n] variance of one window over that of the mean of so many (see the module)."""
    n = np.asarray(windows, np.float64)
    return np.asarray(1 / (correlation + (1 - correlation) / n))
