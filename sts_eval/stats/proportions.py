"""Rates: intervals and exact tests for a share of events among n observations.

- Independent observations (one per cluster): Wilson's score interval (Wilson 1927); for no event
  or nothing but events, Clopper and Pearson's exact interval (1934), so that zero events of n still
  have an upper bound: 1 - 0.025^(1/n).
- Clustered observations: the same formulas with an effective number of observations,

      n_eff = n / (1 + (m - 1) rho) * (t[n-1] / t[C-1])^2,    m = sum(m_c^2) / n over C clusters

  the design effect of Kish (1965) with the degrees-of-freedom factor of Korn and Graubard (Survey
  Methodology 1998); Wilson with an effective n is what Dean and Pagano (2015) found best for
  clustered surveys. rho is the intra-cluster correlation, from pairs: given that an observation is
  an event of the rarer kind, how often is another one of its cluster one too,

      theta = (2 + sum e_c (e_c - 1) / (m_c - 1)) / (4 + sum e_c),    rho = (theta - p) / (1 - p)

  with two imagined events that were followed and two that were not (after Agresti and Coull, The
  American Statistician 1998): with no event at all the data cannot tell how much a cluster
  repeats itself, and rho is then taken as 1/2 rather than as nothing. The strength of two and two
  also keeps one failure more from ever looking better than a perfect score (a test holds it).
- Tests: the exact binomial tail at n_eff, through the incomplete beta function, which takes
  fractional counts (as Korn and Graubard do).

The two-sided level is 95 % throughout.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sts_eval.stats.sample import FloatArray, IntArray

ALPHA = 0.05
Z = 1.959963984540054  # 97.5 % point of the normal distribution


class Bounds(NamedTuple):
    """A two-sided 95 % interval; None where a bound cannot be given."""

    lo: float | None
    hi: float | None


def wilson(events: float, n: float) -> Bounds:
    """Wilson's interval of events / n; both may be fractional. n must be positive."""
    share = events / n
    scale = 1 + Z * Z / n
    centre = (share + Z * Z / (2 * n)) / scale
    half = Z / scale * math.sqrt(max(0.0, share * (1 - share) / n + Z * Z / (4 * n * n)))
    return Bounds(max(0.0, centre - half), min(1.0, centre + half))


def clopper_pearson(events: float, n: float) -> Bounds:
    """The exact interval of events / n; both may be fractional. n must be positive."""
    from scipy.special import betaincinv

    lo = 0.0 if events <= 0 else float(betaincinv(events, n - events + 1, ALPHA / 2))
    hi = 1.0 if events >= n else float(betaincinv(events + 1, n - events, 1 - ALPHA / 2))
    return Bounds(lo, hi)


def rate_bounds(events: int, n: int, n_effective: float) -> Bounds:
    """Exact for none or all, Wilson otherwise, at the effective number of observations."""
    scaled = events * n_effective / n
    if events in (0, n):
        return clopper_pearson(scaled, n_effective)
    return wilson(scaled, n_effective)


def p_count_at_most(count: float, n: float, share: float) -> float:
    """P(X <= count) for X binomial(n, share), continued to fractional count and n."""
    from scipy.special import betainc

    if count < 0:
        return 0.0
    if count >= n:
        return 1.0
    return float(betainc(n - count, count + 1, 1 - share))


def p_count_at_least(count: float, n: float, share: float) -> float:
    """P(X >= count) for X binomial(n, share), continued to fractional count and n."""
    return p_count_at_most(n - count, n, 1 - share)


def effective_n(event: IntArray, cluster: IntArray) -> float:
    """How many independent observations the clustered 0/1 values `event` [n] are worth.

    cluster: [n] indices 0..C-1, all used. At most n, and n when every cluster has one value.
    """
    n = len(event)
    sizes = np.bincount(cluster)
    if len(sizes) == n or n == 0:
        return float(n)
    if len(sizes) == 1:
        return 1.0
    rarer = event if 2 * int(event.sum()) <= n else 1 - event
    counts = np.bincount(cluster, rarer, minlength=len(sizes))  # [C]
    many = sizes > 1
    followed = float(np.sum(counts[many] * (counts[many] - 1) / (sizes[many] - 1)))
    theta = (2 + followed) / (4 + float(counts[many].sum()))
    share = float(counts.sum()) / n
    correlation = max(0.0, (theta - share) / (1 - share))
    mean_size = float(np.sum(sizes.astype(np.float64) ** 2)) / n
    return n / (1 + (mean_size - 1) * correlation) * _freedom_factor(n, len(sizes))


def _freedom_factor(n: int, clusters: int) -> float:
    from scipy.special import stdtrit

    wide = float(stdtrit(clusters - 1, 1 - ALPHA / 2))
    return float(stdtrit(n - 1, 1 - ALPHA / 2) / wide) ** 2


def needed_for_perfect(share: float) -> int:
    """Smallest n of which n successes show a rate of at least `share`: 0.025^(1/n) >= share."""
    if not 0 < share < 1:
        raise ValueError(f"a rate of {share} cannot be shown by any number of observations")
    return math.ceil(math.log(ALPHA / 2) / math.log(share) - 1e-9)


class Discordance(NamedTuple):
    """Paired 0/1 outcomes of two runs: counts of pairs that got an event, lost one, and all."""

    gained: float
    lost: float
    n: float


def tango_z(pairs: Discordance, difference: float) -> float:
    """Score statistic of "the rates differ by `difference`" (new - old) for paired outcomes.

    Tango, Statistics in Medicine 17 (1998): the constrained maximum-likelihood score test. Unlike
    the bootstrap it does not claim certainty when no pair changed.
    """
    gained, lost, n = pairs
    a = 2 * n
    b = -gained - lost + (2 * n - gained + lost) * difference
    c = -lost * difference * (1 - difference)
    q = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * q + difference * (1 - difference))
    distance = gained - lost - n * difference
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)


def tango_bounds(pairs: Discordance) -> Bounds:
    """The 95 % interval of the paired difference of rates: where |tango_z| = 1.96."""
    point = (pairs.gained - pairs.lost) / pairs.n
    return Bounds(_tango_root(pairs, point, -1.0, Z), _tango_root(pairs, point, 1.0, -Z))


def _tango_root(pairs: Discordance, inner: float, outer: float, level: float) -> float:
    """Bisection between the point estimate and the end of the range; z falls as it moves up."""
    for _ in range(60):
        middle = (inner + outer) / 2
        if abs(tango_z(pairs, middle)) < abs(level):
            inner = middle
        else:
            outer = middle
    return inner


def indicator(values: FloatArray) -> IntArray:
    """0/1 values as integers; ValueError for anything else."""
    if not np.all((values == 0) | (values == 1)):
        raise ValueError("a rate needs observations of 0 or 1")
    return values.astype(np.int64)
