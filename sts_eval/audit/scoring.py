"""A detector's scores of a corpus, for `audit metrics` or a challenge's own scripts.

Where the detector has a calibration the scores are its natural-log likelihood ratios without their
limits (limits make ties, and ties are errors of a ranking); else the detector's own scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sts_eval.audio import AudioError, load_audio
from sts_eval.audit import AuditError
from sts_eval.audit.detectors import check_polarity, detector_calibration, load_detector
from sts_eval.audit.items import Item
from sts_eval.runner import Progress

MOST_SECONDS = 600.0


class Scored(NamedTuple):
    """scores: by index of the item; refused: reasons, by index."""

    scores: dict[int, float]
    refused: dict[int, str]


def score_items(items: Sequence[Item], name: str, progress: Progress) -> Scored:
    """Scores of recordings by the detector of this name; higher = bona fide.

    What cannot be scored (unreadable, silent, under 1 s) is told, and costs no other recording.
    Raises AuditError for a detector that cannot be loaded or points the wrong way.
    """
    detector, calibration = load_detector(name), detector_calibration(name)
    check_polarity(detector)
    scores: dict[int, float] = {}
    refused: dict[int, str] = {}
    progress.begin("recordings", len(items))
    for index, item in enumerate(items):
        try:
            score = detector.score(load_audio(item.path, max_seconds=MOST_SECONDS))
        except (AudioError, AuditError) as error:
            refused[index] = str(error)
        else:
            if calibration is not None:
                score = calibration.slope * score + calibration.offset
            scores[index] = score
        progress.step(item.path.name)
    return Scored(scores, refused)
