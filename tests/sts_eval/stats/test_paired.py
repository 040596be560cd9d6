"""Paired differences: what is paired, which method, what small or unchanged samples give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sts_eval.stats import difference, holm, pair
from sts_eval.stats.paired import Pairing


def pairing(old: list[float], new: list[float], size: int = 1) -> Pairing:
    """One value per scenario, `size` scenarios to a cluster."""
    names = [f"s{i:03d}" for i in range(len(old))]
    return pair(
        {name: [v] for name, v in zip(names, old, strict=True)},
        {name: [v] for name, v in zip(names, new, strict=True)},
        {name: f"c{i // size:03d}" for i, name in enumerate(names)},
    )


def test_only_shared_scenarios_are_paired() -> None:
    pairs = pair({"a": [1.0], "b": [2.0]}, {"b": [5.0], "c": [9.0]}, {"b": "b", "c": "c"})
    assert pairs.scenarios == ("b",)
    assert (pairs.only_old, pairs.only_new) == (("a",), ("c",))
    assert difference(pairs, "mean", seed=0, name="x").value == 3.0


def test_nothing_in_common() -> None:
    found = difference(pair({"a": [1.0]}, {"b": [1.0]}, {"b": "b"}), "mean", seed=0, name="x")
    assert found.value is None
    assert found.reason == "no scenario was measured in both runs"
    assert found.p_zero() is None


def test_a_constant_shift_is_found_exactly_for_mean_and_quantile() -> None:
    old = list(np.random.default_rng(0).normal(800, 200, 40))
    pairs = pairing(old, [v + 50 for v in old])
    for statistic in ("mean", "p50", "p90"):
        found = difference(pairs, statistic, seed=0, name="x")
        assert found.value == pytest.approx(50)
        assert found.bounds == pytest.approx((50, 50))
        assert found.p_zero() < 1e-9


def test_pairing_removes_what_the_runs_share() -> None:
    rng = np.random.default_rng(1)
    old = rng.normal(800, 300, 60)
    found = difference(
        pairing(list(old), list(old + rng.normal(20, 10, 60))), "mean", seed=0, name="x"
    )
    assert found.bounds.lo > 0
    assert found.bounds.hi - found.bounds.lo < 10  # unpaired it would be about 210
    # standard error 10 / sqrt(60) = 1.29; (2.001 + 0.848) of them
    assert found.detectable == pytest.approx(2.85 * 1.29, rel=0.2)


def test_identical_runs() -> None:
    same = [float(i) for i in range(40)]
    found = difference(pairing(same, same), "p95", seed=0, name="x")
    assert (found.value, found.bounds, found.detectable) == (0.0, (0.0, 0.0), None)
    assert found.reason == "no scenario changed"
    assert found.p_zero() == 1.0


def test_identical_rates_still_leave_room() -> None:
    found = difference(pairing([1.0] * 64, [1.0] * 64), "rate", seed=0, name="x")
    assert found.value == 0.0
    assert found.bounds.lo == pytest.approx(-0.0566, abs=1e-3)
    assert found.detectable > 0.05


def test_a_quantile_without_a_tail_is_not_compared() -> None:
    rng = np.random.default_rng(2)
    pairs = pairing(list(rng.normal(size=60)), list(rng.normal(size=60)))
    found = difference(pairs, "p99", seed=0, name="x")
    assert found.value is not None
    assert found.bounds == (None, None)
    assert "about 0.6 effective observations lie beyond p99" in found.reason


def test_rate_method_depends_on_outcomes_per_scenario() -> None:
    once = pairing([0.0, 1.0] * 10, [1.0, 1.0] * 10)
    assert difference(once, "rate", seed=0, name="x").method == "Tango score interval"
    many = pair(
        {f"s{i}": [0.0, 1.0, 1.0] for i in range(10)},
        {f"s{i}": [0.0, float(i % 2), 1.0] for i in range(10)},
        {f"s{i}": f"s{i}" for i in range(10)},
    )
    assert difference(many, "rate", seed=0, name="x").method == "paired cluster bootstrap"


def test_several_outcomes_without_any_event_use_both_exact_intervals() -> None:
    outcomes = {f"s{i}": [0.0] * 5 for i in range(12)}
    found = difference(pair(outcomes, outcomes, {k: k for k in outcomes}), "rate", seed=0, name="x")
    assert found.value == 0.0
    assert found.bounds.lo < -0.01
    assert found.bounds.hi > 0.01


def test_one_cluster_has_no_interval() -> None:
    found = difference(pairing([1.0, 2.0], [2.0, 3.0], size=2), "mean", seed=0, name="x")
    assert found.value == 1.0
    assert found.bounds == (None, None)


def test_max_has_no_interval() -> None:
    found = difference(pairing([1.0, 2.0], [2.0, 5.0]), "max", seed=0, name="x")
    assert (found.value, found.bounds) == (3.0, (None, None))


def test_holm_matches_a_worked_example() -> None:
    # sorted 0.005 0.01 0.03 0.04 -> x4, x3, x2, x1 = 0.02 0.03 0.06 0.04 -> running maximum
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_out_what_was_not_tested() -> None:
    assert holm([None, 0.03, None]) == [None, 0.03, None]
    assert holm([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_value_and_keeps_the_order(p: list[float]) -> None:
    corrected = holm(list(p))
    assert all(c >= raw for c, raw in zip(corrected, p, strict=True))
    ranked = [c for _, c in sorted(zip(p, corrected, strict=True))]
    assert ranked == sorted(ranked)
    assert max(corrected) <= 1.0
