"""Quantiles: value, interval and test, none of which pretend to know a tail that was not seen.

The interval inverts a binomial test. "The q-quantile is at most T" says "at least a share q of all
observations is at most T"; so the bounds are order statistics,

    hi = smallest x(u) with P(Bin(n, q) >= u) <= 0.025,
    lo = largest  x(l) with P(Bin(n, q) <= l - 1) <= 0.025

(exact and free of any distribution: David and Nagaraja, Order Statistics, 2003, section 7.1). With
few observations no order statistic qualifies and the bound is None: p99 has no upper bound before
n = 368, p95 before 72, p90 before 36, p50 before 6. Clustered observations enter with the effective
number of `proportions.effective_n`, as Woodruff (JASA 1952) inverts a survey proportion. The value
itself interpolates linearly between order statistics (numpy's default).
"""

from __future__ import annotations

import math

import numpy as np

from sts_eval.stats.proportions import ALPHA, Bounds, effective_n, p_count_at_most
from sts_eval.stats.sample import Sample


def parse_quantile(statistic: str) -> float | None:
    """0.95 for "p95", 0.999 for "p99.9", None for anything else."""
    try:
        share = float(statistic[1:]) / 100 if statistic.startswith("p") else 0.0
    except ValueError:
        return None
    return share if 0 < share < 1 else None


def needed_for_bound(q: float) -> int:
    """Independent observations from which the outer bound of the q-quantile exists."""
    return math.ceil(math.log(ALPHA / 2) / math.log(max(q, 1 - q)) - 1e-9)


def quantile_n(sample: Sample, q: float) -> float:
    """Effective number of observations for the q-quantile (its own indicator decides)."""
    below = sample.values <= np.quantile(sample.values, q)
    return effective_n(below.astype(np.int64), sample.cluster)


def quantile_bounds(sample: Sample, q: float) -> Bounds:
    """The 95 % interval as order statistics; None for a bound that n cannot give."""
    from scipy.special import betainc

    ordered = np.sort(sample.values)
    n, n_eff = sample.n, quantile_n(sample, q)
    rank = np.arange(1, n + 1) * (n_eff / n)  # [n] effective count at or below x(rank)
    below = rank - n_eff / n
    upper_tail = betainc(rank, n_eff - rank + 1, q)  # P(Bin >= rank), falling in rank
    lower_tail = betainc(n_eff - below, below + 1, 1 - q)  # P(Bin <= rank - 1), rising in rank
    hi = np.flatnonzero(upper_tail <= ALPHA / 2)
    lo = np.flatnonzero(lower_tail <= ALPHA / 2)
    return Bounds(
        float(ordered[lo[-1]]) if len(lo) else None, float(ordered[hi[0]]) if len(hi) else None
    )


def p_quantile_at_most(sample: Sample, q: float, bound: float) -> float:
    """p-value of "the q-quantile is at most bound": few observations at or below it speak
    against."""
    within = (sample.values <= bound).astype(np.int64)
    return _p_share_at_least(within, sample, q)


def p_quantile_at_least(sample: Sample, q: float, bound: float) -> float:
    """p-value of "the q-quantile is at least bound"."""
    within = (sample.values >= bound).astype(np.int64)
    return _p_share_at_least(within, sample, 1 - q)


def _p_share_at_least(within: np.ndarray, sample: Sample, share: float) -> float:
    n_eff = effective_n(within, sample.cluster)
    return p_count_at_most(float(within.sum()) * n_eff / sample.n, n_eff, share)
