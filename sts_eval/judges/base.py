"""What a judge is: a named, versioned instrument that says what is on a track.

A judge is never right by definition: its measured error rates (`sts_eval.judges.calibration`) are
shown in every report. `version` changes whenever the same audio may give another answer; it is
part of the key of the score cache.
"""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, ConfigDict

from sts_eval.record import Word
from sts_eval.target import Samples

Interval = tuple[float, float]
"""(start_s, end_s) of a stretch of speech."""


class JudgeError(Exception):
    """A judge cannot run. The message says why and, for a missing package, how to install it."""


class Transcript(BaseModel):
    """What an ASR judge heard; words with their times in seconds of the track."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    text: str
    words: tuple[Word, ...]
    judge: str
    version: str


class AsrJudge(Protocol):
    """Speech recognition with word times."""

    name: str
    version: str

    def transcribe(self, audio: Samples) -> Transcript:
        """float32 [S] at 24 kHz -> words. Raises JudgeError."""
        ...


class VadJudge(Protocol):
    """Speech detection to 10 ms."""

    name: str
    version: str

    def speech_spans(self, audio: Samples) -> list[Interval]:
        """float32 [S] at 24 kHz -> sorted, disjoint stretches of speech. Raises JudgeError."""
        ...
