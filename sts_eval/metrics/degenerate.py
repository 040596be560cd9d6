"""Degenerate output: no answer, no end, loops, and sounds that are no words.

    silence     nothing audible after the turn
    endless     still audible when listening ends, after a share `ENDLESS_SHARE` of it
    loop        the audio repeats itself (below), or its text does: a compression ratio of
                `MAX_COMPRESSION` (as in openai/whisper), one unit of words `MIN_REPEATS` times in a
                row, or a word entropy of at most `MIN_ENTROPY` of its largest value
    gibberish   at least half of three or more words are in no dictionary

Audio repetition needs no judge. 16 cepstra of a log-mel spectrum at 20 ms, each normalised over the
track, as unit vectors c_t; over lags L of 0.2 to 3 s and windows W of max(2 L, 1.5 s),

    repetition = max over L and t of mean over W of <c_t, c_{t+L}>

Speech stays below 0.6 (0.51 in 99 of 100 sequences of five packaged utterances), loops of synthesis
or of samples reach 0.84 and more; the line is at 0.7.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sts_eval.judges.text import normalise
from sts_eval.metrics.signal import AUDIBLE_DBFS, block_dbfs
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

HOP, WINDOW, BANDS, CEPSTRA = 480, 1024, 32, 16
LAGS_S: Final = (0.2, 3.0)
MIN_WINDOW_S: Final = 1.5
LOOP_FROM: Final = 0.7
MAX_COMPRESSION: Final = 2.4
MIN_COMPRESSED_CHARS: Final = 60
MIN_REPEATS: Final = 4
MIN_ENTROPY: Final = 0.5
MAX_UNIT_WORDS: Final = 12
GIBBERISH_SHARE: Final = 0.5
MIN_WORDS: Final = 3
ENDLESS_SHARE: Final = 0.8

FloatArray = NDArray[np.float64]


def is_silent(agent: Samples) -> bool:
    """Whether nothing of a track float32 [S] reaches -50 dBFS."""
    return agent.size == 0 or not bool(np.any(block_dbfs(agent) >= AUDIBLE_DBFS))


def is_endless(agent: Samples) -> bool:
    """Whether an answer, float32 [S] until listening ended, fills it and had no end in it."""
    loud = block_dbfs(agent) >= AUDIBLE_DBFS  # [10 ms]
    tail = loud[-30:]
    return bool(tail.size and tail.any() and loud.mean() >= ENDLESS_SHARE)


def audio_repetition(audio: Samples) -> float:
    """How like itself a track float32 [S] is some lag later, at most 1 (see the module).

    0 for a track shorter than the shortest window and lag together.
    """
    loud = np.flatnonzero(block_dbfs(audio) >= AUDIBLE_DBFS)
    if loud.size == 0:
        return 0.0
    speech = audio[loud[0] * 240 : (loud[-1] + 1) * 240]
    unit = _cepstra(speech)  # [T, 16]
    per_s = SAMPLE_RATE_HZ / HOP
    best = 0.0
    for lag in range(round(LAGS_S[0] * per_s), round(LAGS_S[1] * per_s) + 1):
        window = max(2 * lag, round(MIN_WINDOW_S * per_s))
        if len(unit) < lag + window:
            break
        alike = np.einsum("td,td->t", unit[lag:], unit[:-lag])
        total = np.cumsum(np.concatenate([[0.0], alike]))
        best = max(best, float((total[window:] - total[:-window]).max()) / window)
    return best


def _cepstra(speech: Samples) -> FloatArray:
    """Unit vectors of normalised cepstra, [T, 16]; silent frames are zero."""
    from scipy.fft import dct

    padded = np.pad(speech.astype(np.float64), (0, WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2
    mel = np.log(power @ _filters().T + 1e-7)
    cepstra = dct(mel, norm="ortho", axis=1)[:, :CEPSTRA]
    spread = cepstra.std(axis=0)
    centred = (cepstra - cepstra.mean(axis=0)) / (spread + 1e-6)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: FloatArray = centred / (length + 1e-9)
    return unit


@lru_cache(maxsize=1)
def _filters() -> FloatArray:
    """Triangles on the mel scale from 100 to 7000 Hz, [32, 513]."""
    hz = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE_HZ)
    low, high = (2595 * math.log10(1 + edge / 700) for edge in (100, 7000))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    rising = (hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hz) / (edges[2:] - edges[1:-1])[:, None]
    return np.clip(np.minimum(rising, falling), 0.0, None)


def compression_ratio(text: str) -> float:
    """Bytes over bytes as zlib packs them; 1 for a text shorter than 60 characters."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw)) if len(text) >= MIN_COMPRESSED_CHARS else 1.0


def repeats(words: Sequence[str]) -> int:
    """The largest number of times that one unit of up to 12 words is said in a row."""
    most = 1 if words else 0
    for unit in range(1, min(MAX_UNIT_WORDS, len(words) // 2) + 1):
        run = 0
        for at in range(unit, len(words)):
            run = run + 1 if words[at] == words[at - unit] else 0
            most = max(most, run // unit + 1)
    return most


def word_entropy(words: Sequence[str]) -> float | None:
    """Entropy of the words over its largest value, log2 of their number; None below 8 words."""
    if len(words) < 8:
        return None
    shares = np.array(list(Counter(words).values())) / len(words)
    return float(-(shares * np.log2(shares)).sum() / math.log2(len(words)))


def text_loops(text: str) -> bool:
    """Whether a text repeats itself."""
    words = normalise(text)
    entropy = word_entropy(words)
    return (
        repeats(words) >= MIN_REPEATS
        or compression_ratio(text) >= MAX_COMPRESSION
        or (entropy is not None and entropy <= MIN_ENTROPY)
    )


def unknown_share(text: str) -> float | None:
    """Share of words that no English dictionary has; None with fewer than three words.

    The dictionary is that of hibari's phonemizer (misaki's lexicons, with names and inflections).
    """
    words = [word for word in normalise(text) if word.isascii()]
    if len(words) < MIN_WORDS:
        return None
    return sum(not _known(word) for word in words) / len(words)


def is_gibberish(text: str) -> bool | None:
    """Whether the words are no words; None where too few were heard to tell."""
    share = unknown_share(text)
    return None if share is None else share >= GIBBERISH_SHARE


@lru_cache(maxsize=10_000)
def _known(word: str) -> bool:
    return "\ufffd" not in _dictionary()(word)


@lru_cache(maxsize=1)
def _dictionary() -> Any:
    from hibari.g2p import G2P

    return G2P(oov=False, unk="\ufffd")
