"""Moonshine base-en as ASR judge and as the cascade's recogniser, with word times.

Only speech is transcribed: Silero finds it, stretches close together are heard as one segment of at
most 20 s. On noise a recogniser of this kind may repeat itself for ever: at most 6.5 tokens a
second are decoded (Moonshine's own limit), and a repetition that runs into that limit is cut.

Word times come from the decoder's cross-attention, as in openai/whisper's `timing.py`: the 16 heads
that follow the audio are averaged, tokens are aligned to encoder frames (24 ms) by dynamic time
warping, and a word runs from its first token to the next word's. Edges next to a silence are then
moved to the 10 ms block where the sound ends or begins. The heads were chosen on 30 utterances of
other voices as those closest to PocketSphinx's forced alignment. `calibration` measures the
error of the times on joined utterances, whose joints are known.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sts_eval.audio import frame_levels_dbfs, resample
from sts_eval.judges.base import Interval, JudgeError, Transcript
from sts_eval.judges.vad import BLOCK_S, SileroJudge
from sts_eval.record import Word
from sts_eval.target import Samples
from sts_eval.targets.core import moonshine_model
from sts_eval.units import SAMPLE_RATE_HZ, seconds_to_samples

FRAME_S: Final = moonshine_model.FRAME_S
MAX_SEGMENT_S: Final = moonshine_model.MAX_SEGMENT_S
JOIN_GAP_S: Final = 0.8
PAD_S: Final = 0.1
SNAP_S: Final = 0.15
QUIET_BELOW_DB: Final = 30.0
MIN_QUIET_S: Final = 0.05

# (layer, head) pairs as layer * 8 + head
ALIGNMENT_HEADS: Final = (44, 49, 45, 52, 60, 34, 62, 48, 58, 41, 55, 43, 53, 46, 36, 54)


class MoonshineJudge:
    """English recognition by Moonshine base-en; the model comes with the moonshine-cpp wheel."""

    name = "moonshine"

    def __init__(self) -> None:
        self._vad = SileroJudge()
        self.version = f"1-moonshine{_wheel_version()}-{self._vad.version}"

    def transcribe(self, audio: Samples) -> Transcript:
        """float32 [S] at 24 kHz -> the words that are spoken on it."""
        spans = self._vad.speech_spans(audio)
        words: list[Word] = []
        for start_s, end_s in segments(spans):
            begin = max(0, seconds_to_samples(start_s - PAD_S))
            part = audio[begin : seconds_to_samples(end_s + PAD_S)]
            inside = [(a, b) for a, b in spans if a >= start_s - 0.01 and b <= end_s + 0.01]
            words += recognise(part, begin / SAMPLE_RATE_HZ, inside)
        text = " ".join(word.text for word in words)
        return Transcript(text=text, words=tuple(words), judge=self.name, version=self.version)


def recognise(part: Samples, at_s: float, spans: Sequence[Interval]) -> list[Word]:
    """Words of one segment, float32 [S] at 24 kHz, that lies at `at_s` and holds speech `spans`.

    Spans and word times are in seconds of the track. Raises JudgeError.
    """
    model = load_model()
    audio = resample(part, SAMPLE_RATE_HZ, moonshine_model.MODEL_RATE_HZ)
    seconds = len(part) / SAMPLE_RATE_HZ
    tokens, decoded = moonshine_model.decode_segment(model, audio)
    if not tokens:
        return []
    starts = align(decoded.attention[: len(tokens) + decoded.finished])  # [N (+ EOS)]
    firsts = _word_starts(tokens, model.pieces)
    bounds = [*firsts, len(tokens)]
    words = []
    for first, after in itertools.pairwise(bounds):
        text = b"".join(model.pieces[t] for t in tokens[first:after]).decode("utf-8", "replace")
        text = text.replace("\u2581", " ").strip()
        begin = at_s + starts[first] * FRAME_S
        end = at_s + (starts[after] * FRAME_S if after < len(starts) else seconds)
        if re.search(r"\w", text):
            words.append(Word(text=text, start_s=begin, end_s=max(end, begin)))
        elif words and text:
            words[-1].text += text
    return snap(words, part, at_s, spans)


def segments(spans: Sequence[Interval]) -> list[Interval]:
    """Join stretches of speech to segments of at most 20 s; a longer stretch is cut evenly."""
    joined: list[Interval] = []
    for start, end in spans:
        last = joined[-1] if joined else None
        if last and start - last[1] < JOIN_GAP_S and end - last[0] <= MAX_SEGMENT_S:
            joined[-1] = (last[0], end)
            continue
        pieces = max(1, int(np.ceil((end - start) / MAX_SEGMENT_S)))
        edges = np.linspace(start, end, pieces + 1)
        joined += [(float(a), float(b)) for a, b in itertools.pairwise(edges)]
    return joined


def align(attention: NDArray[np.float32]) -> NDArray[np.int64]:
    """First encoder frame of each token, [N], by dynamic time warping over attention [N, L, H, T].

    Maximises the summed attention over monotone paths in which every token has a frame.
    """
    n, layers, heads, t = attention.shape
    flat = attention.reshape(n, layers * heads, t)[:, list(ALIGNMENT_HEADS)]
    gain = flat.mean(axis=1, dtype=np.float64)  # [N, T]
    best = np.full((n, t), -np.inf)
    stayed = np.zeros((n, t), bool)
    best[0] = np.cumsum(gain[0])
    stayed[0] = True
    for i in range(1, n):
        row, above = best[i], best[i - 1]
        for j in range(min(i, t - 1), t):
            stay = row[j - 1] if j else -np.inf
            move = above[j - 1] if j else -np.inf
            stayed[i, j] = stay >= move
            row[j] = gain[i, j] + max(stay, move)
    starts = np.zeros(n, np.int64)
    j = t - 1
    for i in range(n - 1, 0, -1):
        while j > 0 and stayed[i, j]:
            j -= 1
        starts[i] = j
        j = max(j - 1, 0)
    return starts


def snap(words: list[Word], part: Samples, at_s: float, spans: Sequence[Interval]) -> list[Word]:
    """Move word edges that lie in or near a silence to its edges; keep them inside the speech.

    A silence is 50 ms or more at 30 dB below the segment's 90th percentile level. The first word
    begins and the last one ends with the speech.
    """
    if not words:
        return []
    quiet = _silences(part, at_s)
    for word, following in itertools.pairwise(words):
        for begin, end in quiet:
            if begin - SNAP_S <= following.start_s <= end + SNAP_S / 2:
                if begin > word.start_s:
                    word.end_s = begin
                if following.end_s > end > word.start_s:
                    following.start_s = end
                break
    if spans:
        words[0].start_s = spans[0][0]
        words[-1].end_s = spans[-1][1]
    floor = 0.0
    snapped = []
    for word in words:
        start = max(round(word.start_s, 3), floor)
        end = max(round(word.end_s, 3), start)
        snapped.append(Word(text=word.text, start_s=start, end_s=end))
        floor = start
    return snapped


def _silences(part: Samples, at_s: float) -> list[Interval]:
    levels = frame_levels_dbfs(part, BLOCK_S)
    if levels.size == 0:
        return []
    flags = levels < np.percentile(levels, 90) - QUIET_BELOW_DB
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [
        (at_s + a * BLOCK_S, at_s + b * BLOCK_S)
        for a, b in edges.reshape(-1, 2)
        if (b - a) * BLOCK_S >= MIN_QUIET_S
    ]


def _word_starts(tokens: Sequence[int], pieces: Sequence[bytes]) -> list[int]:
    """Indices of the tokens that begin a word (a leading blank), the first one always."""
    blank = "\u2581".encode()
    return [i for i, t in enumerate(tokens) if i == 0 or pieces[t].startswith(blank)]


def load_model() -> moonshine_model.MoonshineModel:
    """The model of the wheel, read once per process. Raises JudgeError."""
    try:
        return moonshine_model.load_moonshine()
    except moonshine_model.ModelFileError as error:
        raise JudgeError(str(error)) from error


@lru_cache(maxsize=1)
def _wheel_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("moonshine-cpp")
    except PackageNotFoundError as error:
        message = "Moonshine is not installed: pip install 'moonshine-cpp==0.1.4'"
        raise JudgeError(message) from error
