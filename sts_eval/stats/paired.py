"""Differences between two runs on the same scenarios.

Only scenarios that were measured in both runs enter; the difference is new - old. Clusters (of the
new run) are drawn with all their scenarios, in both runs at once, so that what the runs share
cancels.

- mean, quantile: bootstrap of (statistic of new) - (statistic of old). A quantile needs at least
  TAIL_VALUES effective observations beyond it; with fewer the bootstrap would only move the largest
  value about, and no interval is given (unless no scenario changed at all).
- rate with one outcome per scenario and run: Tango's score interval on the changed pairs, with the
  effective number of pairs, so that "nothing changed in n pairs" still leaves room for a change.
- rate with several outcomes per scenario: bootstrap; where no event was seen in one run, the exact
  intervals of both runs, combined, which is conservative.
- max: the value only.

Smallest detectable change: (1.96 + 0.84) standard errors, power 80 % at two-sided 5 % (Bloom,
Evaluation Review 1995), with Student's points for the number of clusters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from sts_eval.observation import Observation
from sts_eval.stats.bootstrap import Resampled, resample, weighted_mean, weighted_quantile
from sts_eval.stats.proportions import (
    ALPHA,
    Bounds,
    Discordance,
    Z,
    effective_n,
    indicator,
    rate_bounds,
    tango_bounds,
    tango_z,
)
from sts_eval.stats.quantiles import parse_quantile, quantile_n
from sts_eval.stats.sample import Sample, cluster_label, generator, in_slice, make_sample

TAIL_VALUES = 3
POWER_POINT = 0.8416212335729143  # 80 % point of the normal distribution


@dataclass(frozen=True)
class Pairing:
    """The shared scenarios of two runs: both samples on one numbering of clusters.

    only_old, only_new: scenarios measured in one run only.
    """

    old: Sample
    new: Sample
    scenarios: tuple[str, ...]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]


def pair(
    old: Mapping[str, list[float]], new: Mapping[str, list[float]], clusters: Mapping[str, str]
) -> Pairing:
    """Match two runs by scenario id.

    old, new: measured values per scenario id; clusters: the cluster of each shared scenario.
    """
    shared = sorted(set(old) & set(new))

    def side(values: Mapping[str, list[float]]) -> Sample:
        return make_sample((clusters[key], key, value) for key in shared for value in values[key])

    return Pairing(
        old=side(old),
        new=side(new),
        scenarios=tuple(shared),
        only_old=tuple(sorted(set(old) - set(new))),
        only_new=tuple(sorted(set(new) - set(old))),
    )


def pair_observations(
    old: Iterable[Observation],
    new: Iterable[Observation],
    metric: str,
    where: Mapping[str, str] | None = None,
) -> Pairing:
    """Match the measured observations of one metric on one slice; clusters are the new run's."""
    before: dict[str, list[float]] = defaultdict(list)
    after: dict[str, list[float]] = defaultdict(list)
    clusters: dict[str, str] = {}
    for items, values in ((old, before), (new, after)):
        for item in items:
            if item.metric == metric and item.value is not None and in_slice(item, where or {}):
                values[item.scenario_id].append(item.value)
                clusters[item.scenario_id] = cluster_label(item)
    return pair(before, after, clusters)


def scenario_means(sample: Sample) -> dict[str, float]:
    """Mean value of each scenario."""
    grouped: dict[str, list[float]] = defaultdict(list)
    for scenario, value in zip(sample.scenario, sample.values, strict=True):
        grouped[scenario].append(float(value))
    return {scenario: sum(values) / len(values) for scenario, values in grouped.items()}


@dataclass(frozen=True)
class Difference:
    """new - old of one statistic, with what is needed to test it.

    detectable: smallest true change found 80 % of the time; None where no interval is given.
    score: z of "the difference is `bound`" for an interval that is no bootstrap.
    """

    value: float | None
    bounds: Bounds
    method: str
    reason: str = ""
    detectable: float | None = None
    draws: Resampled | None = None
    score: Callable[[float], float] | None = None

    def p_at_most(self, bound: float) -> float | None:
        """p-value of "the difference is at most bound"; None without an interval."""
        from scipy.special import ndtr

        if self.draws is not None:
            return self.draws.p_at_most(bound)
        if self.score is not None:
            return float(ndtr(-self.score(bound)))
        return None

    def p_at_least(self, bound: float) -> float | None:
        """p-value of "the difference is at least bound"; None without an interval."""
        from scipy.special import ndtr

        if self.draws is not None:
            return self.draws.p_at_least(bound)
        if self.score is not None:
            return float(ndtr(self.score(bound)))
        return None

    def p_zero(self) -> float | None:
        """Two-sided p-value of "no difference"."""
        above, below = self.p_at_most(0.0), self.p_at_least(0.0)
        return None if above is None or below is None else min(1.0, 2 * min(above, below))


def difference(pairing: Pairing, statistic: str, *, seed: int, name: str) -> Difference:
    """The paired difference of one statistic, new - old."""
    old, new = pairing.old, pairing.new
    if not pairing.scenarios:
        return Difference(None, Bounds(None, None), "none", "no scenario was measured in both runs")
    q = parse_quantile(statistic)
    value = _point(new, statistic, q) - _point(old, statistic, q)
    nothing = Bounds(None, None)
    if statistic == "max":
        return Difference(value, nothing, "maximum", "a maximum has no interval")
    if new.n_clusters == 1 and not (statistic == "rate" and new.n == 1):
        return Difference(value, nothing, "none", "all pairs belong to one cluster: no interval")
    if statistic == "rate":
        if new.n == old.n == len(pairing.scenarios):
            return _tango(pairing, value)
        if len({*old.values}) == 1 or len({*new.values}) == 1:
            return _from_both_intervals(pairing, value)
    if q is not None and not _same(old, new):
        tail = min(quantile_n(old, q), quantile_n(new, q)) * min(q, 1 - q)
        if tail < TAIL_VALUES:
            reason = (
                f"about {tail:.1f} effective observations lie beyond {statistic}; "
                f"{TAIL_VALUES} are needed to compare it"
            )
            return Difference(value, nothing, "none", reason)
    draws = Resampled(value, _draws(pairing, q, generator(name, seed)), new.n_clusters)
    reason = "no scenario changed" if _same(old, new) else ""
    return Difference(
        value,
        draws.bounds(),
        "paired bootstrap" if new.independent else "paired cluster bootstrap",
        reason,
        _detectable(draws.standard_error, draws.clusters) if draws.spread > 0 else None,
        draws=draws,
    )


def _point(sample: Sample, statistic: str, q: float | None) -> float:
    if q is not None:
        return float(np.quantile(sample.values, q))
    if statistic == "max":
        return float(sample.values.max())
    return float(sample.cluster_sums().sum() / sample.n)


def _same(old: Sample, new: Sample) -> bool:
    return old.scenario == new.scenario and bool(np.array_equal(old.values, new.values))


def _draws(pairing: Pairing, q: float | None, rng: np.random.Generator) -> np.ndarray:
    old, new = pairing.old, pairing.new
    clusters = new.n_clusters
    if q is None:
        sides = [(item.cluster_sums(), item.cluster_sizes) for item in (new, old)]
        return resample(
            rng,
            clusters,
            lambda weight: weighted_mean(weight, *sides[0]) - weighted_mean(weight, *sides[1]),
        )
    orders = [np.argsort(item.values, kind="stable") for item in (new, old)]
    ranked = [
        (item.values[order], item.cluster[order])
        for item, order in zip((new, old), orders, strict=True)
    ]
    return resample(
        rng,
        clusters,
        lambda weight: (
            weighted_quantile(weight, *ranked[0], q) - weighted_quantile(weight, *ranked[1], q)
        ),
        columns=max(new.n, old.n),
    )


def _tango(pairing: Pairing, value: float) -> Difference:
    """One outcome per scenario and run; rows of both samples are in scenario order by cluster."""
    old, new = indicator(pairing.old.values), indicator(pairing.new.values)
    n_eff = effective_n((old != new).astype(np.int64), pairing.new.cluster)
    scale = n_eff / len(new)
    counts = Discordance(
        float(((new == 1) & (old == 0)).sum()) * scale,
        float(((new == 0) & (old == 1)).sum()) * scale,
        n_eff,
    )
    bounds = tango_bounds(counts)
    assert bounds.lo is not None
    assert bounds.hi is not None
    method = "Tango score interval"
    if not pairing.new.independent:
        method += f", effective n {n_eff:.1f}"
    return Difference(
        value,
        bounds,
        method,
        detectable=detectable_from((bounds.hi - bounds.lo) / 2),
        score=partial(tango_z, counts),
    )


def _from_both_intervals(pairing: Pairing, value: float) -> Difference:
    sides = []
    for item in (pairing.old, pairing.new):
        event = indicator(item.values)
        sides.append(rate_bounds(int(event.sum()), item.n, effective_n(event, item.cluster)))
    (old_lo, old_hi), (new_lo, new_hi) = sides
    assert old_lo is not None
    assert old_hi is not None
    assert new_lo is not None
    assert new_hi is not None
    bounds = Bounds(new_lo - old_hi, new_hi - old_lo)
    return Difference(value, bounds, "both exact intervals", "a run without any change of outcome")


def detectable_from(half_width: float) -> float:
    """What an interval of this half width, of 1.96 standard errors, would find."""
    return half_width / Z * (Z + POWER_POINT)


def _detectable(standard_error: float, clusters: int) -> float:
    from scipy.special import stdtrit

    t = float(stdtrit(clusters - 1, 1 - ALPHA / 2))
    return (t + float(stdtrit(clusters - 1, 0.8))) * standard_error


def holm(p_values: list[float | None]) -> list[float | None]:
    """Holm's step-down correction (Scandinavian Journal of Statistics 1979); None stays None."""
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, index) in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * p))
        corrected[index] = running
    return corrected
