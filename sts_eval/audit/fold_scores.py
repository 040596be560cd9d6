"""Scores of clips by detectors that have not heard them, and the calibrations that follow.

For each fold (`sts_eval.audit.folds`) a detector is trained anew without the test side's voices and
without the attack family that is held out; a clip's score is the mean over the folds it was tested
in. So the calibration holds for unknown voices and unknown attacks, and its limits for so many
voices as there were: with fewer than ten genuine ones no ratio for synthetic speech reaches ten.

Natural, or *one of the attacks that were met*, is another question, with another answer:
`Calibration.known`. Its folds hold out voices alone, so it goes much further, and says nothing of
an attack that was not met. How often one of those seemed natural by it is counted on the family
folds.

A clip is one window, a recording of an audit is several: where `recordings` are given, the same
detectors hear them as well, and the calibration is for any length (`lengths`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sts_eval.audit import calibration, folds
from sts_eval.audit.calibration import Calibration
from sts_eval.audit.detectors import HOP_S, WINDOW_S
from sts_eval.audit.items import Item
from sts_eval.audit.length_fit import Trials, fit_lengths
from sts_eval.audit.lengths import Misleading
from sts_eval.audit.recordings import Recordings
from sts_eval.audit.train_detector import TrainOptions, score_features, train
from sts_eval.audit.training_set import Clip

MOST_PARTS = 4


class Heard(NamedTuple):
    """Clips that were on a test side: scores [n], genuine [n], voices [n], families [n]."""

    scores: NDArray[np.float64]
    genuine: NDArray[np.bool_]
    voices: NDArray[np.str_]
    families: NDArray[np.str_]


class FoldScores:
    """Trains and scores folds; scores are kept in `work`, so that a second run goes on."""

    def __init__(
        self,
        clips: Sequence[Clip],
        features: NDArray[np.float32],
        options: TrainOptions,
        work: Path,
        on_trained: Callable[[], None] = lambda: None,
        recordings: Recordings | None = None,
    ) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.clips, self.features, self.options, self.work = clips, features, options, work
        self.items = [clip.item(i) for i, clip in enumerate(clips)]
        # Sets may be of equal size; taken once, for there are a hundred megabytes of them.
        self._digest = hashlib.sha256(np.ascontiguousarray(features).tobytes())
        self._scores: dict[int, list[float]] = {}
        self._on_trained = on_trained
        self.recordings = recordings or Recordings([], [])
        self._windows: dict[int, list[NDArray[np.float64]]] = {}

    def anew(self) -> FoldScores:
        """The same, with nothing tested yet."""
        return FoldScores(
            self.clips, self.features, self.options, self.work, self._on_trained, self.recordings
        )

    def score(self, train_items: Sequence[Item], test_items: Sequence[Item]) -> Any:
        """[n] scores of the test items by a detector trained on the others."""
        sides = [
            [int(i.path.name.removeprefix("clip")) for i in s] for s in (train_items, test_items)
        ]
        digest = self._digest.copy()
        digest.update(repr((sides, asdict(self.options))).encode())
        heard = self._recordings_of(test_items)
        windows = [self.recordings.windows[i] for i in heard]
        for block in windows:
            digest.update(np.ascontiguousarray(block).tobytes())
        file = self.work / f"{digest.hexdigest()[:16]}.npy"
        if not file.is_file():
            chosen = np.array(sides[0])
            net = train([self.clips[i] for i in chosen], self.features[chosen], self.options)
            asked = np.concatenate([self.features[np.array(sides[1])], *windows])
            np.save(file, score_features(net, asked))
            self._on_trained()
        scores, of_windows = np.split(np.load(file), [len(sides[1])])
        self.add(sides[1], scores)
        ends = np.cumsum([len(block) for block in windows])[:-1]
        for index, found in zip(heard, np.split(of_windows, ends), strict=False):
            self._windows.setdefault(index, []).append(found)
        return scores

    def add(self, tested: Sequence[int], scores: NDArray[np.float64]) -> None:
        """Count the scores [n] of a fold's test side: the numbers [n] of its clips."""
        for index, score in zip(tested, scores.tolist(), strict=True):
            self._scores.setdefault(index, []).append(score)

    def _recordings_of(self, test: Sequence[Item]) -> list[int]:
        """The recordings whose voice and, if they are synthetic, family are on a test side."""
        voices = {item.speaker for item in test}
        families = {"", *(item.family for item in test)}
        return [
            i
            for i, clip in enumerate(self.recordings.clips)
            if clip.speaker in voices and clip.family in families
        ]

    @property
    def heard(self) -> Heard:
        """What the folds so far have tested."""
        index = sorted(self._scores)
        return Heard(
            np.array([np.mean(self._scores[i]) for i in index]),
            np.array([not self.clips[i].attack for i in index]),
            np.array([self.clips[i].speaker for i in index]),
            np.array([self.clips[i].family for i in index]),
        )

    @property
    def trials(self) -> Trials:
        """What the folds so far have tested: clips, and recordings at every length up to theirs."""
        clips, scores, windows = [], list[float](), list[float]()
        for index in sorted(self._scores):
            clips.append(self.clips[index])
            scores.append(float(np.mean(self._scores[index])))
            windows.append(1.0)
        per_window = round(WINDOW_S / HOP_S)
        for index in sorted(self._windows):
            each = np.mean(self._windows[index], axis=0)  # [W], over the folds
            for end in range(1, len(each) + 1, per_window):
                clips.append(self.recordings.clips[index])
                scores.append(float(each[:end].mean()))
                windows.append(1 + (end - 1) / per_window)
        return Trials(
            np.array(scores),
            np.array(windows),
            np.array([not clip.attack for clip in clips]),
            np.array([clip.speaker for clip in clips]),
            np.array([clip.family for clip in clips]),
        )


def _fit_clips(trials: Trials) -> Calibration:
    """Calibration with limits by the number of voices. Raises AuditError: wrong way round."""
    scores, _, genuine, voices, families = trials
    bona, spoof = scores[genuine], scores[~genuine]
    fitted = calibration.fit(bona, spoof, speakers=(voices[genuine], voices[~genuine]))
    return calibration.hold_for_families(fitted, bona, spoof, families[~genuine])


def calibrate(scored: FoldScores, without: Sequence[str] = ()) -> Calibration:
    """Train and test the family folds, and those of voices alone, as many parts as there are
    genuine voices (at most 4).

    For any length of recording where there are recordings, else for one window. without: voices
    whose scores do not count. Raises AuditError: one genuine voice alone, or too few families.
    """
    people = {clip.speaker for clip in scored.clips if not clip.attack}
    parts = max(2, min(MOST_PARTS, len(people)))  # with one voice the folds say what is missing
    met = scored.anew()
    for each, splits in (
        (scored, folds.leave_one_family_out(scored.items, parts)),
        (met, folds.leave_speakers_out(met.items, parts)),
    ):
        for fold in splits:
            each.score(*([each.items[i] for i in side] for side in (fold.train, fold.test)))
    fit = fit_lengths if scored.recordings.clips else _fit_clips
    unmet_trials, met_trials = (
        each.trials.only(~np.isin(each.trials.voices, without)) for each in (scored, met)
    )
    known = _misled_by(fit(met_trials), unmet_trials)
    return fit(unmet_trials).model_copy(update={"known": known})


def _misled_by(known: Calibration, unmet: Trials) -> Calibration:
    """With the counts of attacks that were not met."""

    def counted(windows: float, before: dict[str, Misleading] | None) -> dict[str, Misleading]:
        some = unmet.only(unmet.windows == windows)
        llr = known(some.scores, some.windows)
        sides = llr[some.genuine], llr[~some.genuine]
        found = calibration.held_for_families(*sides, some.families[~some.genuine])[1]
        people = calibration.GENUINE
        return found if before is None else {**found, people: before[people]}

    changes: dict[str, Any] = {"misleading": counted(1.0, known.misleading)}
    if known.lengths:
        at = [
            each.model_copy(update={"misleading": counted(each.windows, each.misleading)})
            for each in known.lengths.at
        ]
        changes["lengths"] = known.lengths.model_copy(update={"at": tuple(at)})
    return known.model_copy(update=changes)
