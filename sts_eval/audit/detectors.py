"""Spoof countermeasures by name: audio in, one score out, higher = bona fide everywhere.

    sts-sync             the default: trained here (`sts-eval audit train-detector`), shipped
    weights:FILE          one trained by that command
    csv:FILE              scores of another program by file name, higher = bona fide (AASIST, ...)
    transformers:FOLDER   an audio classifier of transformers in a local folder, extra [hf]
    python:MODULE:FACTORY one of your own

A score says how a recording compares with the detector's training material. It becomes a likelihood
ratio through `detector_calibration(name)`, and never says "is fake". Before any number is reported
`check_polarity` hears material that is known: a detector that points the wrong way is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from sts_eval.audio import AudioError, load_audio, resample, rms_dbfs
from sts_eval.audit import DEFAULT_DETECTOR, AuditError
from sts_eval.audit.calibration import Calibration
from sts_eval.audit.calibration import load as load_calibration
from sts_eval.registry import Entry, Registry, load_attribute
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

WEIGHTS: Final = Path(__file__).parent / "weights"
KNOWN: Final = Path(__file__).parent / "known"
WINDOW_S: Final = 3.0
HOP_S: Final = 1.5
MIN_SECONDS: Final = 1.0
SILENT_DBFS: Final = -70.0
_BATCH: Final = 32


class DetectorError(AuditError):
    """Audio that cannot be scored, or a detector that cannot be loaded or points the wrong way."""


@dataclass(frozen=True)
class WindowScore:
    """Score of one window of a recording, seconds; None: silence, nothing to score."""

    start_s: float
    end_s: float
    score: float | None


class Detector(Protocol):
    """A countermeasure. `version` changes whenever the same audio may give another score."""

    name: str
    version: str

    def score(self, audio: Samples) -> float:
        """float32 [S] at 24 kHz -> score, higher = bona fide. Raises DetectorError."""
        ...

    def score_windows(
        self, audio: Samples, window_s: float = WINDOW_S, hop_s: float = HOP_S
    ) -> list[WindowScore]:
        """Scores along a recording, for splices; the last window ends with it."""
        ...


_HERE = "sts_eval.audit"

DETECTORS = Registry(
    "detector",
    [
        Entry(
            "sts-sync",
            f"{_HERE}.detectors:shipped",
            "bands, pitch and phase, trained here (default)",
        )
    ],
)


@lru_cache(maxsize=8)
def load_detector(name: str = DEFAULT_DETECTOR) -> Detector:
    """The detector of this name (see the module). Raises DetectorError, RegistryError."""
    kind, _, rest = name.partition(":")
    if kind == "weights" and rest:
        return StatisticsDetector(Path(rest), name)
    if kind in ("csv", "transformers") and rest:
        from sts_eval.audit import detector_plugins

        plugin: Detector = detector_plugins.load(kind, rest)
        return plugin
    factory = load_attribute(rest) if kind == "python" else DETECTORS.load(name)
    detector: Detector = factory()
    for method in ("score", "score_windows"):
        if not hasattr(detector, method):
            raise DetectorError(f"{name!r} is not a detector (it has no {method})")
    return detector


def detector_calibration(name: str = DEFAULT_DETECTOR) -> Calibration | None:
    """Score -> ln LR of "bona fide" against "spoof"; None where there is none.

    That of `weights:DIR/X.safetensors` is DIR/X.calibration.json.
    """
    files = detector_files(name)
    return load_calibration(files[1]) if len(files) == 2 else None


def detector_files(name: str) -> list[Path]:
    """The files that a detector is read from: its weights and, if there is one, its calibration.

    Empty for a plug-in: what it reads is its own affair.
    """
    kind, _, rest = name.partition(":")
    if kind == "weights":
        weights = Path(rest)
    elif name in DETECTORS.entries():
        weights = WEIGHTS / f"{name}.safetensors"
    else:
        return []
    fitted = weights.with_suffix(".calibration.json")
    return [weights, fitted] if fitted.is_file() else [weights]


def shipped() -> Detector:
    """The detector in the package."""
    return StatisticsDetector(WEIGHTS / "sts-sync.safetensors", "sts-sync")


def window_starts(length: int, size: int, hop: int) -> list[int]:
    """Where windows of `size` begin in `length` samples, every `hop`; the last ends with them."""
    starts = list(range(0, length - size + 1, hop))
    if starts[-1] + size < length:
        starts.append(length - size)
    return starts


class WindowedDetector:
    """A detector that scores windows of equal length; the score of a recording is their mean.

    A subclass gives `rate_hz` and `score_batch`. What is shorter than a window is one window.
    """

    rate_hz: int = 16_000

    def score_batch(self, windows: np.ndarray) -> np.ndarray:
        """[B, S] at `rate_hz` -> [B], higher = bona fide."""
        raise NotImplementedError

    def score(self, audio: Samples) -> float:
        """Mean over the windows that hold sound. Raises DetectorError."""
        scores = [w.score for w in self.score_windows(audio) if w.score is not None]
        if not scores:
            raise DetectorError("the audio is silent")
        return float(np.mean(scores))

    def score_windows(
        self, audio: Samples, window_s: float = WINDOW_S, hop_s: float = HOP_S
    ) -> list[WindowScore]:
        """See `Detector`. Raises DetectorError: short, not mono, not finite."""
        checked_audio(audio)
        if window_s < MIN_SECONDS or hop_s <= 0:
            raise DetectorError(f"windows need at least {MIN_SECONDS:g} s and a hop above 0")
        heard = resample(np.asarray(audio, np.float32), SAMPLE_RATE_HZ, self.rate_hz)
        size = min(round(window_s * self.rate_hz), len(heard))
        starts = window_starts(len(heard), size, max(1, round(hop_s * self.rate_hz)))
        loud = [s for s in starts if rms_dbfs(heard[s : s + size]) > SILENT_DBFS]
        scores: dict[int, float] = {}
        for at in range(0, len(loud), _BATCH):
            some = loud[at : at + _BATCH]
            found = self.score_batch(np.stack([heard[s : s + size] for s in some]))
            scores |= dict(zip(some, map(float, found), strict=True))
        return [
            WindowScore(s / self.rate_hz, (s + size) / self.rate_hz, scores.get(s)) for s in starts
        ]


class StatisticsDetector(WindowedDetector):
    """The countermeasure of `discriminant`, as `sts-eval audit train-detector` wrote it."""

    def __init__(self, path: Path, name: str) -> None:
        import hashlib

        from sts_eval.audit.clip_statistics import Statistics
        from sts_eval.audit.train_detector import load_detector_file

        self.name = name
        self._countermeasure, self.about = load_detector_file(path)
        self._statistics = Statistics()
        self.version = f"1-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"

    def score_batch(self, windows: np.ndarray) -> np.ndarray:
        """[B, S] at 16 kHz -> [B]."""
        import torch

        with torch.inference_mode():
            scores = self._countermeasure.scores(self._statistics(torch.from_numpy(windows)))
        return np.asarray(scores.double().numpy())


def checked_audio(audio: Samples) -> None:
    """Raises DetectorError for audio that no detector may score."""
    shape = np.shape(audio)
    if len(shape) != 1:
        raise DetectorError(f"audio must be mono, [samples], not {shape}")
    if shape[0] < MIN_SECONDS * SAMPLE_RATE_HZ:
        raise DetectorError(
            f"{shape[0] / SAMPLE_RATE_HZ:.2f} s of audio: at least {MIN_SECONDS:g} s are needed"
        )
    if not np.isfinite(audio).all():
        raise DetectorError("the audio holds values that are NaN or infinite")


def check_polarity(detector: Detector) -> dict[str, Any]:
    """Mean scores on the packaged known material: {"bonafide": mean, "spoof": mean, n_...}.

    It proves the direction of the scores and nothing else: the material is small and the shipped
    detector has heard its like. Raises DetectorError when spoofed clips score as high or higher.
    """
    means: dict[str, Any] = {}
    for label in ("bonafide", "spoof"):
        files = sorted((KNOWN / label).glob("*.opus"))
        try:
            scores = [detector.score(load_audio(file)) for file in files]
        except AudioError as error:
            raise DetectorError(f"the known material cannot be read: {error}") from error
        means |= {label: float(np.mean(scores)), f"n_{label}": len(scores)}
    if not means["bonafide"] > means["spoof"]:
        raise DetectorError(
            f"{detector.name} gives known spoofed speech {means['spoof']:.3f} and known genuine "
            f"speech {means['bonafide']:.3f}: its scores point the wrong way, or it does not work"
        )
    return means
