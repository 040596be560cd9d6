"""The sounds of users in conversations: utterances varied and cut, and coughs."""

from __future__ import annotations

import numpy as np

from sts_core.data.align import WordSpan
from sts_core.data.augment import _resampled
from sts_core.data.dialogue import Audio
from sts_core.data.library import Utterance
from sts_core.data.manifest import as_float
from sts_core.units import SAMPLE_RATE_HZ


def varied(utterance: Utterance, rng: np.random.Generator) -> tuple[Audio, tuple[WordSpan, ...]]:
    """Its audio, often at another tempo, pitch and formants (all moved alike), and its words."""
    audio = as_float(utterance.audio)
    if utterance.row.get("toned") or rng.random() < 0.4:
        return audio, utterance.words
    rate = float(np.exp(rng.uniform(-0.16, 0.16)))
    spans = (WordSpan(w.word, w.start_s / rate, w.end_s / rate) for w in utterance.words)
    return _resampled(audio, rate), tuple(spans)


def faded(audio: Audio, *, end: bool) -> Audio:
    """8 ms of fade where an utterance was cut."""
    ramp = np.linspace(1.0, 0.0, min(192, audio.size), dtype=np.float32)
    audio = audio.copy()
    if end:
        audio[audio.size - ramp.size :] *= ramp
    else:
        audio[: ramp.size] *= ramp[::-1]
    return audio


def cough(rng: np.random.Generator) -> Audio:
    """A cough or a knock: one or two bursts of coloured noise."""
    sound = np.zeros(int(0.5 * SAMPLE_RATE_HZ), np.float32)
    for _ in range(int(rng.integers(1, 3))):
        size = int(rng.uniform(0.05, 0.22) * SAMPLE_RATE_HZ)
        burst = rng.standard_normal(size).astype(np.float32)
        width = int(rng.integers(2, 24))
        burst = np.convolve(burst, np.ones(width) / width, "same").astype(np.float32)
        burst *= np.exp(-np.linspace(0, rng.uniform(3, 6), size, dtype=np.float32))
        start = int(rng.integers(0, sound.size - size))
        sound[start : start + size] += burst / (np.abs(burst).max() + 1e-6)
    return sound * np.float32(rng.uniform(0.05, 0.35))
