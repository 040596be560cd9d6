"""Differences between two runs whose scenarios are not the same: other seeds, other suites' picks.

Each run is taken whole; the difference is the new run's estimate - the old run's.

- mean, quantile on the same clusters (two runs with the same voices): whole clusters are drawn, in
  both runs at once, as `paired` draws them, so that what a voice does to both runs cancels.
- all else (rates, other clusters, pooled quantities): the intervals [l, u] of the two estimates v,
  put together by squares of their arms (Zou and Donner, Statistics in Medicine 27, 2008; of two
  Wilson intervals it is method 10 of Newcombe, Statistics in Medicine 17, 1998),

      lo = d - sqrt((v_new - l_new)^2 + (u_old - v_old)^2),    d = v_new - v_old
      hi = d + sqrt((u_new - v_new)^2 + (v_old - l_old)^2)

  which takes the runs as independent: where they share voices or utterances, it is too wide rather
  than too narrow. z is taken as linear from d to either bound, so that p < 0.05 and "0 lies
  outside" agree; a p-value far below that is a rough one.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from sts_eval.observation import Estimate
from sts_eval.stats.bootstrap import MIN_CLUSTERS
from sts_eval.stats.paired import Difference, Pairing, detectable_from, difference
from sts_eval.stats.proportions import Bounds, Z
from sts_eval.stats.quantiles import parse_quantile
from sts_eval.stats.sample import Sample

_NOTHING = Bounds(None, None)


def unpaired_difference(
    old: Sample, new: Sample, before: Estimate, after: Estimate, *, seed: int, name: str
) -> Difference:
    """The difference of one statistic of two samples, new - old; before, after: its estimates."""
    statistic = after.statistic
    bootstraps = statistic == "mean" or parse_quantile(statistic) is not None
    if bootstraps and old.n and old.labels == new.labels and new.n_clusters > 1:
        if before.value is None or after.value is None:  # from so few no number is given
            return difference_of_estimates(before, after)
        both = Pairing(old, new, tuple(sorted({*old.scenario, *new.scenario})), (), ())
        found = difference(both, statistic, seed=seed, name=name)
        if found.draws is None:
            return found
        student = found.draws.clusters < MIN_CLUSTERS
        method = "Student, between clusters" if student else "cluster bootstrap"
        return replace(found, method=f"{method} of both runs")
    return difference_of_estimates(before, after)


def difference_of_estimates(old: Estimate, new: Estimate) -> Difference:
    """The difference of two independent estimates, from their intervals (see the module)."""
    if old.value is None or new.value is None:
        side, missing = ("A", old) if old.value is None else ("B", new)
        return Difference(None, _NOTHING, "none", f"not measured in {side}: {missing.reason}")
    value = new.value - old.value
    bounds = (old.lo, old.hi, new.lo, new.hi)
    if old.lo is None or old.hi is None or new.lo is None or new.hi is None:
        side, missing = ("A", old) if None in bounds[:2] else ("B", new)
        reason = missing.reason or "no interval"
        return Difference(value, _NOTHING, "none", f"no interval in {side}: {reason}")
    below = math.hypot(new.value - new.lo, old.hi - old.value)
    above = math.hypot(new.hi - new.value, old.value - old.lo)
    clusters = max(1, min(old.n_clusters, new.n_clusters))
    return Difference(
        value,
        Bounds(value - below, value + above),
        "both intervals, by squares",
        detectable=detectable_from((below + above) / 2),
        score=partial(_score, value, below, above, clusters),
    )


def _score(value: float, below: float, above: float, clusters: int, bound: float) -> float:
    """z of "the difference is `bound`": 1.96 at either end of the interval.

    Without any width (every value of both runs is the same) the clusters' sign test.
    """
    from scipy.special import ndtri

    arm = below if value > bound else above
    if value == bound:
        return 0.0
    if arm <= 0:
        return math.copysign(-float(ndtri(0.5**clusters)), value - bound)
    return Z * (value - bound) / arm
