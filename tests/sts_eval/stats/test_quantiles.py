"""Quantiles: order-statistic intervals, and what small samples cannot say."""

import numpy as np
import pytest

from sts_eval.stats.quantiles import (
    needed_for_bound,
    p_quantile_at_least,
    p_quantile_at_most,
    parse_quantile,
    quantile_bounds,
)
from sts_eval.stats.sample import Sample, make_sample


def independent(values: list[float]) -> Sample:
    return make_sample((f"c{i}", f"s{i}", value) for i, value in enumerate(values))


def one_to(n: int) -> Sample:
    return independent([float(i) for i in range(1, n + 1)])


def test_median_of_ten_is_between_the_second_and_the_ninth() -> None:
    # Textbook: P(Bin(10, 1/2) <= 1) = 11/1024 = 0.0107, P(... <= 2) = 0.0547.
    assert quantile_bounds(one_to(10), 0.5) == (2.0, 9.0)


def test_median_of_five_has_no_interval() -> None:
    assert quantile_bounds(one_to(5), 0.5) == (None, None)
    assert quantile_bounds(one_to(6), 0.5) == (1.0, 6.0)


@pytest.mark.parametrize(("q", "n"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368)])
def test_the_upper_bound_begins_where_it_is_said_to(q: float, n: int) -> None:
    assert needed_for_bound(q) == n
    assert quantile_bounds(one_to(n), q).hi == n
    assert quantile_bounds(one_to(n - 1), q).hi is None


def test_p99_of_sixty_has_only_a_lower_bound() -> None:
    lo, hi = quantile_bounds(one_to(60), 0.99)
    assert hi is None
    assert lo == 58.0  # P(Bin(60, 0.99) <= 57) = 0.022, P(... <= 58) = 0.121


def test_all_equal_values_give_that_value() -> None:
    assert quantile_bounds(independent([7.0] * 40), 0.5) == (7.0, 7.0)


def test_test_and_interval_agree() -> None:
    sample = independent(list(np.random.default_rng(3).normal(size=50)))
    lo, hi = quantile_bounds(sample, 0.5)
    assert lo is not None
    assert hi is not None
    assert p_quantile_at_most(sample, 0.5, np.nextafter(lo, -9)) <= 0.025
    assert p_quantile_at_most(sample, 0.5, lo) > 0.025
    assert p_quantile_at_least(sample, 0.5, np.nextafter(hi, 9)) <= 0.025
    assert p_quantile_at_least(sample, 0.5, hi) > 0.025


def test_p_of_a_quantile_is_a_binomial_tail() -> None:
    # 10 values, 1 of them at most 1: P(Bin(10, 1/2) <= 1) = 11/1024.
    assert p_quantile_at_most(one_to(10), 0.5, 1.0) == pytest.approx(11 / 1024)


def test_clusters_widen_the_interval() -> None:
    values = np.repeat(np.arange(12.0), 5)
    together = make_sample((f"c{i // 5}", f"s{i}", v) for i, v in enumerate(values))
    apart = independent(list(values))
    wide, narrow = quantile_bounds(together, 0.5), quantile_bounds(apart, 0.5)
    assert wide.lo < narrow.lo
    assert wide.hi > narrow.hi


def test_parse_quantile() -> None:
    assert parse_quantile("p95") == pytest.approx(0.95)
    assert parse_quantile("p99.9") == pytest.approx(0.999)
    assert [parse_quantile(name) for name in ("mean", "p0", "p100", "pxy", "max")] == [None] * 5
