"""Intervals: coverage, clusters, what perfect scores and single speakers leave open."""

import numpy as np
import pytest

from sts_eval.audit import resampling
from sts_eval.audit.detection import eer, eer_of, min_dcf_of
from sts_eval.audit.resampling import Column, Design, accepted_draws, bounds_of, mean_draws
from sts_eval.audit.score_metrics import cm_metrics
from sts_eval.audit.scorefiles import CmTrials


def trials(bona: np.ndarray, spoof: np.ndarray, speaker: np.ndarray | None = None) -> CmTrials:
    label = np.repeat([0, 1], [len(bona), len(spoof)])
    names = tuple(f"u{i}" for i in range(len(label)))
    return CmTrials(names, np.concatenate([bona, spoof]), label, speaker)


def draws_of(design: Design, scores: np.ndarray, statistic) -> np.ndarray:
    column = Column(scores, ((0,), (1,)))
    blocks = accepted_draws(design, [column], 0, "x")
    return np.concatenate([statistic(block) for (block,) in blocks])


def test_draws_equal_a_bootstrap_of_the_rows() -> None:
    """The counts of the weighted draw are those of the repeated rows."""
    rng = np.random.default_rng(0)
    label, cluster = np.repeat([0, 1], [30, 50]), np.tile(np.arange(8), 10)
    scores = rng.normal(size=80).round(1) - label
    design = Design(label, cluster)
    weight = design.weights(np.random.default_rng(5), 4)
    table = resampling._table(cluster, *resampling._cells(design, Column(scores, ((0,), (1,)))))
    shape = (2, len(np.unique(scores)))
    counted = (table @ weight.T).T.reshape(4, *shape)
    for row, counts in zip(weight, counted, strict=True):
        repeated = np.repeat(np.arange(80), row[cluster])
        value = eer(scores[repeated][label[repeated] == 0], scores[repeated][label[repeated] == 1])
        assert eer_of(resampling.accepted_from(counts)) == pytest.approx(value.value)


def test_every_draw_holds_every_class() -> None:
    # Speakers 0..5 are only bona fide, 6..11 only spoofed, as in corpora of synthetic voices.
    design = Design(np.repeat([0, 1], [12, 12]), np.repeat(np.arange(12), 2))
    weight = design.weights(np.random.default_rng(0), 500)
    assert (weight[:, :6].sum(axis=1) == 6).all()
    assert (weight[:, 6:].sum(axis=1) == 6).all()


def test_few_speakers_of_a_kind_are_drawn_with_the_others() -> None:
    """One speaker has both classes, two have one each: drawn apart, nothing would ever vary."""
    label = np.repeat([0, 0, 1, 1], 10)
    design = Design(label, np.repeat([0, 1, 0, 2], 10))
    weight = design.weights(np.random.default_rng(0), 300)
    assert (weight.sum(axis=1) == 3).all()
    assert len(np.unique(weight, axis=0)) > 3
    assert (weight @ (design.membership > 0) > 0).all()


def test_bins_keep_the_metrics_of_many_trials() -> None:
    rng = np.random.default_rng(1)
    bona, spoof = rng.normal(2.5, 1, 20_000), rng.normal(-1, 1, 60_000)
    scores, label = np.concatenate([bona, spoof]), np.repeat([0, 1], [20_000, 60_000])
    _, flat, shape = resampling._cells(Design(label), Column(scores, ((0,), (1,))))
    assert shape[1] < 6000
    counts = np.bincount(flat, minlength=2 * shape[1]).reshape(shape)
    accepted = resampling.accepted_from(counts)
    assert eer_of(accepted) == pytest.approx(eer(bona, spoof).value, rel=0.01)


def test_intervals_by_speaker_are_wider_when_speakers_differ() -> None:
    rng = np.random.default_rng(2)
    speaker = np.tile(np.arange(12), 40)
    shift = rng.normal(0, 1.2, 12)[speaker]
    scores = np.concatenate([rng.normal(1, 1, 240), rng.normal(-1, 1, 240)]) + shift
    by_trial = cm_metrics(trials(scores[:240], scores[240:]))["eer_percent"]
    by_speaker = cm_metrics(trials(scores[:240], scores[240:], speaker))["eer_percent"]
    assert by_trial.value == by_speaker.value
    width = [m.hi - m.lo for m in (by_trial, by_speaker)]
    assert width[1] > 1.5 * width[0]
    assert (by_trial.n_clusters, by_speaker.n_clusters) == (480, 12)


def test_perfect_scores_leave_an_upper_bound() -> None:
    found = cm_metrics(trials(np.arange(20) + 5.0, -np.arange(40.0)))
    # No error in 20: 1 - 0.025^(1/20) = 16.84 % (Clopper-Pearson); no error in 40: 8.81 %.
    assert found["eer_percent"].value == 0
    assert found["eer_percent"].hi == pytest.approx(100 * (1 - 0.025 ** (1 / 20)), abs=1e-6)
    # 1.9 * .1684 + .0881
    assert found["min_dcf"].hi == pytest.approx(0.4081, abs=1e-3)
    assert found["min_dcf"].lo == 0


def test_one_speaker_has_no_interval() -> None:
    found = cm_metrics(trials(np.arange(5.0), -np.arange(5.0), np.zeros(10, np.int64)))
    assert (found["eer_percent"].lo, found["eer_percent"].hi) == (None, None)
    assert "one speaker" in found["eer_percent"].reason


def test_results_repeat_for_a_seed() -> None:
    rng = np.random.default_rng(3)
    data = trials(rng.normal(1, 1, 50), rng.normal(-1, 1, 50))
    assert cm_metrics(data, seed=1) == cm_metrics(data, seed=1)
    assert cm_metrics(data, seed=1)["cllr_bits"].lo != cm_metrics(data, seed=2)["cllr_bits"].lo


def test_coverage_of_eer_and_min_dcf() -> None:
    """Normal scores, d' = 2: EER = Phi(-1) = 15.87 %. 95 % intervals, 80 repetitions."""
    rng = np.random.default_rng(4)
    label = np.repeat([0, 1], [150, 250])
    hits = {"eer": 0, "cllr": 0}
    draw = rng.normal(size=(2, 500_000))
    truth = np.logaddexp(0, -2 * (draw[0] + 1)).mean() / np.log(2)  # both classes by symmetry
    for _ in range(80):
        scores = rng.normal(size=400) + np.where(label == 0, 1, -1)
        design = Design(label)
        lo, hi = bounds_of(
            eer(scores[label == 0], scores[label == 1]).value,
            draws_of(design, scores, eer_of),
            design,
            None,
        )
        hits["eer"] += lo <= 0.158655 <= hi
        loss = np.logaddexp(0, np.where(label == 0, -2, 2) * scores) / np.log(2)
        value = (loss[label == 0].mean() + loss[label == 1].mean()) / 2
        draws = mean_draws(design, loss, ((0,), (1,)), 0, "x")
        lo, hi = bounds_of(float(value), draws, design, None)
        hits["cllr"] += lo <= truth <= hi
    assert all(count >= 0.88 * 80 for count in hits.values()), hits


def test_min_dcf_of_draws_is_vectorised_over_draws() -> None:
    design = Design(np.repeat([0, 1], [5, 5]))
    values = draws_of(design, np.arange(10.0)[::-1], min_dcf_of)
    assert values.shape == (resampling.DRAWS,)
    assert np.all((values >= 0) & (values <= 1))
