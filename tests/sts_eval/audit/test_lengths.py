"""Calibration for recordings of any length: by hand, on scores of known correlation, in files."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from sts_eval.audit import AuditError
from sts_eval.audit.calibration import Calibration, fit, load, save
from sts_eval.audit.case.examine import misled
from sts_eval.audit.case.parts import Part, mean_ratio, side_by_side
from sts_eval.audit.case.ratio import Ratio
from sts_eval.audit.length_fit import Line, Trials, _at, fit_lengths, fit_line
from sts_eval.audit.lengths import AtLength, Lengths, Misleading, gain
from sts_eval.audit.likelihood import cllr

LENGTHS = (1.0, 2.0, 3.0, 4.0)


def normals(n: int, correlation: float, seed: int = 0) -> Trials:
    """Recordings of four independent windows: N(+-1, 1) each, `correlation` of it in common.

    ln LR of the mean of k windows: 2 s / (correlation + (1 - correlation) / k), s up to 5 + 3 s.
    """
    rng = np.random.default_rng(seed)
    genuine = np.arange(n) % 2 == 0
    common = math.sqrt(correlation) * rng.normal(size=(n, 1))
    windows = common + math.sqrt(1 - correlation) * rng.normal(size=(n, 4))
    windows += np.where(genuine, 1, -1)[:, None]
    scores = [3 * windows[:, : int(k)].mean(axis=1) + 5 for k in LENGTHS]
    of = np.array([f"{'person' if k % 2 == 0 else 'machine'} {k // 2 % 40}" for k in range(n)])
    family = np.where(genuine, "", np.where(np.arange(n) % 4 == 1, "a", "b"))
    return Trials(
        np.concatenate(scores),
        np.repeat(LENGTHS, n),
        np.tile(genuine, 4),
        np.tile(of, 4),
        np.tile(family, 4),
    )


def table(**change: object) -> Calibration:
    """ln LR = ln 10 times score for one window; twice that for three with correlation 0.25."""
    row = AtLength(
        windows=3.0, lower=-3.0, upper=1.5, n_bonafide=10, n_spoof=10, cllr_after=None,
        cllr_min=0.5,
        misleading={"a": Misleading(n=7, weak=0.2, decisive=0.1)},
    )  # fmt: skip
    known = fit(np.linspace(-1, 2, 31), np.linspace(-2, 1, 31))
    update = {
        "slope": math.log(10), "offset": 0.0, "lower": -2.0, "upper": 1.0,
        "misleading": {"a": Misleading(n=5, weak=0.4, decisive=0.0)},
        "schema_": "sts-eval/calibration/2",
        "lengths": Lengths(correlation=0.25, at=(row,)),
    }  # fmt: skip
    return known.model_copy(update=update | change)


def test_gain_by_hand() -> None:
    # variance of one window 1, of the mean of 4: 0.25 + 0.75 / 4 = 0.4375
    assert gain([1, 4], 0.25) == pytest.approx([1, 1 / 0.4375])
    assert gain([1, 4, 100], 1.0) == pytest.approx([1, 1, 1])  # nothing is averaged away
    assert gain([1, 4], 0.0) == pytest.approx([1, 4])  # independent windows
    known = Lengths(correlation=0.25, at=table().lengths.at)
    assert known.gain([0.4, 1, 3, 50]) == pytest.approx([1, 1, 2, 2])  # none beyond the longest
    assert known.rows([0.5, 1, 2.9, 3.0, 9]).tolist() == [0, 0, 0, 1, 1]


def test_ratios_and_limits_by_length_by_hand() -> None:
    known = table()
    ten = math.log(10)
    assert known([0.2, 0.2, -0.4], [1, 3, 3]) == pytest.approx([0.2 * ten, 0.4 * ten, -0.8 * ten])
    # limits: [-2, 1] of one window and of two, [-3, 1.5] of three
    assert known([9, 9, 9], [1, 2, 3]).tolist() == [1.0, 1.0, 1.5]
    assert known([-9, -9, -9], [1, 2.5, 7]).tolist() == [-2.0, -2.0, -3.0]
    assert known.log10_lr([0.2]) == pytest.approx([0.2])  # of one window, where no length is told
    assert known.reach == (-3.0, 1.5)
    assert known.misleading_at(2) == known.misleading
    assert known.misleading_at(3) == known.lengths.at[0].misleading


def test_schema_1_reads_all_lengths_alike() -> None:
    known = fit(np.linspace(-1, 2, 31), np.linspace(-2, 1, 31))
    assert known.schema_.endswith("/1")
    assert known([0.1, 0.1], [1, 9]).tolist() == known([0.1, 0.1]).tolist()
    assert known.reach == (known.lower, known.upper)


def test_the_correlation_of_the_scores_is_found() -> None:
    for correlation in (0.0, 0.3, 0.8, 1.0):
        line = fit_line(normals(24_000, correlation))
        assert line.correlation == pytest.approx(correlation, abs=0.06)
        assert line.slope == pytest.approx(2 / 3, rel=0.06)
        assert line.offset == pytest.approx(-10 / 3, rel=0.06)


def test_each_length_is_calibrated_and_the_longer_ones_say_more() -> None:
    known, fresh = fit_lengths(normals(8000, 0.3)), normals(8000, 0.3, seed=1)
    costs, kept = [], [known.cllr_after, *(each.cllr_after for each in known.lengths.at)]
    for windows, held_out in zip(LENGTHS, kept, strict=True):
        some = fresh.only(fresh.windows == windows)
        llr = known(some.scores, some.windows)
        costs.append(cllr(llr[some.genuine], llr[~some.genuine]))
        assert held_out == pytest.approx(costs[-1], abs=0.03)
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < costs[0] - 0.1
    # one that takes every length for one window gains less of the same scores
    some = fresh.only(fresh.windows == 4)
    alike = known(some.scores)
    assert cllr(alike[some.genuine], alike[~some.genuine]) > costs[-1]
    assert known.n_clusters_bonafide == 40


def test_correlated_windows_taken_for_independent_would_mislead() -> None:
    """What the fit is there to prevent: windows that all say the same thing."""
    trials = normals(4000, 0.9)
    honest, some = fit_line(trials), trials.only(trials.windows == 4)
    naive = honest._replace(correlation=0.0)
    costs = []
    for line in (honest, naive):
        llr = line(some.scores, some.windows)
        costs.append(cllr(llr[some.genuine], llr[~some.genuine]))
    assert costs[0] < costs[1] - 0.05


def test_a_family_that_misleads_longer_recordings_lowers_their_limit_alone() -> None:
    """Family b is spoofed, and of two windows or more it scores as people do."""
    trials = normals(2000, 0.3)
    longer = (trials.families == "b") & (trials.windows > 1)
    known = fit_lengths(trials._replace(scores=np.where(longer, 8.0, trials.scores)))
    assert known.lengths is not None
    assert all(each.upper < math.log(2) for each in known.lengths.at)
    assert known.upper > math.log(2)
    assert known.misleading is not None
    assert known.misleading["b"].n == 500


def test_unusable_trials_are_refused() -> None:
    trials = normals(200, 0.3)
    with pytest.raises(AuditError, match="polarity"):
        fit_lengths(trials._replace(scores=-trials.scores))
    with pytest.raises(AuditError, match="one window and of more"):
        fit_lengths(trials.only(trials.windows == 1))
    with pytest.raises(AuditError, match="one window and of more"):
        fit_lengths(trials.only(trials.windows > 1))
    with pytest.raises(AuditError, match="2 windows are all of one class"):
        fit_lengths(trials.only((trials.windows != 2) | trials.genuine))
    one = trials._replace(voices=np.where(trials.genuine, "one", "other"))
    assert fit_lengths(one).cllr_after is None  # nobody can be held out


def test_files(tmp_path: Path) -> None:
    known, path = fit_lengths(normals(400, 0.3)), tmp_path / "c.json"
    save(known, path)
    assert load(path) == known
    content = json.loads(path.read_text())
    assert content["schema"] == "sts-eval/calibration/2"
    lengths = content["lengths"]
    for change in (
        {"schema": "sts-eval/calibration/1"},
        {"lengths": None},
        {"lengths": lengths | {"correlation": 1.5}},
        {"lengths": lengths | {"at": lengths["at"][::-1]}},
        {"lengths": lengths | {"at": []}},
    ):
        path.write_text(json.dumps(content | change))
        with pytest.raises(AuditError, match=r"c\.json: "):
            load(path)


def test_windows_side_by_side_by_hand() -> None:
    assert side_by_side([(0.0, 3.0), (1.5, 4.5), (3.0, 6.0)], 3.0) == 2.0
    assert side_by_side([(0.0, 3.0), (6.0, 9.0)], 3.0) == 2.0  # silence between them
    assert side_by_side([(0.0, 3.0), (1.5, 4.5), (2.25, 5.25)], 3.0) == 1.75
    assert side_by_side([(0.0, 2.0)], 3.0) == 1.0


def test_a_mean_is_read_for_its_length() -> None:
    known = table()
    part = Part(object(), "x 1", known, 3.0, ())
    scores = np.array([0.1, 0.1, 0.1])
    assert part.ratio(scores).value == 0.1
    assert part.ratio(scores, 3.0) == mean_ratio(scores, known, "x", 3.0)
    assert part.ratio(scores, 3.0).value == 0.2
    assert part.reach == (round(3 / math.log(10), 3), round(1.5 / math.log(10), 3))
    natural = Ratio(value=-0.4, lo=-0.5, hi=-0.35)
    found = misled(natural, known, 3.0)
    assert found is not None
    assert (found.share, found.n) == (0.2, 7)


@pytest.mark.parametrize(("n", "misleads", "most"), [(17, 3, 3.0), (34, 6, math.inf)])
def test_a_family_of_few_long_recordings_supports_no_more_than_at_the_length_before(
    n: int, misleads: int, most: float
) -> None:
    few = np.where(np.arange(n) < misleads, math.log(12), -1.0)  # 3 of 17 contradict nothing
    scores = np.concatenate([np.full(200, 3.0), np.full(300, -3.0), few])
    genuine = np.arange(len(scores)) < 200
    names = np.array([f"voice {k % 50}" for k in range(len(scores))])
    families = np.array(["" if side else "many" for side in genuine])
    families[-n:] = "few"
    trials = Trials(scores, np.full(len(scores), 4.0), genuine, names, families)
    before = {"many": math.inf, "few": math.log(3), "gone": math.log(20)}
    row, held = _at(trials, Line(1.0, 0.0, 1.0), before)
    assert held == {"many": math.inf, "few": pytest.approx(math.log(most)), "gone": math.log(20)}
    assert row["upper"] == pytest.approx(min(math.log(most), math.log(20)))  # the pool's is higher
