"""The cluster bootstrap: draw whole clusters with replacement, recompute, look at the spread.

Intervals are percentile intervals widened for small numbers of clusters C (Hesterberg, The American
Statistician 2015, "expanded percentile interval"): the tail is Phi(-sqrt(C/(C-1)) t[C-1]) instead
of 2.5 %, which gives the normal mean the width of Student's interval. Below MIN_CLUSTERS the draws
take too few distinct values for percentiles, and the same standard error goes into Student's
interval directly. p-values invert the interval, so that p < 0.025 and "the bound lies outside"
agree; where a bound lies beyond nearly all draws, the tail is continued with the normal curve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sts_eval.stats.proportions import ALPHA, Bounds
from sts_eval.stats.sample import FloatArray, IntArray

RESAMPLES = 4000
MIN_CLUSTERS = 5
_BLOCK_VALUES = 2_000_000  # numbers held at once while resampling
_TAIL_DRAWS = 10  # fewer draws than this beyond a bound are too few to count


def weights(
    rng: np.random.Generator, clusters: int, columns: int, resamples: int = RESAMPLES
) -> Iterator[IntArray]:
    """Blocks [b, C] of how often each cluster was drawn; b x columns stays in memory bounds."""
    block = max(1, _BLOCK_VALUES // max(clusters, columns, 1))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        yield rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=rows)


def resample(
    rng: np.random.Generator,
    clusters: int,
    statistic: Callable[[IntArray], FloatArray],
    columns: int = 1,
) -> FloatArray:
    """[RESAMPLES] values of `statistic`, which maps weights [b, C] to [b]."""
    return np.concatenate([statistic(block) for block in weights(rng, clusters, columns)])


def weighted_mean(weight: IntArray, sums: FloatArray, sizes: IntArray) -> FloatArray:
    """[b] mean over all observations of the drawn clusters (pool sums, divide once)."""
    means: FloatArray = (weight @ sums) / (weight @ sizes.astype(np.float64))
    return means


def weighted_quantile(
    weight: IntArray, ordered: FloatArray, owner: IntArray, q: float
) -> FloatArray:
    """[b] q-quantile of the drawn observations, linear between order statistics.

    ordered: [n] sorted values; owner: [n] the cluster of each.
    """
    total = np.cumsum(weight[:, owner], axis=1)  # [b, n] drawn observations up to each value
    position = (total[:, -1] - 1) * q
    low = np.floor(position)
    first = ordered[_index_of(total, low)]
    second = ordered[_index_of(total, np.ceil(position))]
    between: FloatArray = first + (position - low) * (second - first)
    return between


def _index_of(total: IntArray, rank: FloatArray) -> IntArray:
    """[b] index of the order statistic with this 0-based rank, repeats counted."""
    index: IntArray = np.sum(total <= rank[:, None], axis=1)
    return index


@dataclass(frozen=True)
class Resampled:
    """A statistic with its bootstrap draws over `clusters` clusters (at least 2)."""

    point: float
    draws: FloatArray
    clusters: int

    @property
    def _expansion(self) -> float:
        return float(np.sqrt(self.clusters / (self.clusters - 1)))

    @cached_property
    def spread(self) -> float:
        """Standard deviation of the draws; exactly 0 when they do not differ."""
        if float(np.ptp(self.draws)) <= 1e-12 * max(1.0, abs(self.point)):
            return 0.0
        return float(np.std(self.draws))

    @property
    def standard_error(self) -> float:
        """Standard deviation of the draws, free of the bootstrap's small-sample shrinkage."""
        return self.spread * self._expansion

    def bounds(self) -> Bounds:
        """The two-sided 95 % interval; always holds the point estimate."""
        from scipy.special import ndtr, stdtrit

        t = float(stdtrit(self.clusters - 1, 1 - ALPHA / 2))
        if self.spread == 0 or self.clusters < MIN_CLUSTERS:
            half = t * self.standard_error
            return Bounds(self.point - half, self.point + half)
        tail = float(ndtr(-self._expansion * t))
        lo, hi = np.quantile(self.draws, [tail, 1 - tail])
        return Bounds(min(float(lo), self.point), max(float(hi), self.point))

    def p_at_most(self, bound: float) -> float:
        """p-value of "the quantity is at most bound" (small when it is clearly above)."""
        return self._p(float(np.mean(self.draws <= bound)), bound - self.point)

    def p_at_least(self, bound: float) -> float:
        """p-value of "the quantity is at least bound" (small when it is clearly below)."""
        return self._p(float(np.mean(self.draws >= bound)), self.point - bound)

    def p_zero(self) -> float:
        """Two-sided p-value of "the quantity is 0"."""
        return min(1.0, 2 * min(self.p_at_most(0.0), self.p_at_least(0.0)))

    def _p(self, share: float, distance: float) -> float:
        """share: of the draws on the side of the hypothesis; distance: how far it lies inside."""
        from scipy.special import ndtri, stdtr

        if self.spread == 0:  # every cluster says the same: the sign test
            return 1.0 if distance >= -1e-9 * max(1.0, abs(self.point)) else 0.5**self.clusters
        z = distance / self.spread
        if self.clusters >= MIN_CLUSTERS:
            edge = _TAIL_DRAWS / len(self.draws)
            if share >= 1 - edge:
                z = max(z, float(ndtri(1 - edge)))
            elif share >= edge:
                z = float(ndtri(share))
            else:
                z = min(z, float(ndtri(edge)))
        return float(stdtr(self.clusters - 1, z / self._expansion))
