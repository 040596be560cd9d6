"""How often a detector calls genuine speech synthetic: a user's own calls through a stress grid.

A countermeasure is only as good as its false alarms on the speech it will meet. Every recording of
a folder, all of them known to be genuine, is scored as it is and after each condition of `GRID`; an
alarm is a score below the threshold. Report: the rate of alarms per condition with its 95 %
interval (Wilson; recordings of one person are not independent, so it is too narrow where people
repeat), and the mean change of the score against the untouched recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from sts_eval.audio import AudioError, load_audio, resample
from sts_eval.audit import AuditError
from sts_eval.audit.channel import RATE_HZ, Channel, apply_channel, coded
from sts_eval.audit.detectors import Detector, DetectorError
from sts_eval.stats.proportions import wilson
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

SUFFIXES: Final = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au")
MAX_SECONDS: Final = 30.0

Change = Callable[[Samples], Samples]


def _codec(name: str) -> Change:
    def change(audio: Samples) -> Samples:
        narrow = resample(audio, SAMPLE_RATE_HZ, RATE_HZ)
        return resample(coded(np.clip(narrow, -1, 1), name), RATE_HZ, SAMPLE_RATE_HZ)

    return change


def _noise(snr_db: float) -> Change:
    def change(audio: Samples) -> Samples:
        level = float(np.sqrt(np.mean(np.square(audio)))) * 10 ** (-snr_db / 20)
        noise = np.random.default_rng(0).standard_normal(len(audio), dtype=np.float32)
        return audio + noise * np.float32(level)

    return change


def _gain(decibels: float) -> Change:
    return lambda audio: np.clip(audio * np.float32(10 ** (decibels / 20)), -1, 1)


def _telephone(audio: Samples) -> Samples:
    channel = Channel("g711", 0.2, None, 0.0, 0.0, 0.0, 3_400.0, 300.0, 0)
    narrow = resample(audio, SAMPLE_RATE_HZ, RATE_HZ)
    heard = apply_channel(narrow, channel, len(narrow) / RATE_HZ)
    return resample(heard, RATE_HZ, SAMPLE_RATE_HZ)


GRID: Final[dict[str, Change]] = {
    "as it is": lambda audio: audio,
    "telephone band, G.711": _telephone,
    **{f"codec {name}": _codec(name) for name in ("g711", "gsm", "adpcm", "opus", "mp3", "vorbis")},
    "noise 20 dB below": _noise(20),
    "noise 10 dB below": _noise(10),
    "gain -20 dB": _gain(-20),
    "gain +20 dB, clipped": _gain(20),
    "first 1.5 s only": lambda audio: audio[: round(1.5 * SAMPLE_RATE_HZ)],
    "1 s of silence in front": lambda audio: np.pad(audio, (SAMPLE_RATE_HZ, 0)),
}


@dataclass(frozen=True)
class ConditionResult:
    """One condition: alarms of n recordings, the rate with its interval, change of the score."""

    condition: str
    n: int
    alarms: int
    rate: float | None
    lo: float | None
    hi: float | None
    mean_change: float | None


@dataclass(frozen=True)
class FalseAlarms:
    """The audit: results by condition, and the recordings that gave no score, with the reason."""

    detector: str
    version: str
    threshold: float
    conditions: list[ConditionResult]
    refused: dict[str, str]


def find_recordings(folder: Path, limit: int) -> list[Path]:
    """Audio files under a folder, sorted, at most `limit`, spread evenly. Raises AuditError."""
    if not folder.is_dir():
        raise AuditError(f"{folder}: no such folder")
    root = folder.resolve()
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in SUFFIXES and file.resolve().is_relative_to(root)
    )
    if not files:
        raise AuditError(f"{folder}: no recordings here ({', '.join(SUFFIXES)})")
    if len(files) <= limit:
        return files
    return [files[i] for i in np.linspace(0, len(files) - 1, limit).astype(int).tolist()]


def measure(
    files: Iterable[Path], detector: Detector, threshold: float, progress: Any
) -> FalseAlarms:
    """Score genuine recordings under every condition; an alarm is a score below `threshold`."""
    scores: dict[str, list[float]] = {name: [] for name in GRID}
    changes: dict[str, list[float]] = {name: [] for name in GRID}
    refused: dict[str, str] = {}
    for file in files:
        progress.step(file.name)
        try:
            audio = load_audio(file)[: round(MAX_SECONDS * SAMPLE_RATE_HZ)]
            found = {name: detector.score(change(audio)) for name, change in GRID.items()}
        except (AudioError, DetectorError) as error:
            refused[str(file)] = str(error)
            continue
        for name, score in found.items():
            scores[name].append(score)
            changes[name].append(score - found["as it is"])
    results = [_result(name, scores[name], changes[name], threshold) for name in GRID]
    return FalseAlarms(detector.name, detector.version, threshold, results, refused)


def _result(
    name: str, scores: list[float], changes: list[float], threshold: float
) -> ConditionResult:
    n, alarms = len(scores), sum(score < threshold for score in scores)
    if not n:
        return ConditionResult(name, 0, 0, None, None, None, None)
    bounds = wilson(alarms, n)
    return ConditionResult(
        name, n, alarms, alarms / n, bounds.lo, bounds.hi, float(np.mean(changes))
    )
