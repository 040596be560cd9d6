"""The seams of the cascade: recogniser, responder and voice, each with its real part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, Protocol

import numpy as np

from sts_eval.audio import frame_levels_dbfs
from sts_eval.judges.base import JudgeError
from sts_eval.target import MissingDependencyError, Samples, TargetError
from sts_eval.units import SAMPLE_RATE_HZ

BLOCK_S: Final = 0.01
ONSET_DBFS: Final = -50.0
LEAD_BLOCKS: Final = 2

Recogniser = Callable[[Samples], str]
"""float32 [S] at 24 kHz, one turn -> what was said."""


class Responder(Protocol):
    """What to say to what was heard."""

    name: str

    def reply(self, heard: str, history: list[tuple[str, str]]) -> Iterator[str]:
        """Sentences, each as soon as it is known. history: (heard, said) of the turns before."""
        ...


def moonshine(turn: Samples) -> str:
    """Moonshine base-en on one turn."""
    from sts_eval.judges.moonshine import recognise

    return _joined(recognise, turn)


def pocketsphinx(turn: Samples) -> str:
    """PocketSphinx on one turn."""
    from sts_eval.judges.sphinx import recognise

    return _joined(lambda part, at_s, _spans: recognise(part, at_s), turn)


RECOGNISERS: dict[str, Recogniser] = {"moonshine": moonshine, "pocketsphinx": pocketsphinx}


def _joined(recognise: Callable[..., list[Any]], turn: Samples) -> str:
    try:
        words = recognise(turn, 0.0, [(0.0, len(turn) / SAMPLE_RATE_HZ)])
    except JudgeError as error:
        raise MissingDependencyError(f"cascade: {error}") from error
    return " ".join(word.text for word in words)


class Voice:
    """hibari-tts with the voice of its wheel, 24 kHz. The same text and seed give the same
    samples."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._engine = _engine()

    def speak(self, text: str, seed: int) -> Samples:
        """Text -> float32 [S] within [-1, 1]; of leading silence at most 20 ms stay."""
        try:
            audio = np.asarray(self._engine(text, speed=self.speed, seed=seed), np.float32)
        except (RuntimeError, ValueError, KeyError) as error:
            raise TargetError(f"cascade: speech synthesis failed on {text!r}: {error}") from error
        loud = np.flatnonzero(frame_levels_dbfs(audio, BLOCK_S) >= ONSET_DBFS)
        lead = max(0, int(loud[0]) - LEAD_BLOCKS) if loud.size else 0
        return np.clip(audio[lead * round(BLOCK_S * SAMPLE_RATE_HZ) :], -1.0, 1.0)


@lru_cache(maxsize=1)
def _engine() -> Any:
    try:
        from hibari import Hibari
    except ImportError as error:
        raise MissingDependencyError(
            "cascade: speech synthesis needs hibari-tts: pip install 'hibari-tts>=0.2.1'"
        ) from error
    engine = Hibari(threads=1)
    engine("Ready.", seed=0)  # its lexicon is read with the first word
    return engine
