"""Recordings as tokens, and tokens (or sound) as the numbers that a probe reads.

A probe reads of each codebook the mean, the standard deviation and the change from the first half
to the second of its code vectors: the same tokens in the codec's own geometry, so that a token that
never occurred in training is not unknown. A codec without code vectors is read by the square roots
of its token frequencies (Hellinger).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sts_eval.metrics.token_information import histogram
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MOST_DIMENSIONS = 64  # of a code vector; longer ones are projected on their principal axes
MEL_BANDS, MEL_WINDOW, MEL_HOP = 40, 600, 240  # 25 ms and 10 ms
FLOOR = 1e-7


@dataclass(frozen=True)
class Rendition:
    """One recording: who says which sentence in which emotion.

    text: the same for recordings of one sentence. words: its words, "" where not known.
    tokens: int64 [K, T]. sound: [D] features of the audio itself.
    """

    scenario_id: str
    speaker: str
    text: str
    words: str
    emotion: str
    tokens: IntArray
    sound: FloatArray


@dataclass(frozen=True)
class TokenSet:
    """All renditions of a run, as tokens of one codec.

    semantic: how many of the first codebooks are semantic (0: the codec has none). vectors: of each
    codebook [codebook_size, D], or None. parallel: whether renditions of one text hold one
    sentence's words.
    """

    renditions: list[Rendition]
    codec: str
    codebook_size: int
    semantic: int
    vectors: list[FloatArray] | None = None
    parallel: bool = True
    frame_s: float = 0.08

    @property
    def codebooks(self) -> int:
        """How many codebooks were read."""
        return len(self.renditions[0].tokens) if self.renditions else 0

    def histograms(self, codebook: int) -> IntArray:
        """[n, codebook_size] how often each rendition has each token."""
        return np.stack(
            [histogram(each.tokens[codebook], self.codebook_size) for each in self.renditions]
        )

    def features(self, codebook: int) -> FloatArray:
        """[n, D] what a probe reads of one codebook."""
        if self.vectors is None:
            counts = self.histograms(codebook)
            return np.sqrt(counts / counts.sum(axis=1, keepdims=True))
        table = compact(self.vectors[codebook])
        return np.stack([over_time(table[each.tokens[codebook]]) for each in self.renditions])


def compact(vectors: FloatArray) -> FloatArray:
    """Code vectors [V, D] on at most MOST_DIMENSIONS of their own principal axes."""
    if vectors.shape[1] <= MOST_DIMENSIONS:
        return vectors
    centred = vectors - vectors.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, -MOST_DIMENSIONS:]
    return centred @ axes


def over_time(values: FloatArray) -> FloatArray:
    """[T, D] -> [3 D]: mean, deviation, and the change from the first half to the second."""
    half = len(values) // 2
    change = values[-half:].mean(axis=0) - values[:half].mean(axis=0) if half else 0 * values[0]
    return np.concatenate([values.mean(axis=0), values.std(axis=0), change])


def sound_features(audio: Samples) -> FloatArray:
    """[3 x 40] of the log-mel spectrum of audio float32 [S] at 24 kHz, level included."""
    padded = np.pad(audio.astype(np.float64), (0, max(0, MEL_WINDOW - audio.size)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, MEL_WINDOW)[::MEL_HOP]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(MEL_WINDOW), axis=1)))
    return over_time(np.log(power @ _mel_bank().T + FLOOR))


def _mel_bank() -> FloatArray:
    """Triangles [40, bins] of equal width in mel, 2595 log10(1 + f / 700), from 0 to 12 kHz."""
    top = 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, MEL_BANDS + 2) / 2595) - 1)
    hz = np.fft.rfftfreq(MEL_WINDOW, 1 / SAMPLE_RATE_HZ)
    rising = (hz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hz) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rising, falling))


@dataclass
class Tokenizer:
    """A codec that turns audio at 24 kHz into its first tokens, with what is known about it.

    Made by `load_tokenizer`; tests make their own.
    """

    name: str
    encode: Callable[[Samples], IntArray]
    codebook_size: int
    semantic: int
    frame_s: float
    vectors: list[FloatArray] | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the tokens of one second of noise: other weights, other tokens."""
        noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE_HZ) * 0.05
        tokens = np.ascontiguousarray(self.encode(noise.astype(np.float32)))
        return hashlib.sha256(tokens.tobytes()).hexdigest()

    def tokens(self, audio: Samples) -> IntArray:
        """int64 [K, T] of audio float32 [S] at 24 kHz; kept on disk, so that scoring again is
        quick."""
        from sts_eval.audio import audio_hash
        from sts_eval.judges.cache import remember

        key = ("tokens", self.fingerprint, audio_hash(audio))
        found, _ = remember(key, lambda: self.encode(audio).tolist())
        return np.array(found, np.int64)


def load_tokenizer(name: str, codebooks: int, semantic: int | None) -> Tokenizer:
    """The codec of this name (`sts_eval.targets.core.load_codec`), its first `codebooks`.

    semantic: how many of them are semantic; None: what is known of the codec. Raises TargetError.
    """
    import torch

    from sts_eval.audio import resample
    from sts_eval.targets.core import load_codec, semantic_codebooks

    codec: Any = load_codec(name)
    read = min(codebooks, codec.num_codebooks)

    def encode(audio: Samples) -> IntArray:
        fitting = resample(audio, SAMPLE_RATE_HZ, codec.sample_rate_hz)
        codes = codec.encode(torch.from_numpy(np.ascontiguousarray(fitting))[None, None])
        found: IntArray = codes[0, :read].cpu().numpy().astype(np.int64)
        return found

    vectors = None
    if hasattr(codec, "code_vectors"):
        vectors = [each.double().cpu().numpy() for each in codec.code_vectors()[:read]]
    return Tokenizer(
        name=str(codec.name),
        encode=encode,
        codebook_size=int(codec.codebook_size),
        semantic=min(read, semantic_codebooks(codec) if semantic is None else semantic),
        frame_s=codec.frame_samples / codec.sample_rate_hz,
        vectors=vectors,
    )
