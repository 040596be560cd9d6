"""What the judges behind other people's recognisers share: segments in, words out.

Silero finds the speech; each segment of at most 20 s is recognised on its own, so that a word's
time is never wrong by more than its segment. Where a recogniser gives no word times, its words are
spread over the segment by their lengths: good enough to order them, not to time anything by.
"""

from __future__ import annotations

from collections.abc import Callable

from sts_eval.judges.base import Transcript
from sts_eval.judges.moonshine import PAD_S, segments
from sts_eval.judges.vad import SileroJudge
from sts_eval.record import Word
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ, seconds_to_samples

Recognise = Callable[[Samples, float], list[Word]]
"""(one segment float32 [S] at 24 kHz, where it begins in seconds of the track) -> its words."""


def transcribe_segments(
    audio: Samples, vad: SileroJudge, recognise: Recognise, *, judge: str, version: str
) -> Transcript:
    """float32 [S] at 24 kHz -> the words of all its segments. Raises what `recognise` raises."""
    words: list[Word] = []
    for start_s, end_s in segments(vad.speech_spans(audio)):
        begin = max(0, seconds_to_samples(start_s - PAD_S))
        part = audio[begin : seconds_to_samples(end_s + PAD_S)]
        words += recognise(part, begin / SAMPLE_RATE_HZ)
    text = " ".join(word.text for word in words)
    return Transcript(text=text, words=tuple(words), judge=judge, version=version)


def spread(text: str, start_s: float, end_s: float) -> list[Word]:
    """The words of a text over an interval, each as long as its share of the letters."""
    words = text.split()
    total = sum(len(word) for word in words)
    placed, at_s = [], start_s
    for word in words:
        until_s = at_s + (end_s - start_s) * len(word) / total
        placed.append(Word(text=word, start_s=round(at_s, 3), end_s=round(until_s, 3)))
        at_s = until_s
    return placed
