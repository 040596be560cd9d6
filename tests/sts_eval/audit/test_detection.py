"""EER and detection costs on hand-worked values, against slow plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sts_eval.audit.detection import (
    ASVSPOOF5,
    CostModel,
    act_dcf,
    det_curve,
    eer,
    eer_rocch,
    min_dcf,
)
from sts_eval.audit.operating import operating_points

# Thresholds and rates by hand (miss of 4 bona fide, false alarm of 4 spoofed):
#   -1: 0 4/4 | 0: 0 3/4 | .5: 0 2/4 | 1: 0 1/4 | 2: 1/4 1/4 | 2.5: 2/4 1/4 | 3: 2/4 0 | 4: 3/4 0
BONA = [4.0, 1.0, 3.0, 2.0]
SPOOF = [0.5, -1.0, 2.5, 0.0]


def test_rates_at_every_threshold() -> None:
    points = operating_points(BONA, SPOOF)
    assert points.thresholds.tolist() == [-1, 0, 0.5, 1, 2, 2.5, 3, 4, np.inf]
    assert (points.miss * 4).tolist() == [0, 0, 0, 0, 1, 2, 2, 3, 4]
    assert (points.false_alarm() * 4).tolist() == [4, 3, 2, 1, 1, 1, 0, 0, 0]


def test_eer_is_the_mean_of_the_nearest_rates() -> None:
    found = eer(BONA, SPOOF)
    assert (found.value, found.threshold) == (0.25, 2.0)
    # Miss and false alarm at 0, 1, 2: 0 1 | 0 1/2 | 1/2 1/2.
    assert eer([1, 3], [0, 2]).value == 0.5
    # At 1: 0 1/3, a gap of 1/3; at 2: 1/2 1/3, a gap of 1/6; so (1/2 + 1/3) / 2.
    assert eer([1, 4], [0, 0.5, 2]).value == pytest.approx(5 / 12, abs=1e-12)


def test_eer_of_the_hull_interpolates() -> None:
    # The hull's edge from (fa 0, miss 1/2) to (fa 1/4, miss 0) meets the diagonal at 1/6.
    assert eer_rocch(BONA, SPOOF) == pytest.approx(1 / 6, abs=1e-12)


def test_costs_with_the_constants_of_asvspoof5() -> None:
    # 1.9 miss + fa: at 1 it is 0 + 1/4; at 3 it is 0.95.
    assert min_dcf(BONA, SPOOF).value == pytest.approx(0.25, abs=1e-12)
    assert min_dcf(BONA, SPOOF).threshold == 1.0
    # beta = 1 * .95 / (10 * .05) = 1.9; above -ln 1.9 lie 0, 0.5 and 2.5 of the spoofed.
    assert ASVSPOOF5.bayes_threshold == pytest.approx(-0.6418538861723947, abs=1e-12)
    assert act_dcf(BONA, SPOOF).value == pytest.approx(0.75, abs=1e-12)
    # -1 instead of 4: one of 4 bona fide is missed, 1.9 / 4 more.
    assert act_dcf([-1.0, 1, 3, 2], SPOOF).value == pytest.approx(0.475 + 0.75, abs=1e-12)


def test_a_useless_detector_costs_one_and_an_inverted_one_no_more() -> None:
    assert min_dcf([0.0], [0.0]).value == 1.0
    assert min_dcf(SPOOF, BONA).value == 1.0  # worse than chance: accept all is the best left


def test_perfect_separation() -> None:
    assert eer([1, 2], [-1, 0]).value == 0.0
    assert eer_rocch([1, 2], [-1, 0]) == 0.0
    assert min_dcf([1, 2], [-1, 0]).value == 0.0


def test_equal_scores_are_one_step_whatever_the_order() -> None:
    assert eer([1, 1, 1], [1, 1]).value == 0.5
    assert eer_rocch([1, 1, 1], [1, 1]) == 0.5
    # One tie: 0/1, 0/.5 (t=1), .5/0 (t=2): |.5| twice, the first: (0 + .5) / 2.
    assert eer([1, 2], [0, 1]).value == 0.25
    assert eer([2, 1], [1, 0]).value == 0.25


@pytest.mark.parametrize(
    ("bona", "spoof", "message"),
    [
        ([], [1.0], "has no trials"),
        ([1.0], [], "has no trials"),
        ([1.0, float("nan")], [0.0], "1 scores that are not finite"),
        ([1.0], [float("inf")], "not finite"),
        ([[1.0]], [0.0], "one-dimensional"),
    ],
)
def test_scores_that_cannot_be_used(bona: list, spoof: list, message: str) -> None:
    for metric in (eer, eer_rocch, min_dcf, act_dcf):
        with pytest.raises(ValueError, match=message):
            metric(bona, spoof)


def test_cost_model_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="prior within"):
        CostModel(p_spoof=1.0, c_miss=1, c_fa=10)


def test_det_curve_is_on_the_normal_deviate_scale() -> None:
    curve = det_curve([1, 2], [0, 3])
    # At 2: miss 1/2 -> probit 0; false alarm 1/2 -> 0. Reject all: miss 1 -> +inf.
    at = curve.thresholds.tolist().index(2.0)
    assert (curve.miss_probit[at], curve.false_alarm_probit[at]) == (0.0, 0.0)
    assert curve.miss_probit[-1] == np.inf


scores = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(scores, scores)
def test_against_plain_loops(bona: list[float], spoof: list[float]) -> None:
    rates = []
    for threshold in [*sorted({*bona, *spoof}), np.inf]:
        miss = sum(s < threshold for s in bona) / len(bona)
        rates.append((miss, sum(s >= threshold for s in spoof) / len(spoof)))
    assert min_dcf(bona, spoof).value == pytest.approx(min(1.9 * m + f for m, f in rates))
    gaps = [abs(m - f) for m, f in rates]
    nearest = next(i for i, gap in enumerate(gaps) if gap <= min(gaps) + 1e-12)
    assert eer(bona, spoof).value == pytest.approx(sum(rates[nearest]) / 2)
    assert eer_rocch(bona, spoof) <= 0.5
    assert eer_rocch(bona, spoof) <= max(rates[nearest]) + 1e-12
