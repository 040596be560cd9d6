"""a-DCF, t-DCF and t-EER on hand-worked values and against slow plain loops."""

import numpy as np
import pytest

from sts_eval.audit.tandem import (
    ORGANISERS,
    TandemCosts,
    VerifierErrors,
    a_dcf,
    min_t_dcf,
    t_eer,
)


def test_a_dcf_by_hand() -> None:
    # (.9405 miss + .095 fa_nontarget + .5 fa_spoof) / .595; at 2: 0, 1/2, 1/2 -> .2975 / .595.
    found = a_dcf([2, 3], [1, 2.5], [0, 2.2])
    assert found.value == pytest.approx(0.5, abs=1e-9)
    assert found.threshold == 2
    # Accepting all costs .595, rejecting all .9405: a fused score that knows nothing gets 1.
    assert a_dcf([0], [0], [0]).value == pytest.approx(1)


def test_a_dcf_takes_the_constants_of_the_challenge_not_of_the_paper() -> None:
    # With the defaults of the a-DCF package (.9, .05, .05; 1, 10, 20) the same trials get:
    # at 2: (10 * .05 / 2 + 20 * .05 / 2) / .9 = .8333; at 3: .45 / .9 = .5.
    paper = TandemCosts(0.9, 0.05, 0.05, 1, 10, 20)
    assert a_dcf([2, 3], [1, 2.5], [0, 2.2], paper).value == pytest.approx(0.5)
    assert a_dcf([2, 3], [1, 2.5], [0, 2.2], paper).threshold == 3


def test_t_dcf_by_hand() -> None:
    # C0 = .9405 * .1 + .0095 * 10 * .2 = .11305; C1 = .82745; C2 = .05 * 10 * .5 = .25.
    # At 1: miss 0, fa 1/4: (.11305 + .0625) / (.11305 + .25) = .4835422.
    verifier = VerifierErrors(miss=0.1, false_alarm=0.2, false_alarm_spoof=0.5)
    found = min_t_dcf([1, 2, 3, 4], [0, 0.5, 2.5, -1], verifier)
    assert found.value == pytest.approx(0.4835422, abs=1e-7)
    assert found.threshold == 1


def test_t_dcf_of_a_perfect_countermeasure_is_what_the_verifier_costs() -> None:
    # Organisers: C0 = .9405 * .0188014 + .095 * .0188102 = .0194697, C2 = .5 * .4607083 = .2303541.
    assert min_t_dcf([1, 2], [0]).value == pytest.approx(0.0194697 / 0.2498238, abs=1e-6)
    assert min_t_dcf([0, 0], [0]).value == pytest.approx(1)


def test_a_verifier_that_is_worse_than_none_has_no_t_dcf() -> None:
    with pytest.raises(ValueError, match="more than rejecting every target"):
        min_t_dcf([1, 2], [0], VerifierErrors(1.0, 1.0, 0.5))


def test_priors_must_sum_to_one() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        TandemCosts(p_target=0.9)


# By hand. CM, bona fide {1, 3, 4, 5}, spoof {0, 2}: (miss, fa) = (0, 1) (0, 1/2) (1/4, 1/2)
# (1/4, 0) (1/2, 0) ... Verifier: at 0 (0, 1, 1), at .5 (0, 1/2, 1), at 1 (0, 1/2, 1/2), above that
# miss >= false alarm. Nearest to balance: (1/4, 0), (1/4, 0) and, of two at 1/16, the first, (1/4,
# 1/2). Distances |fa_non / fa_spf - fa_cm / (1 - miss_cm)|: 1, 1/2, 1/3. So 1/2 * 1/2 = 1/4.
CM = ([1, 4], [3, 5], [2, 0])
ASV = ([1, 2], [0, 1.5], [0.5, 3])


def test_t_eer_by_hand() -> None:
    assert t_eer(CM, ASV) == pytest.approx(0.25, abs=1e-12)


def test_t_eer_of_two_systems_at_work_and_where_it_is_undefined() -> None:
    assert t_eer(([1], [1], [0]), ([0], [0], [0])) == 0.0
    # The countermeasure is inverted: only "reject all" comes near to balance.
    assert t_eer(([0], [0], [1]), ([-1], [-2], [-3])) is None


def slow_t_eer(cm: list[np.ndarray], asv: list[np.ndarray]) -> float:
    """The definition, all pairs of thresholds, nothing shared with the fast path."""
    bona = np.concatenate(cm[:2])
    cm_rates = [
        (np.mean(bona < t), np.mean(cm[2] >= t)) for t in [*np.unique(np.concatenate(cm)), np.inf]
    ]
    best, value = np.inf, np.nan
    for t in [*np.unique(np.concatenate(asv)), np.inf]:
        miss, non, spf = np.mean(asv[0] < t), np.mean(asv[1] >= t), np.mean(asv[2] >= t)
        if spf == 0 or miss >= (non + spf) / 2:
            continue
        gaps = [abs(m + (1 - m) * miss - ((1 - m) * non + f * spf) / 2) for m, f in cm_rates]
        m, f = cm_rates[int(np.argmin(gaps))]
        if m < 1 and abs(non / spf - f / (1 - m)) < best:
            best, value = abs(non / spf - f / (1 - m)), f * spf
    return value


@pytest.mark.parametrize("seed", range(6))
def test_t_eer_equals_the_slow_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cm = [rng.normal(m, 1, n) for m, n in ((1.5, 31), (1.5, 47), (-1, 53))]
    asv = [rng.normal(m, 1, n) for m, n in ((2, 31), (-2, 47), (0.5, 53))]
    assert t_eer(tuple(cm), tuple(asv)) == pytest.approx(slow_t_eer(cm, asv), abs=1e-12)


def test_the_organisers_verifier_is_the_published_one() -> None:
    assert ORGANISERS.false_alarm == pytest.approx(0.018810, abs=5e-7)
    assert ORGANISERS.miss == pytest.approx(0.018801, abs=5e-7)
    assert ORGANISERS.false_alarm_spoof == pytest.approx(0.460708, abs=5e-7)
