"""Observations -> Estimate, and the p-value of a bound on it.

One method per kind of statistic (`proportions`, `quantiles`, `bootstrap` explain them):

    rate         Wilson, exact for none or all; effective n when clustered
    p50, p95 ... order statistics; effective n when clustered
    mean         cluster bootstrap; of shares that are all 0 (or all 1): the exact binomial bound,
                 since a mean of values in 0..1 is at most the share of values that are not 0
    max          the value only: the largest of n says nothing certain about the next one

Random numbers follow from the metric's name, statistic, slice and the run's seed alone, so results
repeat byte for byte whatever the order of the observations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from sts_eval.metric import MetricSpec
from sts_eval.observation import Estimate, Observation
from sts_eval.stats.bootstrap import MIN_CLUSTERS, Resampled, resample, weighted_mean
from sts_eval.stats.proportions import (
    Bounds,
    effective_n,
    indicator,
    p_count_at_least,
    p_count_at_most,
    rate_bounds,
)
from sts_eval.stats.quantiles import (
    needed_for_bound,
    p_quantile_at_least,
    p_quantile_at_most,
    parse_quantile,
    quantile_bounds,
    quantile_n,
)
from sts_eval.stats.sample import Sample, generator, sample_of, tidy

Comparator = Literal["<=", ">="]
NO_BOUNDS = Bounds(None, None)


class Summary(NamedTuple):
    """A statistic of a sample, before it is tied to a metric."""

    value: float | None
    bounds: Bounds
    method: str
    reason: str


def summarise(
    sample: Sample, statistic: str, *, seed: int, name: str, shares: bool = False
) -> Summary:
    """Value and interval of one statistic. Raises ValueError for an unknown statistic.

    shares: the values are shares, which lie in 0..1.
    """
    q = parse_quantile(statistic)
    if statistic not in ("mean", "rate", "max") and q is None:
        raise ValueError(f"unknown statistic {statistic!r}: mean, rate, max, or p50, p95, ...")
    if sample.n == 0:
        return Summary(None, NO_BOUNDS, "none", _why_empty(sample))
    if statistic == "max":
        reason = f"the largest of {sample.n}: no interval"
        return Summary(float(sample.values.max()), NO_BOUNDS, "maximum", reason)
    if q is not None:
        return _quantile(sample, q, statistic)
    value = float(sample.cluster_sums().sum() / sample.n)
    if sample.n_clusters == 1 and sample.n > 1:
        reason = f"all {sample.n} observations belong to one cluster: no interval"
        return Summary(value, NO_BOUNDS, "none", reason)
    if statistic == "rate" or (shares and value in (0.0, 1.0) and np.ptp(sample.values) == 0):
        return _rate(sample, value)
    if sample.n == 1:
        return Summary(value, NO_BOUNDS, "none", "one observation: no interval")
    bounds = mean_draws(sample, generator(name, seed)).bounds()
    method = "cluster bootstrap" if not sample.independent else "bootstrap"
    if sample.n_clusters < MIN_CLUSTERS:
        method = "Student, between clusters"
    reason = _few_clusters(sample)
    if np.ptp(sample.values) == 0:
        reason = f"all {sample.n} values are equal: chance cannot be seen in them"
    return Summary(value, bounds, method, reason)


def mean_draws(sample: Sample, rng: np.random.Generator) -> Resampled:
    """The bootstrap distribution of the mean (at least 2 clusters)."""
    sums, sizes = sample.cluster_sums(), sample.cluster_sizes
    draws = resample(rng, sample.n_clusters, lambda weight: weighted_mean(weight, sums, sizes))
    return Resampled(float(sums.sum() / sample.n), draws, sample.n_clusters)


def _rate(sample: Sample, value: float) -> Summary:
    event = indicator(sample.values)
    n_eff = effective_n(event, sample.cluster)
    count = int(event.sum())
    method = "exact binomial" if count in (0, sample.n) else "Wilson"
    if not sample.independent:
        method += f", effective n {n_eff:.1f} ({sample.n_clusters} clusters)"
    return Summary(value, rate_bounds(count, sample.n, n_eff), method, _few_clusters(sample))


def _quantile(sample: Sample, q: float, statistic: str) -> Summary:
    value = float(np.quantile(sample.values, q))
    if sample.n_clusters == 1:
        reason = "one observation" if sample.n == 1 else f"one cluster of {sample.n} observations"
        return Summary(value, NO_BOUNDS, "none", f"{reason}: no interval")
    bounds = quantile_bounds(sample, q)
    method = "order statistics"
    n_eff = quantile_n(sample, q)
    if not sample.independent:
        method += f", effective n {n_eff:.1f} ({sample.n_clusters} clusters)"
    missing = [
        side for side, bound in (("lower", bounds.lo), ("upper", bounds.hi)) if bound is None
    ]
    reason = _few_clusters(sample)
    if missing:
        worth = "" if sample.independent else f", worth {n_eff:.0f} independent ones"
        gap = (
            f"{statistic} of {sample.n} observations{worth} has no {' or '.join(missing)} bound: "
            f"needs n >= {needed_for_bound(q)}"
        )
        reason = f"{gap}; {reason}" if reason else gap
    return Summary(value, bounds, method, reason)


def _few_clusters(sample: Sample) -> str:
    if sample.n_clusters >= MIN_CLUSTERS:
        return ""
    what = "observation" if sample.independent else "cluster"
    plural = "" if sample.n_clusters == 1 else "s"
    return f"only {sample.n_clusters} {what}{plural}: the interval is approximate"


def _why_empty(sample: Sample) -> str:
    if sample.n_all == 0:
        return "no observation"
    return f"nothing measured ({sample.n_unmeasured} unmeasured, {sample.n_error} errors)"


def estimate(
    observations: Iterable[Observation],
    spec: MetricSpec,
    statistic: str,
    *,
    seed: int,
    slice: Mapping[str, str] | None = None,
) -> Estimate:
    """Summarise one metric over the observations (others are ignored) on one slice.

    Raises ValueError for an unknown statistic and for a rate of values other than 0 and 1.
    """
    where = dict(slice or {})
    return estimate_sample(
        sample_of(observations, spec.name, where), spec, statistic, seed=seed, slice=where
    )


def estimate_sample(
    sample: Sample, spec: MetricSpec, statistic: str, *, seed: int, slice: Mapping[str, str]
) -> Estimate:
    """`estimate` for a sample at hand."""
    name = quantity(spec.name, statistic, slice)
    shares = spec.unit == "ratio"
    if 0 < sample.n < spec.min_events:
        reason = f"{sample.n} measured: from fewer than {spec.min_events} no number is given"
        summary = Summary(None, NO_BOUNDS, "none", reason)
    else:
        summary = summarise(sample, statistic, seed=seed, name=name, shares=shares)
    lo, hi = summary.bounds
    return Estimate(
        metric=spec.name,
        statistic=statistic,
        value=None if summary.value is None else tidy(summary.value),
        lo=None if lo is None else tidy(lo),
        hi=None if hi is None else tidy(hi),
        n=sample.n,
        n_clusters=sample.n_clusters,
        n_unmeasured=sample.n_unmeasured,
        n_error=sample.n_error,
        unit=spec.unit,
        direction=spec.direction,
        method=summary.method,
        version=spec.version,
        slice=dict(slice),
        reason=summary.reason,
    )


def estimate_all(
    observations: Iterable[Observation],
    specs: Iterable[MetricSpec],
    slices: Sequence[Mapping[str, str]] = ({},),
    *,
    seed: int = 0,
) -> list[Estimate]:
    """Every statistic of every metric on every slice that has observations (the whole always)."""
    by_metric: dict[str, list[Observation]] = defaultdict(list)
    for item in observations:
        by_metric[item.metric].append(item)
    result = []
    for spec in specs:
        for where in slices:
            sample = sample_of(by_metric[spec.name], spec.name, where)
            if where and sample.n_all == 0:
                continue
            result += [
                estimate_sample(sample, spec, statistic, seed=seed, slice=where)
                for statistic in spec.statistics
            ]
    return result


def quantity(metric: str, statistic: str, where: Mapping[str, str]) -> str:
    """How gates write it: `metric{key=value}.statistic`."""
    inside = ",".join(f"{key}={where[key]}" for key in sorted(where))
    return f"{metric}{{{inside}}}.{statistic}" if inside else f"{metric}.{statistic}"


def p_of_bound(
    sample: Sample, statistic: str, comparator: Comparator, bound: float, *, seed: int, name: str
) -> float | None:
    """p-value of "statistic comparator bound"; small means the data speak against it.

    None where the sample allows no test (nothing measured, or a single cluster of several values).
    A maximum is refuted by one observation (p = 0) and never otherwise.
    """
    if sample.n == 0:
        return None
    at_most = comparator == "<="
    if statistic == "max":
        refuted = at_most and float(sample.values.max()) > bound
        return 0.0 if refuted else 1.0
    if sample.n_clusters == 1 and not (sample.n == 1 and statistic == "rate"):
        return None
    q = parse_quantile(statistic)
    if q is not None:
        test = p_quantile_at_most if at_most else p_quantile_at_least
        return test(sample, q, bound)
    if statistic == "rate":
        event = indicator(sample.values)
        n_eff = effective_n(event, sample.cluster)
        count = float(event.sum()) * n_eff / sample.n
        tail = p_count_at_least if at_most else p_count_at_most
        return tail(count, n_eff, bound)
    draws = mean_draws(sample, generator(name, seed))
    return draws.p_at_most(bound) if at_most else draws.p_at_least(bound)
