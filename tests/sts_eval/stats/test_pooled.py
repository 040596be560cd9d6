"""Ratios and differences of rates over clusters: hand-worked, and where all clusters agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sts_eval.stats.pooled import Counts, rate_difference, ratio
from sts_eval.stats.proportions import clopper_pearson


def test_a_ratio_divides_once():
    found = ratio({"a": Counts(1, 1), "b": Counts(0, 3)}, seed=1, name="x")
    assert found.value == pytest.approx(0.25)
    assert found.bounds.lo < 0.25 < found.bounds.hi
    assert found == ratio({"b": Counts(0, 3), "a": Counts(1, 1)}, seed=1, name="x")


def test_clusters_that_are_all_alike_say_that_chance_cannot_be_seen():
    found = ratio({name: Counts(0, 3) for name in "abcdef"}, seed=1, name="x")
    assert (found.value, found.bounds.lo, found.bounds.hi) == (0, 0, 0)
    assert "chance cannot be seen" in found.reason


def test_one_cluster_or_none_gives_no_interval():
    alone = ratio({"a": Counts(1, 2)}, seed=1, name="x")
    assert (alone.value, alone.bounds.lo, alone.bounds.hi) == (0.5, None, None)
    assert "one cluster" in alone.reason
    assert ratio({}, seed=1, name="x").value is None
    assert ratio({"a": Counts(0, 0)}, seed=1, name="x").value is None
    one = {"a": Counts(1, 2)}
    assert rate_difference(one, one, units=2, seed=1, name="x").bounds.lo is None
    assert rate_difference(one, {"b": Counts(1, 2)}, units=2, seed=1, name="x").value is None


def test_where_all_clusters_agree_the_interval_is_that_of_the_units():
    first = {name: Counts(0, 12) for name in "abcdef"}
    second = {name: Counts(0, 2) for name in "abcdef"}
    found = rate_difference(first, second, units=12, seed=1, name="x")
    end = clopper_pearson(0, 12).hi
    assert found.value == 0.0
    assert found.bounds == pytest.approx((-end, end), abs=1e-6)


def test_clusters_that_disagree_widen_the_interval():
    none = {name: Counts(0, 100) for name in "abcdef"}
    even = {name: Counts(50, 100) for name in "abcdef"}
    torn = {name: Counts(100 * (name in "abc"), 100) for name in "abcdef"}
    alike = rate_difference(even, none, units=600, seed=1, name="x")
    apart = rate_difference(torn, none, units=600, seed=1, name="x")
    assert alike.value == apart.value == 0.5
    assert apart.bounds.hi - apart.bounds.lo > 3 * (alike.bounds.hi - alike.bounds.lo)


COUNTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=7)


@given(COUNTS)
def test_a_difference_turns_its_sign_with_its_sides(pairs):
    first = {str(n): Counts(a, 9) for n, (a, _) in enumerate(pairs)}
    second = {str(n): Counts(b, 9) for n, (_, b) in enumerate(pairs)}
    one = rate_difference(first, second, units=9, seed=3, name="x")
    two = rate_difference(second, first, units=9, seed=3, name="x")
    assert one.value == pytest.approx(-two.value)
    assert -1 <= one.bounds.lo <= one.value <= one.bounds.hi <= 1
    assert one.bounds.lo == pytest.approx(-two.bounds.hi, abs=1e-3)
