"""Intervals of pooled quantities that are no mean of one sample: whole clusters are drawn anew.

- `ratio`: sum of numerators over sum of denominators (a slope through the origin).
- `rate_difference`: between two rates on the same clusters. The clusters' bootstrap (Student's
  interval below `bootstrap.MIN_CLUSTERS`) says nothing where all clusters agree, as they do when an
  agent never or always does something. So the interval is never narrower than that of independent
  `units`: both rates' own intervals, combined (Newcombe, "Interval estimation for the difference
  between independent proportions", 1998, method 10).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sts_eval.metric import MetricSpec
from sts_eval.observation import Estimate, Status
from sts_eval.stats.bootstrap import Resampled, resample
from sts_eval.stats.proportions import Bounds, rate_bounds
from sts_eval.stats.sample import FloatArray, IntArray, generator, tidy


class Counts(NamedTuple):
    """A sum and what it is divided by, of one cluster."""

    total: float
    size: float


class PooledValue(NamedTuple):
    """A value, its 95 % interval, how it was made, and what should be known about it."""

    value: float | None
    bounds: Bounds
    method: str
    reason: str = ""


_NOTHING = Bounds(None, None)
_ONE = "all observations belong to one cluster: no interval"


def ratio(clusters: Mapping[str, Counts], *, seed: int, name: str) -> PooledValue:
    """total / size over all clusters; sizes may be any non-negative number."""
    table = _table(clusters)  # [C, 2]
    if not table.size or table[:, 1].sum() <= 0:
        return PooledValue(None, _NOTHING, "none", "nothing measured")
    value = float(table[:, 0].sum() / table[:, 1].sum())
    if len(table) == 1:
        return PooledValue(value, _NOTHING, "none", _ONE)

    def statistic(weight: IntArray) -> FloatArray:
        drawn = weight @ table  # [b, 2]
        return np.asarray(drawn[:, 0] / np.maximum(drawn[:, 1], 1e-12))

    draws = Resampled(value, resample(generator(name, seed), len(table), statistic), len(table))
    same = "all clusters give the same: chance cannot be seen in them" if draws.spread == 0 else ""
    return PooledValue(value, draws.bounds(), "cluster bootstrap", same)


def rate_difference(
    first: Mapping[str, Counts],
    second: Mapping[str, Counts],
    *,
    units: int,
    seed: int,
    name: str,
) -> PooledValue:
    """Rate of `first` minus rate of `second`, on the clusters that have both (see the module).

    Counts: events and observations. units: how many independent observations each rate is worth at
    most.
    """
    shared = sorted(set(first) & set(second))
    one, two = (_table({key: side[key] for key in shared}) for side in (first, second))
    if not shared or units < 1:
        return PooledValue(None, _NOTHING, "none", "nothing measured")
    rates = [float(side[:, 0].sum() / side[:, 1].sum()) for side in (one, two)]
    value = rates[0] - rates[1]
    if len(shared) == 1:
        return PooledValue(value, _NOTHING, "none", _ONE)

    def statistic(weight: IntArray) -> FloatArray:
        drawn = [weight @ side for side in (one, two)]
        return np.asarray(drawn[0][:, 0] / drawn[0][:, 1] - drawn[1][:, 0] / drawn[1][:, 1])

    draws = Resampled(value, resample(generator(name, seed), len(shared), statistic), len(shared))
    least = _newcombe(rates[0], rates[1], units)
    found = draws.bounds()
    lo, hi = min(found.lo or 0.0, least[0]), max(found.hi or 0.0, least[1])
    bounds = Bounds(max(-1.0, lo), min(1.0, hi))
    method = f"cluster bootstrap, at least Newcombe's interval of {units}"
    return PooledValue(value, bounds, method)


def finished(
    spec: MetricSpec,
    found: PooledValue,
    n: int,
    clusters: int,
    lost: Sequence[Status] = (),
    reason: str = "",
) -> Estimate:
    """The estimate of a pooled quantity; not measured from fewer than the metric's least.

    n: observations behind it; lost: those without a value. reason: why none has one, where known.
    """
    value, (lo, hi), why = found.value, found.bounds, found.reason
    if 0 < n < spec.min_events:
        value = lo = hi = None
        why = f"{n} measured: from fewer than {spec.min_events} no number is given"
    return Estimate(
        metric=spec.name,
        statistic=spec.statistics[0],
        value=None if value is None else tidy(value),
        lo=None if lo is None else tidy(lo),
        hi=None if hi is None else tidy(hi),
        n=n,
        n_clusters=clusters,
        n_unmeasured=sum(status is Status.UNMEASURED for status in lost),
        n_error=sum(status is Status.ERROR for status in lost),
        unit=spec.unit,
        direction=spec.direction,
        method="none" if value is None else found.method,
        version=spec.version,
        reason=(reason if value is None and reason else why),
    )


def _table(clusters: Mapping[str, Counts]) -> FloatArray:
    """[C, 2] in the order of the labels."""
    return np.array([clusters[key] for key in sorted(clusters)], np.float64).reshape(-1, 2)


def _newcombe(one: float, two: float, units: int) -> tuple[float, float]:
    """The interval of the difference of two rates of `units` observations each."""
    (low1, high1), (low2, high2) = (_rate_interval(rate, units) for rate in (one, two))
    below = math.hypot(one - low1, high2 - two)
    above = math.hypot(high1 - one, two - low2)
    return one - two - below, one - two + above


def _rate_interval(rate: float, units: int) -> tuple[float, float]:
    found = rate_bounds(round(rate * 1e6), 1_000_000, units)
    return found.lo or 0.0, 1.0 if found.hi is None else found.hi
