"""Shares corrected for a judge's errors: hand-worked values, coverage, and where it refuses."""

import numpy as np
import pytest

from sts_eval.metrics.correction import corrected_share, invert_confusion, rogan_gladen
from sts_eval.stats.sample import make_sample


def run_of(ones, n):
    return make_sample([(f"c{k}", f"s{k}", float(k < ones)) for k in range(n)])


def test_hand_worked():
    # 90 % of the right ones and 5 % of the wrong ones are called right; 60 % of all were
    assert rogan_gladen(0.6, 0.9, 0.95) == pytest.approx((0.6 - 0.05) / 0.85)
    assert rogan_gladen(0.9, 0.9, 1.0) == pytest.approx(1.0)
    assert rogan_gladen(0.5, 1.0, 1.0) == pytest.approx(0.5)


def test_two_outcomes_by_matrix_are_rogan_and_gladen():
    confusion = np.array([[0.9, 0.05], [0.1, 0.95]])
    true = invert_confusion([0.6, 0.4], confusion)
    assert true[0] == pytest.approx(rogan_gladen(0.6, 0.9, 0.95))
    assert true.sum() == pytest.approx(1.0)


def test_three_outcomes_come_back():
    confusion = np.array([[0.8, 0.1, 0.0], [0.1, 0.8, 0.2], [0.1, 0.1, 0.8]])
    true = np.array([0.5, 0.3, 0.2])
    assert invert_confusion(confusion @ true, confusion) == pytest.approx(true)


def test_negative_shares_are_set_to_nothing():
    true = invert_confusion([1.0, 0.0], np.array([[0.9, 0.1], [0.1, 0.9]]))
    assert true == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize("confusion", [np.eye(3), np.full((2, 2), 0.5)])
def test_matrices_that_cannot_be_used(confusion):
    with pytest.raises(ValueError, match=r"confusion matrix|inverse"):
        invert_confusion([0.5, 0.5], confusion)


def test_a_judge_near_chance_corrects_nothing():
    with pytest.raises(ValueError, match="near chance"):
        rogan_gladen(0.5, 0.5, 0.5)


def test_a_value_beyond_one_is_clipped_and_says_so():
    right, wrong = np.r_[np.ones(90), np.zeros(10)], np.ones(100)
    found = corrected_share(run_of(50, 50), right, wrong, seed=1, name="x")
    assert found.clipped
    assert found.value == 1.0
    assert found.lo <= 1.0
    assert found.hi == 1.0
    assert found.observed == 1.0


def test_without_errors_of_the_judge_the_share_stays():
    found = corrected_share(run_of(30, 40), np.ones(50), np.ones(50), seed=1, name="x")
    assert found.value == pytest.approx(0.75)
    assert 0.55 < found.lo < 0.75 < found.hi < 0.92
    assert not found.clipped


def test_the_interval_holds_the_truth_95_times_in_100(rng):
    held, true, sense, spec = 0, 0.7, 0.88, 0.98
    for number in range(200):
        truth = rng.random(120) < true
        called = np.where(truth, rng.random(120) < sense, rng.random(120) >= spec)
        run = make_sample([(f"c{k}", f"s{k}", float(x)) for k, x in enumerate(called)])
        right = (rng.random(104) < sense).astype(float)
        wrong = (rng.random(104) < spec).astype(float)
        found = corrected_share(run, right, wrong, seed=number, name="coverage")
        held += found.lo <= true <= found.hi
    assert 180 <= held <= 200


def test_what_cannot_be_corrected():
    for run in (run_of(0, 0), run_of(1, 1)):
        with pytest.raises(ValueError, match="two clusters"):
            corrected_share(run, np.ones(5), np.ones(5), seed=1, name="x")
    with pytest.raises(ValueError, match="two clusters"):
        corrected_share(run_of(3, 5), np.ones(5), np.ones(4), seed=1, name="x")
