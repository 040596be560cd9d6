"""Operating points: what every threshold accepts of every class. The ground of all error rates.

Class 0 is the one that ought to be accepted (bona fide, target); all others ought to be rejected
(spoof; or nontarget, spoof). A trial is accepted when score >= threshold, and only thresholds that
exist count: equal scores are accepted or rejected together, whatever their class, so that no rate
depends on the order of the rows. There is one operating point for each distinct score (the lowest
accepts everything) and one more, at +infinity, that rejects everything.

    miss(t)        = share of class 0 with score < t
    false_alarm(t) = share of another class with score >= t

Everything downstream works on counts `accepted` [..., C, K] (classes x operating points), integers,
with optional leading axes for resampled counts; sizes are accepted[..., :, 0].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Operating:
    """thresholds: [K], ascending, the last one +inf; accepted: [C, K] counts at each of them."""

    thresholds: FloatArray
    accepted: IntArray

    @property
    def sizes(self) -> IntArray:
        """[C] trials of each class."""
        return self.accepted[:, 0]

    @property
    def miss(self) -> FloatArray:
        """[K] share of class 0 that is rejected."""
        return miss_rate(self.accepted)

    def false_alarm(self, which: int = 1) -> FloatArray:
        """[K] share of class `which` that is accepted."""
        return accept_rate(self.accepted, which)


def operating_points(*classes: ArrayLike) -> Operating:
    """Counts at every threshold of the pooled scores, class 0 first.

    Raises ValueError when a class is empty or a score is not finite.
    """
    scores = [checked(scores, f"class {i}") for i, scores in enumerate(classes)]
    pooled, where = np.unique(np.concatenate(scores), return_inverse=True)
    owner = np.repeat(np.arange(len(scores)), [len(column) for column in scores])
    counts = np.zeros((len(scores), len(pooled)), np.int64)
    np.add.at(counts, (owner, where), 1)
    return Operating(np.append(pooled, np.inf), accepted_from(counts))


def accepted_from(counts: IntArray) -> IntArray:
    """Counts per bin [..., C, B] -> accepted from each bin on, and at +inf: [..., C, B+1]."""
    tails = np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1]
    return np.concatenate([tails, np.zeros((*counts.shape[:-1], 1), counts.dtype)], axis=-1)


def miss_rate(accepted: IntArray) -> FloatArray:
    """[..., K] share of class 0 rejected."""
    size = accepted[..., 0, :1]
    rate: FloatArray = (size - accepted[..., 0, :]) / size
    return rate


def accept_rate(accepted: IntArray, which: int) -> FloatArray:
    """[..., K] share of class `which` accepted."""
    rate: FloatArray = accepted[..., which, :] / accepted[..., which, :1]
    return rate


def checked(scores: ArrayLike, what: str) -> FloatArray:
    """[n] the scores as float64. Raises ValueError: empty, not one-dimensional, or not finite."""
    column = np.asarray(scores, np.float64)
    if column.ndim != 1:
        raise ValueError(f"{what}: scores must be one-dimensional, not {column.shape}")
    if column.size == 0:
        raise ValueError(f"{what} has no trials")
    if not np.isfinite(column).all():
        raise ValueError(f"{what} has {np.sum(~np.isfinite(column))} scores that are not finite")
    return column
