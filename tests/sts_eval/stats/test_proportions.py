"""Rates: hand-worked intervals, exact tests, effective numbers, paired rates."""

import numpy as np
import pytest

from sts_eval.stats.proportions import (
    Discordance,
    clopper_pearson,
    effective_n,
    indicator,
    needed_for_perfect,
    p_count_at_least,
    p_count_at_most,
    rate_bounds,
    tango_bounds,
    tango_z,
    wilson,
)


def test_wilson_matches_a_worked_example() -> None:
    # Newcombe (Statistics in Medicine 1998), table I: 81 of 263, score method without correction.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_clopper_pearson_matches_a_worked_example() -> None:
    # The same table, "exact" method.
    assert clopper_pearson(81, 263) == pytest.approx((0.2527, 0.3676), abs=5e-5)


def test_zero_and_all_events_have_the_closed_form() -> None:
    bound = 1 - 0.025 ** (1 / 20)
    assert rate_bounds(0, 20, 20) == pytest.approx((0.0, bound))
    assert rate_bounds(20, 20, 20) == pytest.approx((1 - bound, 1.0))


def test_between_them_rates_use_wilson() -> None:
    assert rate_bounds(19, 20, 20) == wilson(19, 20)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
def test_needed_for_perfect_is_the_smallest_n(share: float) -> None:
    n = needed_for_perfect(share)
    assert clopper_pearson(n, n).lo >= share
    assert clopper_pearson(n - 1, n - 1).lo < share


def test_needed_for_perfect_of_95_percent() -> None:
    assert needed_for_perfect(0.95) == 72
    with pytest.raises(ValueError, match="cannot be shown"):
        needed_for_perfect(1.0)


def test_binomial_tails_match_sums() -> None:
    # Bin(4, 1/2): 1 4 6 4 1 of 16.
    assert p_count_at_most(1, 4, 0.5) == pytest.approx(5 / 16)
    assert p_count_at_least(3, 4, 0.5) == pytest.approx(5 / 16)
    assert p_count_at_most(4, 4, 0.5) == 1.0
    assert p_count_at_least(0, 4, 0.5) == 1.0


def test_one_observation_per_cluster_counts_in_full() -> None:
    event = np.array([1, 0, 1, 1, 0])
    assert effective_n(event, np.arange(5)) == 5


def test_clusters_that_repeat_themselves_count_less() -> None:
    cluster = np.repeat(np.arange(20), 5)
    same = np.repeat(np.arange(20) % 2, 5)
    mixed = np.tile([0, 1, 0, 1, 1], 20)
    assert effective_n(same, cluster) < 25  # close to the 20 clusters
    assert effective_n(mixed, cluster) > 80  # close to the 100 observations


def test_no_event_counts_between_clusters_and_observations() -> None:
    cluster = np.repeat(np.arange(16), 4)
    assert 16 < effective_n(np.zeros(64, np.int64), cluster) < 40


def test_one_more_failure_never_looks_better() -> None:
    cluster = np.repeat(np.arange(16), 4)
    bounds = []
    for failures in range(6):
        event = np.ones(64, np.int64)
        event[np.arange(failures) * 4] = 0
        bounds.append(rate_bounds(64 - failures, 64, effective_n(event, cluster)).lo)
    assert bounds == sorted(bounds, reverse=True)


def test_a_single_cluster_is_one_observation() -> None:
    assert effective_n(np.array([1, 0, 1]), np.zeros(3, np.int64)) == 1


def test_rates_need_zeros_and_ones() -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        indicator(np.array([0.0, 0.5]))


@pytest.mark.parametrize("pairs", [(1, 0, 44), (9, 2, 60), (3, 7, 30), (4, 4, 20)])
@pytest.mark.parametrize("difference", [-0.2, -0.01, 0.05, 0.3])
def test_tango_uses_the_likelihood_under_the_constraint(
    pairs: tuple[int, int, int], difference: float
) -> None:
    gained, lost, n = pairs
    # P(lost) = q, P(gained) = q + difference: the likeliest q, by search.
    q = np.linspace(max(0, -difference), (1 - difference) / 2, 400_001)[1:-1]
    likelihood = gained * np.log(q + difference) + lost * np.log(q)
    likelihood += (n - gained - lost) * np.log(1 - 2 * q - difference)
    best = q[np.argmax(likelihood)]
    z = (gained - lost - n * difference) / np.sqrt(n * (2 * best + difference - difference**2))
    assert tango_z(Discordance(gained, lost, n), difference) == pytest.approx(z, abs=2e-3)


@pytest.mark.parametrize("pairs", [(1, 0, 44), (9, 2, 60), (0, 5, 12)])
def test_tango_bounds_are_where_the_score_is_significant(pairs: tuple[int, int, int]) -> None:
    lo, hi = tango_bounds(Discordance(*pairs))
    assert lo is not None
    assert hi is not None
    assert tango_z(Discordance(*pairs), lo) == pytest.approx(1.96, abs=1e-3)
    assert tango_z(Discordance(*pairs), hi) == pytest.approx(-1.96, abs=1e-3)


def test_tango_with_no_changed_pair_still_has_room() -> None:
    lo, hi = tango_bounds(Discordance(0, 0, 64))
    assert hi == pytest.approx(1.96**2 / (64 + 1.96**2), abs=1e-4)
    assert lo == pytest.approx(-hi)
