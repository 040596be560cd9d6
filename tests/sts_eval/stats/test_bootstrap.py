"""The cluster bootstrap against hand-worked values and a slow, plain implementation."""

import numpy as np
import pytest

from sts_eval.stats.bootstrap import Resampled, weighted_mean, weighted_quantile
from sts_eval.stats.sample import generator, make_sample
from sts_eval.stats.summary import mean_draws


def test_weighted_mean_pools_before_dividing() -> None:
    weight = np.array([[2, 0], [1, 1]])
    # clusters {1, 2} and {6}: twice the first -> 6/4; once each -> 9/3
    means = weighted_mean(weight, np.array([3.0, 6.0]), np.array([2, 1]))
    assert means == pytest.approx([1.5, 3.0])


@pytest.mark.parametrize("q", [0.0, 0.25, 0.5, 0.95, 1.0])
def test_weighted_quantile_equals_the_quantile_of_the_drawn_values(q: float) -> None:
    rng = np.random.default_rng(5)
    values = np.sort(rng.normal(size=17))
    owner = rng.integers(0, 6, 17)
    owner[:6] = np.arange(6)
    weight = rng.multinomial(6, np.full(6, 1 / 6), size=40)
    slow = [np.quantile(np.repeat(values, row[owner]), q) for row in weight]
    assert weighted_quantile(weight, values, owner, q) == pytest.approx(slow)


def test_bounds_have_the_width_of_students_interval_for_a_normal_mean() -> None:
    values = np.random.default_rng(2).normal(size=12)
    sample = make_sample((f"c{i}", f"s{i}", v) for i, v in enumerate(values))
    lo, hi = mean_draws(sample, generator("x", 0)).bounds()
    student = 2 * 2.201 * values.std(ddof=1) / np.sqrt(12)
    assert hi - lo == pytest.approx(student, rel=0.12)


def test_p_value_and_interval_agree() -> None:
    values = np.random.default_rng(4).exponential(size=30)
    sample = make_sample((f"c{i}", f"s{i}", v) for i, v in enumerate(values))
    draws = mean_draws(sample, generator("x", 0))
    lo, hi = draws.bounds()
    assert draws.p_at_most(lo) == pytest.approx(0.025, abs=0.004)
    assert draws.p_at_least(hi) == pytest.approx(0.025, abs=0.004)


def test_p_falls_without_end_as_the_bound_moves_away() -> None:
    draws = Resampled(10.0, np.random.default_rng(0).normal(10, 1, 4000), 40)
    p = [draws.p_at_most(bound) for bound in (10.0, 8.0, 6.0, 4.0, 0.0)]
    assert p == sorted(p, reverse=True)
    assert p[0] == pytest.approx(0.5, abs=0.03)
    assert p[-1] < 1e-8


def test_draws_that_do_not_differ_use_the_sign_test() -> None:
    draws = Resampled(5.0, np.full(4000, 5.0), 8)
    assert draws.bounds() == (5.0, 5.0)
    assert draws.p_at_most(5.0) == 1.0
    assert draws.p_at_most(4.0) == 0.5**8
    assert draws.p_at_least(4.0) == 1.0


def test_few_clusters_use_student() -> None:
    sample = make_sample([("a", "1", 1.0), ("b", "2", 2.0), ("c", "3", 3.0)])
    lo, hi = mean_draws(sample, generator("x", 0)).bounds()
    # mean 2, standard error 1/sqrt(3), t[2] = 4.303
    assert (hi - lo) / 2 == pytest.approx(4.303 / np.sqrt(3), rel=0.05)
    assert (hi + lo) / 2 == pytest.approx(2.0)
