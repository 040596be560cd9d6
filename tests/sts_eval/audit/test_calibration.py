"""Calibration: known answers, limits by hand, separated data, polarity, files."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from sts_eval.audit import AuditError
from sts_eval.audit.calibration import (
    Misleading,
    family_limit,
    fit,
    hold_for_families,
    limits,
    load,
    regress,
    save,
)
from sts_eval.audit.likelihood import cllr


def normals(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores 3 s + 5 of bona fide N(1, 1) and spoof N(-1, 1): ln LR = 2 (score - 5) / 3."""
    rng = np.random.default_rng(seed)
    return 3 * rng.normal(1, 1, n) + 5, 3 * rng.normal(-1, 1, 2 * n) + 5


def test_equal_normals_give_the_linear_ratio() -> None:
    found = fit(*normals(20_000))
    assert found.slope == pytest.approx(2 / 3, rel=0.03)
    assert found.offset == pytest.approx(-10 / 3, rel=0.03)


def test_regression_on_two_features_finds_both_slopes() -> None:
    """N(+-m, 1) in two independent features: ln LR = 2 m1 x1 + 2 m2 x2 (equal variances)."""
    rng = np.random.default_rng(3)
    middle = np.array([1.0, -0.5])
    bona, spoof = rng.normal(middle, 1, (30_000, 2)), rng.normal(-middle, 1, (30_000, 2))
    slopes, offset = regress(bona + 4, spoof + 4)
    assert slopes == pytest.approx(2 * middle, rel=0.04)
    assert offset == pytest.approx(-4 * slopes.sum(), abs=0.05)
    still = regress(np.ones((5, 2)), np.ones((5, 2)))
    assert still[0].tolist() == [0, 0]


def test_the_prior_moves_nothing_but_the_weights() -> None:
    bona, spoof = normals(20_000)
    found = fit(bona, spoof, prior=0.05)
    assert found.slope == pytest.approx(2 / 3, rel=0.06)
    assert found.offset == pytest.approx(-10 / 3, rel=0.06)


def test_calibration_lowers_cllr_to_near_its_minimum() -> None:
    found = fit(*normals(400))
    assert found.cllr_before > 1
    assert found.cllr_after is not None
    assert found.cllr_min < found.cllr_after < found.cllr_min + 0.1
    fresh = normals(400, seed=1)
    held_out = cllr(found(fresh[0]), found(fresh[1]))
    assert held_out == pytest.approx(found.cllr_after, abs=0.05)


def test_separated_data_get_a_finite_slope_and_limits_of_their_size() -> None:
    found = fit(np.arange(10.0) + 50, -np.arange(20.0) - 50)
    assert math.isfinite(found.slope)
    # No error among 10 and 20; with one imagined each: (1 - 1/11) / (1/21) = 210/11 at most, and
    # for the spoofed (1 - 1/21) / (1/11) = 220/21.
    llr = found([1e6, -1e6])
    assert llr[0] <= math.log(210 / 11) + 1e-12
    assert llr[1] >= -math.log(220 / 21) - 1e-12
    assert llr[0] > 1
    assert llr[1] < -1


def test_limits_by_hand() -> None:
    # 10 right, 10 wrong, all at ln LR +-3: on (1, e^3] miss = 1/11, false alarm = 1/11; holds up
    # to t = (10/11) / (1/11) = 10 < e^3.
    assert limits(np.full(10, 3.0), np.full(10, -3.0), 10, 10) == pytest.approx(
        (-math.log(10), math.log(10))
    )
    # All at +-2: holds on all of (1, e^2]; beyond it every bona fide trial would be missed.
    assert limits(np.full(10, 2.0), np.full(10, -2.0), 10, 10) == pytest.approx((-2, 2))
    # The same values of 2 speakers a class: (1 - 1/3) / (1/3) = 2.
    assert limits(np.full(10, 3.0), np.full(10, -3.0), 2, 2) == pytest.approx(
        (-math.log(2), math.log(2))
    )


def test_scores_that_do_not_discriminate_are_no_evidence() -> None:
    assert limits(np.array([1.0, -1]), np.array([1.0, -1]), 2, 2) == (0, 0)


def test_limits_grow_with_the_number_of_trials() -> None:
    bona, spoof = normals(2000)
    small, large = fit(bona[:30], spoof[:30]), fit(bona, spoof)
    assert small.upper < math.log(31)
    assert small.upper < large.upper < math.log(4001)


def test_speakers_count_not_their_recordings() -> None:
    bona, spoof = normals(200)
    speakers = np.arange(200) % 8, np.arange(400) % 8 + 100
    found = fit(bona, spoof, speakers=speakers)
    assert (found.n_clusters_bonafide, found.n_clusters_spoof) == (8, 8)
    assert found.upper <= math.log(9)
    assert found.upper < fit(bona, spoof).upper


def test_the_held_out_cllr_is_of_other_speakers() -> None:
    """Each speaker has his own offset: held out by trial the loss looks smaller than it is."""
    rng = np.random.default_rng(0)
    of = np.repeat(np.arange(10), 30)
    shift = 3 * rng.normal(size=20)
    bona, spoof = rng.normal(1, 0.3, 300) + shift[of], rng.normal(-1, 0.3, 300) + shift[of + 10]
    by_speaker = fit(bona, spoof, speakers=(of, of + 10)).cllr_after
    by_trial = fit(bona, spoof).cllr_after
    assert by_speaker is not None
    assert by_trial is not None
    assert by_speaker > by_trial


def test_too_few_speakers_hold_none_out() -> None:
    bona, spoof = normals(20)
    found = fit(bona, spoof, speakers=(np.zeros(20, int), np.ones(40, int)))
    assert found.cllr_after is None


@pytest.mark.parametrize(
    ("bona", "spoof"), [([0.0, 1], [2.0, 3]), ([1.0, 1], [1.0, 1])], ids=["inverted", "constant"]
)
def test_wrong_polarity_is_refused(bona: list[float], spoof: list[float]) -> None:
    with pytest.raises(AuditError, match="polarity"):
        fit(bona, spoof)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="no trials"):
        fit([], [1.0])
    with pytest.raises(ValueError, match="prior"):
        fit([1.0], [0.0], prior=1.0)
    with pytest.raises(ValueError, match="one speaker label per trial"):
        fit([1.0, 2], [0.0], speakers=(["a"], ["b"]))


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    found = fit(*normals(50))
    save(found, tmp_path / "c.json")
    assert load(tmp_path / "c.json") == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slope": -1}, "slope"),
        ({"slope": "x"}, "slope"),
        ({"upper": -0.5}, "upper"),
        ({"schema": "sts-eval/calibration/3"}, "schema"),
        ({"schema": "sts-eval/calibration/2"}, "file"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    path = tmp_path / "c.json"
    save(fit(*normals(50)), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(AuditError, match=rf"c\.json: {message}"):
        load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="No such file"):
        load(tmp_path / "none.json")


def test_misleading_trials_are_counted_by_family_and_for_genuine() -> None:
    known = fit(np.linspace(-1, 2, 31), np.linspace(-2, 1, 31)).model_copy(
        update={"slope": math.log(10), "offset": 0.0, "lower": -9.0, "upper": 9.0}
    )
    held = hold_for_families(
        known, [2.0, -0.5, -1.5, 0.1], [1.5, 0.4, -1.0, -2.0], ["a", "a", "a", "b"]
    )
    assert held.misleading == {
        "genuine": Misleading(n=4, weak=0.5, decisive=0.25),
        "a": Misleading(n=3, weak=0.6667, decisive=0.3333),
        "b": Misleading(n=1, weak=0.0, decisive=0.0),
    }
    assert held.upper == 9.0  # three trials contradict nothing


def test_no_family_may_mislead_more_often_than_the_ratio_says() -> None:
    at = math.log(10) * np.array([1.5])
    often = np.concatenate([np.repeat(at, 40), np.full(60, -1.0)])
    # 40 of 100: the exact interval begins at 0.30330, so that 3.3 to one is the most
    assert math.exp(family_limit(often)) == pytest.approx(1 / 0.30330, rel=1e-3)
    assert family_limit(np.concatenate([np.repeat(at, 2), np.full(98, -1.0)])) == math.inf
    assert family_limit(np.full(10, -1.0)) == math.inf
    # many weak ones first, then none: the limit is where they end, at most
    assert family_limit(np.full(100, 0.5)) == pytest.approx(-math.log(0.96378), abs=1e-4)
    known = fit(np.linspace(-1, 2, 31), np.linspace(-2, 1, 31)).model_copy(
        update={"slope": 1.0, "offset": 0.0, "lower": -9.0, "upper": 3.0}
    )
    families = ["a"] * 100 + ["b"] * 100
    spoof = np.concatenate([np.full(100, -2.0), often])
    assert hold_for_families(known, [1.0, 2.0], spoof, families).upper == family_limit(often)
    assert hold_for_families(known, [1.0, 2.0], spoof[:100], families[:100]).upper == 3.0
