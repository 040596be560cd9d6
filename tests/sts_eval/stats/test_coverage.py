"""Do 95 % intervals hold the truth about 95 times in 100? Simulated, with fixed seeds.

With 400 repetitions the standard error of a coverage of 0.95 is 0.011, so 0.92 is three below.
"""

from collections.abc import Callable

import numpy as np
import pytest

from sts_eval.stats.paired import difference, pair
from sts_eval.stats.proportions import Bounds
from sts_eval.stats.sample import FloatArray, make_sample
from sts_eval.stats.summary import summarise

REPEATS = 400


def holds(bounds: Bounds, truth: float) -> bool:
    below = bounds.lo is None or bounds.lo <= truth
    return below and (bounds.hi is None or truth <= bounds.hi)


def coverage(
    draw: Callable[[np.random.Generator], FloatArray], statistic: str, truth: float
) -> float:
    """Share of simulated runs whose interval holds the truth; `draw` gives [clusters, size]."""
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(REPEATS):
        sample = make_sample(
            (f"c{i:03d}", f"s{i:03d}-{j}", float(value))
            for i, row in enumerate(draw(rng))
            for j, value in enumerate(row)
        )
        hits += holds(summarise(sample, statistic, seed=0, name="x").bounds, truth)
    return hits / REPEATS


def clustered_events(
    rng: np.random.Generator, clusters: int, size: int, share: float, correlation: float
) -> FloatArray:
    a = share * (1 - correlation) / correlation
    b = (1 - share) * (1 - correlation) / correlation
    chance = rng.beta(a, b, size=(clusters, 1))
    return (rng.random((clusters, size)) < chance).astype(np.float64)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.98])
def test_independent_rate(share: float) -> None:
    found = coverage(lambda rng: (rng.random((64, 1)) < share).astype(float), "rate", share)
    assert 0.92 <= found <= 0.995


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("correlation", [0.05, 0.3, 0.8])
def test_clustered_rate(share: float, correlation: float) -> None:
    found = coverage(lambda rng: clustered_events(rng, 16, 4, share, correlation), "rate", share)
    assert 0.92 <= found <= 1.0


def test_the_naive_interval_of_a_clustered_rate_would_fail() -> None:
    """The simulation can tell: treating correlated answers as independent covers far less."""
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(REPEATS):
        values = clustered_events(rng, 16, 4, 0.5, 0.8).ravel()
        sample = make_sample((f"c{i}", f"s{i}", float(v)) for i, v in enumerate(values))
        hits += holds(summarise(sample, "rate", seed=0, name="x").bounds, 0.5)
    assert hits / REPEATS < 0.85


def test_independent_mean() -> None:
    found = coverage(lambda rng: rng.normal(3.0, 1.0, (25, 1)), "mean", 3.0)
    assert 0.92 <= found <= 0.98


def test_clustered_mean() -> None:
    def draw(rng: np.random.Generator) -> FloatArray:
        return rng.normal(0, 1, (12, 5)) + rng.normal(0, 1, (12, 1))

    assert 0.92 <= coverage(draw, "mean", 0.0) <= 0.98


@pytest.mark.parametrize("statistic", ["p50", "p90"])
def test_independent_quantile(statistic: str) -> None:
    truth = {"p50": np.log(2), "p90": np.log(10)}[statistic]
    found = coverage(lambda rng: rng.exponential(1.0, (60, 1)), statistic, truth)
    assert 0.93 <= found <= 0.995


def test_clustered_median() -> None:
    def draw(rng: np.random.Generator) -> FloatArray:
        return rng.normal(0, 1, (16, 4)) + rng.normal(0, 1, (16, 1))

    assert 0.92 <= coverage(draw, "p50", 0.0) <= 0.995


@pytest.mark.parametrize("statistic", ["mean", "p50", "rate"])
def test_paired_difference(statistic: str) -> None:
    rng = np.random.default_rng(13)
    hits = 0
    for _ in range(150):
        base = rng.normal(0, 1, 50)
        sides = [base + rng.normal(0, 0.5, 50) for _ in range(2)]
        if statistic == "rate":
            sides = [(side > -1).astype(float) for side in sides]
        old, new = ({f"s{i:02d}": [float(v)] for i, v in enumerate(side)} for side in sides)
        pairs = pair(old, new, {key: key for key in old})
        hits += holds(difference(pairs, statistic, seed=0, name="x").bounds, 0.0)
    assert 0.91 <= hits / 150 <= 1.0
