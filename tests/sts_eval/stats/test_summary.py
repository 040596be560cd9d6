"""Observations -> Estimate: what is counted, what is undefined, what repeats."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sts_eval.metric import MetricSpec
from sts_eval.observation import Observation, Status
from sts_eval.stats import estimate, estimate_all, p_of_bound, quantity, sample_of, slices_by
from sts_eval.stats.sample import make_sample


def spec(name: str = "delay_ms", *statistics: str, unit: str = "ms") -> MetricSpec:
    return MetricSpec(
        name=name,
        title=name,
        unit=unit,
        direction="lower",
        statistics=statistics or ("mean", "p50"),
        version=1,
        meaning="m",
        method="m",
        limits="l",
    )


def seen(index: int, value: float, cluster: str = "", **slices: str) -> Observation:
    return Observation(
        metric="delay_ms",
        scenario_id=f"s{index:03d}",
        status=Status.MEASURED,
        value=value,
        cluster=cluster,
        slices=slices,
    )


def missing(index: int, status: Status) -> Observation:
    return Observation(
        metric="delay_ms", scenario_id=f"s{index:03d}", status=status, reason="because"
    )


def test_counts() -> None:
    items = [seen(0, 1.0, "a"), seen(1, 3.0, "a"), seen(2, 5.0, "b")]
    items += [missing(3, Status.UNMEASURED), missing(4, Status.ERROR), missing(5, Status.ERROR)]
    found = estimate(items, spec(), "mean", seed=0)
    assert (found.n, found.n_clusters, found.n_unmeasured, found.n_error) == (3, 2, 1, 2)
    assert found.value == 3.0
    assert found.key == "delay_ms.mean"
    assert "only 2 clusters" in found.reason


def test_pools_before_dividing() -> None:
    items = [seen(0, 1.0, "a"), seen(1, 1.0, "a"), seen(2, 4.0, "b")]
    assert estimate(items, spec(), "mean", seed=0).value == 2.0


@pytest.mark.parametrize("statistic", ["mean", "rate", "p50", "p95", "max"])
def test_empty(statistic: str) -> None:
    found = estimate([], spec(), statistic, seed=0)
    assert (found.value, found.lo, found.hi, found.n) == (None, None, None, 0)
    assert found.reason == "no observation"


def test_nothing_measured_says_so() -> None:
    items = [missing(0, Status.UNMEASURED), missing(1, Status.ERROR)]
    found = estimate(items, spec(), "p50", seed=0)
    assert found.value is None
    assert found.reason == "nothing measured (1 unmeasured, 1 errors)"


@pytest.mark.parametrize("statistic", ["mean", "p50", "max"])
def test_single(statistic: str) -> None:
    found = estimate([seen(0, 4.0)], spec(), statistic, seed=0)
    assert (found.value, found.lo, found.hi) == (4.0, None, None)
    assert "no interval" in found.reason


def test_single_rate_has_the_exact_interval() -> None:
    found = estimate([seen(0, 1.0)], spec(), "rate", seed=0)
    assert (found.value, found.lo, found.hi) == (1.0, 0.025, 1.0)
    assert found.method == "exact binomial"


@pytest.mark.parametrize("statistic", ["mean", "rate", "p50"])
def test_one_cluster_of_many_has_no_interval(statistic: str) -> None:
    items = [seen(i, float(i % 2), "same") for i in range(20)]
    found = estimate(items, spec(), statistic, seed=0)
    assert found.value is not None
    assert (found.lo, found.hi) == (None, None)
    assert "cluster" in found.reason


def test_all_equal() -> None:
    items = [seen(i, 240.0) for i in range(30)]
    for statistic in ("mean", "p50"):
        found = estimate(items, spec(), statistic, seed=0)
        assert (found.value, found.lo, found.hi) == (240.0, 240.0, 240.0)
        assert ("all 30 values are equal" in found.reason) is (statistic == "mean")


def test_shares_that_are_all_zero_still_have_an_upper_bound() -> None:
    """0 of 30 deadlines missed in every scenario does not show that none ever will be."""
    items = [seen(i, 0.0) for i in range(30)]
    found = estimate(items, spec(unit="ratio"), "mean", seed=0)
    assert (found.value, found.lo) == (0.0, 0.0)
    assert found.hi == pytest.approx(1 - 0.025 ** (1 / 30))
    assert estimate(items, spec(), "mean", seed=0).hi == 0.0  # milliseconds have no such range


def test_a_value_that_is_not_finite_is_not_measured() -> None:
    sample = make_sample([("a", "1", math.nan), ("b", "2", math.inf), ("c", "3", 1.0)])
    assert (sample.n, sample.n_unmeasured, sample.n_clusters) == (1, 2, 1)


def test_max_has_a_value_and_no_interval() -> None:
    found = estimate([seen(i, float(i)) for i in range(50)], spec(), "max", seed=0)
    assert (found.value, found.lo, found.hi) == (49.0, None, None)
    assert found.reason == "the largest of 50: no interval"


def test_p99_of_sixty_says_what_it_needs() -> None:
    found = estimate([seen(i, float(i)) for i in range(60)], spec(), "p99", seed=0)
    assert found.hi is None
    assert found.lo is not None
    assert found.reason == "p99 of 60 observations has no upper bound: needs n >= 368"


def test_clustered_rate_names_its_effective_n() -> None:
    items = [seen(i, float(i // 4 % 2), f"c{i // 4}") for i in range(64)]
    found = estimate(items, spec(), "rate", seed=0)
    assert found.method.startswith("Wilson, effective n 1")
    assert found.method.endswith("(16 clusters)")


def test_unknown_statistic() -> None:
    with pytest.raises(ValueError, match="unknown statistic 'p0'"):
        estimate([seen(0, 1.0)], spec(), "p0", seed=0)


@settings(deadline=None)
@given(st.permutations(range(24)), st.integers(0, 3))
def test_order_does_not_matter_and_runs_repeat(order: list[int], seed: int) -> None:
    rng = np.random.default_rng(9)
    values = rng.lognormal(size=24)
    items = [seen(i, float(values[i]), f"c{i % 7}") for i in range(24)]
    for statistic in ("mean", "p50"):
        straight = estimate(items, spec(), statistic, seed=seed)
        mixed = estimate([items[i] for i in order], spec(), statistic, seed=seed)
        assert mixed.model_dump_json() == straight.model_dump_json()


def test_seed_and_name_change_the_draws() -> None:
    items = [seen(i, float(i * i)) for i in range(12)]
    bounds = {estimate(items, spec(), "mean", seed=seed).lo for seed in range(5)}
    assert len(bounds) > 1


def test_slices() -> None:
    items = [
        seen(i, float(i), voice="ab"[i % 2], snr_db=("10", "20", "5")[i % 3]) for i in range(12)
    ]
    slices = slices_by(items, ["snr_db", "voice"])
    assert slices == [
        {"snr_db": "5"},
        {"snr_db": "10"},
        {"snr_db": "20"},
        {"voice": "a"},
        {"voice": "b"},
    ]
    found = estimate_all(items, [spec()], [{}, *slices, {"voice": "nobody"}], seed=1)
    assert len(found) == 2 * 6  # the slice without observations is left out
    assert [item.n for item in found[::2]] == [12, 4, 4, 4, 6, 6]
    assert sample_of(items, "delay_ms", {"snr_db": "10.0"}).n == 4


def test_estimate_all_keeps_a_metric_that_has_no_observation() -> None:
    assert [item.value for item in estimate_all([], [spec()], seed=0)] == [None, None]


def test_quantity_is_written_as_gates_are() -> None:
    assert quantity("a_ms", "p50", {"voice": "x", "snr_db": "10"}) == "a_ms{snr_db=10,voice=x}.p50"


def test_p_of_a_maximum() -> None:
    sample = make_sample((f"c{i}", f"s{i}", float(i)) for i in range(10))
    assert p_of_bound(sample, "max", "<=", 8.5, seed=0, name="x") == 0.0
    assert p_of_bound(sample, "max", "<=", 9.0, seed=0, name="x") == 1.0


def test_p_of_a_rate_is_the_exact_tail() -> None:
    sample = make_sample((f"c{i}", f"s{i}", float(i < 5)) for i in range(10))
    # 5 of 10 where 90 % are demanded: P(Bin(10, 0.9) <= 5) = 0.001635
    assert p_of_bound(sample, "rate", ">=", 0.9, seed=0, name="x") == pytest.approx(
        0.001635, rel=1e-3
    )
    assert p_of_bound(sample, "rate", "<=", 0.9, seed=0, name="x") > 0.99
