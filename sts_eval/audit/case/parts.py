"""The two measuring parts of an audit, a detector and a speaker encoder, and how they are read.

A part is named as `sts_eval.audit.detectors` and `sts_eval.audit.encoders` list it, or is the
user's own, `python:package.module:factory`, with the attributes `calibration` (a `Calibration`) and
`seconds` (the length it was calibrated for). Both score higher for what is genuine or the same.
Here the detector's ratio is turned round: positive speaks for *synthetic*.

Long recordings are cut into pieces of the calibrated length: the score of a recording is the mean
over its pieces, and the interval is a percentile bootstrap over them (`mean_ratio`). So the
interval says how far the answer depends on which stretch of this recording was heard; what the
calibration itself can support is said by its limits, beyond which no ratio goes. The mean of
several windows errs less than one: a calibration of schema 2 knows by how much
(`sts_eval.audit.lengths`), one of schema 1 reads both alike.

An encoder whose scale holds for any length (`SpeakerScale`, schema 2) is read otherwise: the pieces
use up all of the speech, and the score of two recordings is the cosine of their mean vectors,
corrected for length and consistency (`encoders.Quality`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sts_eval.audit import AuditError
from sts_eval.audit.calibration import Calibration
from sts_eval.audit.case.ratio import Ratio
from sts_eval.audit.detectors import detector_files
from sts_eval.audit.encoders import WEIGHTS, Quality, Vector, encoder_files, own_cosine
from sts_eval.judges.base import Interval
from sts_eval.registry import RegistryError, load_attribute
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

DRAWS: Final = 400
DEFAULT_SECONDS: Final = 3.0
FloatArray = NDArray[np.float64]
_OWN = "python:"


@dataclass(frozen=True)
class Part:
    """A loaded detector or encoder.

    seconds: the length of the pieces of speech it hears; quality: of an encoder whose scale holds
    for any length, None where it holds for `seconds` alone.
    """

    part: Any
    label: str
    calibration: Calibration
    seconds: float
    languages: tuple[str, ...]
    quality: Quality | None = None

    @property
    def reach(self) -> tuple[float, float]:
        """The largest log10 LR for the other class (synthetic), and for its own (natural).

        Of any length of recording: of one window it may be less.
        """
        return self.calibration.reach_log10

    @property
    def known_reach(self) -> tuple[float, float] | None:
        """The same against the attacks that the detector has met."""
        known = self.calibration.known
        return None if known is None else known.reach_log10

    def ratio(self, scores: FloatArray, windows: float = 1.0) -> Ratio:
        """log10 LR of bona fide (encoder: same person) from the scores of pieces.

        scores: [pieces], or [pieces of one recording, pieces of the other]. windows: how many of a
        detector's fit side by side into them (`side_by_side`). Raises AuditError.
        """
        return mean_ratio(scores, self.calibration, self.label, windows)

    def known_ratio(self, scores: FloatArray, windows: float = 1.0) -> Ratio | None:
        """The same against the attacks that the detector has met (`Calibration.known`)."""
        known = self.calibration.known
        return None if known is None else mean_ratio(scores, known, self.label, windows)

    def pair_scores(self, heard: Vector, enrolled: Vector, heard_s: float) -> FloatArray:
        """[P, N] scores of the pieces of two recordings; their mean is the score of the two.

        heard [P, D], enrolled [N, D]: unit vectors of pieces, those enrolled of `seconds` each;
        heard_s: seconds of speech in the pieces heard. The norms of the mean vectors are those of
        all pieces: a bootstrap over the scores is of the cosine, and does not shorten the speech.
        """
        cosines = (heard @ enrolled.T).astype(np.float64)
        if self.quality is None:
            return cosines
        lengths = [float(np.linalg.norm(side.mean(axis=0))) for side in (heard, enrolled)]
        enrolled_s = len(enrolled) * self.seconds
        added = self.quality.correction(heard_s, enrolled_s, own_cosine(enrolled))
        return cosines / (lengths[0] * lengths[1]) + added


def load_detector(name: str) -> Part:
    """A detector by name. Raises RegistryError, AuditError."""
    part = _load(name, "sts_eval.audit.detectors:load_detector")
    return _wrap(part, name, "sts_eval.audit.detectors:detector_calibration")


def load_encoder(name: str) -> Part:
    """A speaker encoder by name. Raises RegistryError, AuditError."""
    part = _load(name, "sts_eval.audit.encoders:load_encoder")
    return _wrap(part, name, "sts_eval.audit.encoders:speaker_scale")


def part_files(detectors: Sequence[str], encoder: str) -> dict[str, str]:
    """SHA-256 of the files that these parts are read from, by path; the shipped ones by name.

    Labels name a version of the weights; what a score is worth stands in files beside them.
    Raises AuditError.
    """
    files = [file for name in detectors for file in detector_files(name)]
    files += encoder_files(encoder) if encoder else []
    try:
        return {
            file.name if file.parent == WEIGHTS else str(file): hashlib.sha256(
                file.read_bytes()
            ).hexdigest()
            for file in files
        }
    except OSError as error:
        raise AuditError(f"{error.filename}: {error.strerror}") from error


def _load(name: str, loader: str) -> Any:
    if name.startswith(_OWN):
        return load_attribute(name.removeprefix(_OWN))()
    try:
        load = load_attribute(loader)
    except RegistryError as error:
        raise RegistryError(f"{name!r} is not part of this installation: {error}") from error
    return load(name)


def _wrap(part: Any, name: str, shipped: str) -> Part:
    source = getattr(part, "calibration", None)
    if source is None and not name.startswith(_OWN):
        source = load_attribute(shipped)(name)
    if source is None:
        raise AuditError(f"{name!r} has no calibration: its scores cannot be read as evidence")
    seconds = float(getattr(source, "seconds", 0.0) or getattr(part, "seconds", DEFAULT_SECONDS))
    calibration = source if isinstance(source, Calibration) else source.calibration
    languages = tuple(getattr(part, "languages", ()))
    quality = getattr(source, "quality", None)
    return Part(part, f"{part.name} {part.version}", calibration, seconds, languages, quality)


def mean_ratio(
    scores: FloatArray,
    calibration: Calibration,
    label: str = "the part",
    windows: float = 1.0,
) -> Ratio:
    """log10 LR of the mean score, with a bootstrap interval over every axis of `scores`.

    windows: the length that the mean is read for, see `sts_eval.audit.lengths`.
    """
    if scores.size == 0 or not np.all(np.isfinite(scores)):
        raise AuditError(f"{label} gave a score that is not a number")
    rng = np.random.default_rng(0)
    rows = rng.integers(scores.shape[0], size=(DRAWS, scores.shape[0]))
    drawn = scores[rows].mean(axis=1)  # [DRAWS], or [DRAWS, N] of which columns are drawn next
    if scores.ndim == 2:
        columns = rng.integers(scores.shape[1], size=(DRAWS, scores.shape[1]))
        drawn = np.take_along_axis(drawn, columns, axis=1).mean(axis=1)
    ends = np.quantile(drawn, [0.025, 0.975])
    three = [ends[0], float(scores.mean()), ends[1]]
    lo, value, hi = calibration.log10_lr(three, windows).tolist()
    lo, hi = min(lo, value), max(hi, value)
    return Ratio(value=round(value, 3), lo=round(lo, 3), hi=round(hi, 3))


def pieces(
    samples: Samples,
    spans: Sequence[Interval],
    seconds: float,
    most: int,
    *,
    use_up: bool = False,
) -> list[Samples]:
    """The speech alone, cut to pieces of `seconds`, at most `most`, spread over the recording.

    use_up: pieces of equal length, at least `seconds`, with nothing left over. A recording with
    less speech than one piece gives one shorter piece; one without gives none.
    """
    parts = [
        samples[round(begin * SAMPLE_RATE_HZ) : round(end * SAMPLE_RATE_HZ)] for begin, end in spans
    ]
    speech = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    size = round(seconds * SAMPLE_RATE_HZ)
    count = len(speech) // size
    if count == 0:
        return [speech] if len(speech) else []
    if use_up:
        size = len(speech) // count
    chosen = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
    return [speech[k * size : (k + 1) * size] for k in chosen]


def window_scores(
    detector: Part, samples: Samples, spans: Sequence[Interval], most: int
) -> list[tuple[float, float, float]]:
    """(start s, end s, score) of windows that are at least half speech, about `most` of them.

    They begin every half length, more sparsely where that would be too many; a recording shorter
    than one window is one window.
    """
    length = len(samples) / SAMPLE_RATE_HZ
    seconds = min(detector.seconds, length)
    hop = max(detector.seconds / 2, length / most)
    if not spans:
        return []
    if hasattr(detector.part, "score_windows"):
        scored = [
            (each.start_s, each.end_s, each.score)
            for each in detector.part.score_windows(samples, detector.seconds, hop)
        ]
    else:
        starts = [*np.arange(0, length - seconds, hop).tolist(), length - seconds]
        size = round(seconds * SAMPLE_RATE_HZ)
        cut = [(a, samples[round(a * SAMPLE_RATE_HZ) :][:size]) for a in starts]
        scored = [(a, a + seconds, float(detector.part.score(part))) for a, part in cut]
    return [
        (round(a, 3), round(b, 3), float(score))
        for a, b, score in scored
        if score is not None and _spoken(a, b, spans) >= (b - a) / 2
    ]


def side_by_side(places: Sequence[tuple[float, float]], seconds: float) -> float:
    """How many windows of `seconds` fit side by side into what windows (start s, end s) cover.

    At least 1: what is shorter than a window was scored as one. places: in order of their starts.
    """
    covered = last = 0.0
    for start, end in places:
        covered += max(0.0, end - max(start, last))
        last = max(last, end)
    return max(1.0, round(covered / seconds, 3))


def _spoken(start: float, end: float, spans: Sequence[Interval]) -> float:
    return sum(max(0.0, min(end, b) - max(start, a)) for a, b in spans)


def check_encoder(encoder: Part, voices: Sequence[tuple[Samples, Samples]]) -> None:
    """Two recordings of each known voice must be nearer to each other than to other voices.

    Raises AuditError: nothing may be measured with scores that point the wrong way.
    """
    ones = np.stack([encoder.part.embed(one) for one, _ in voices])  # [V, D]
    others = np.stack([encoder.part.embed(other) for _, other in voices])
    scores = ones @ others.T
    same, different = np.diag(scores), scores[~np.eye(len(voices), dtype=bool)]
    if not np.all(np.isfinite(scores)) or np.median(same) <= np.median(different):
        raise AuditError(
            f"{encoder.label} failed its self-check: one voice does not score above two voices"
        )
