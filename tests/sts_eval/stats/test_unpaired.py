"""Differences of runs on other scenarios: hand-worked intervals, and how often they hold 0."""

import math

import numpy as np
import pytest

from sts_eval.metric import MetricSpec
from sts_eval.observation import Estimate
from sts_eval.stats import difference_of_estimates, estimate_sample, unpaired_difference
from sts_eval.stats.paired import Difference
from sts_eval.stats.sample import Sample, make_sample

REPEATS = 300


def spec(statistic: str) -> MetricSpec:
    words = dict.fromkeys(("meaning", "method", "limits"), "-")
    unit = "ratio" if statistic == "rate" else "ms"
    return MetricSpec(
        name="m",
        title="m",
        unit=unit,
        direction="none",
        statistics=(statistic,),
        version=1,
        min_events=3,
        **words,
    )


def of(sample: Sample, statistic: str) -> Estimate:
    return estimate_sample(sample, spec(statistic), statistic, seed=0, slice={})


def held(old: Sample, new: Sample, statistic: str) -> Difference:
    before, after = of(old, statistic), of(new, statistic)
    return unpaired_difference(old, new, before, after, seed=0, name="m")


def voices(values: np.ndarray, names: str = "abcd", first: int = 0) -> Sample:
    """values [C, n]: one row per voice; scenarios are numbered from `first`."""
    return make_sample(
        (names[c], f"{names[c]}{first + j}", float(value))
        for c, row in enumerate(values)
        for j, value in enumerate(row)
    )


def alone(values: np.ndarray, prefix: str) -> Sample:
    return make_sample((f"{prefix}{i}", f"{prefix}{i}", float(v)) for i, v in enumerate(values))


def test_two_rates_are_newcombes_tenth_method():
    # Newcombe 1998, table II, (a): 56/70 - 48/80, method 10: 0.0524 to 0.3339
    new = alone(np.array([1] * 56 + [0] * 14), "x")
    old = alone(np.array([1] * 48 + [0] * 32), "y")
    found = held(old, new, "rate")
    assert found.value == pytest.approx(0.2)
    assert found.bounds == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert found.p_zero() < 0.05
    assert held(new, old, "rate").bounds == pytest.approx((-0.3339, -0.0524), abs=5e-5)


def test_p_and_interval_agree():
    rng = np.random.default_rng(2)
    for _ in range(30):
        old, new = (alone(rng.random(40) < 0.5, side) for side in "xy")
        found = held(old, new, "rate")
        outside = found.bounds.lo > 0 or found.bounds.hi < 0
        assert outside == (found.p_zero() < 0.05)


def test_what_a_voice_does_to_both_runs_cancels():
    of_voice = np.array([[0.0], [300.0], [600.0], [900.0]])
    rng = np.random.default_rng(3)
    old = voices(of_voice + rng.normal(0, 5, (4, 9)))
    new = voices(of_voice + 40 + rng.normal(0, 5, (4, 11)), first=100)
    found = held(old, new, "mean")
    assert found.method == "Student, between clusters of both runs"
    assert found.bounds.lo > 25
    assert found.bounds.hi < 55
    other = held(old, voices(of_voice + 40, names="efgh"), "mean")
    assert other.method == "both intervals, by squares"
    assert other.bounds.lo < -500


@pytest.mark.parametrize("statistic", ["mean", "p50", "rate"])
@pytest.mark.parametrize("same_voices", [True, False])
def test_runs_of_one_kind_seldom_differ(statistic: str, same_voices: bool):
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(REPEATS):
        effect = rng.normal(0, 1, (8, 1))
        values = [effect + rng.normal(0, 1, (8, 6)) for _ in range(2)]
        if statistic == "rate":
            values = [(side > 0.5).astype(float) for side in values]
        names = ("abcdefgh", "abcdefgh" if same_voices else "ijklmnop")
        if not same_voices:
            again = rng.normal(0, 1, (8, 1)) + rng.normal(0, 1, (8, 6))
            values[1] = (again > 0.5).astype(float) if statistic == "rate" else again
        old, new = (
            voices(v, n, 100 * k) for k, (v, n) in enumerate(zip(values, names, strict=True))
        )
        bounds = held(old, new, statistic).bounds
        wrong += bounds.lo is not None and bounds.hi is not None and not bounds.lo <= 0 <= bounds.hi
    # 0.05 is nominal; 0.088 is three standard errors above it
    assert wrong / REPEATS <= 0.088


def test_what_has_no_interval_is_not_compared():
    few, many = alone(np.array([1.0, 0.0]), "x"), alone(np.array([1.0, 0.0] * 20), "y")
    found = held(few, many, "rate")
    assert (found.value, found.bounds) == (None, (None, None))
    assert "not measured in A: 2 measured" in found.reason
    tail = held(many, alone(np.arange(8.0), "z"), "p95")
    assert tail.bounds == (None, None)
    assert "no interval in A: p95 of 40" in tail.reason
    assert tail.p_zero() is None
    largest = held(many, many, "max")
    assert "the largest of 40" in largest.reason


def test_without_any_spread_the_clusters_decide():
    flat = [of(alone(np.full(6, value), "x"), "mean") for value in (1.0, 2.0)]
    found = difference_of_estimates(*flat)
    assert found.bounds == (1.0, 1.0)
    assert found.p_zero() == pytest.approx(2 * 0.5**6)
    assert math.isclose(difference_of_estimates(flat[0], flat[0]).p_zero(), 1.0)
