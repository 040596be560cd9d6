"""Judges of where speech is: Silero VAD with edges by energy, and energy alone.

The decision and the edges are `sts_core.asr.vad`, which the cascade and the training data use, too;
`sts_eval.judges.calibration` measures the signed error of the edges.

The streaming form (`SileroStream`) does the same decision frame by frame for end-pointing; all its
state is in `StreamState`, passed in and out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sts_eval.audio import frame_levels_dbfs
from sts_eval.judges.base import Interval, JudgeError
from sts_eval.target import Samples
from sts_eval.targets.core import silero_model
from sts_eval.units import FRAME_SAMPLES

VadSettings = silero_model.VadSettings
decide = silero_model.decide
VAD_RATE_HZ: Final = silero_model.MODEL_RATE_HZ
CHUNK_SAMPLES: Final = silero_model.CHUNK_SAMPLES
CHUNK_S: Final = silero_model.CHUNK_S
CONTEXT_SAMPLES: Final = silero_model.CONTEXT_SAMPLES
BLOCK_S: Final = silero_model.BLOCK_S
_TAPS: Final = 97  # of the 48 kHz low-pass between 24 and 16 kHz; its delay is 1 ms


class SileroJudge:
    """Speech stretches of a whole track."""

    name = "silero"

    def __init__(self, settings: VadSettings | None = None) -> None:
        self.settings = settings or VadSettings()
        self.version = f"1-silero{_wheel_version()}-{_settings_key(self.settings)}"

    def speech_spans(self, audio: Samples) -> list[Interval]:
        """float32 [S] at 24 kHz -> stretches of speech, edges on a 10 ms grid."""
        _load()
        return [(a, b) for a, b in silero_model.speech_spans(audio, self.settings)]


class EnergyJudge:
    """Stretches whose level is above a fixed threshold. Knows nothing of speech; 10 ms grid."""

    name = "energy"

    def __init__(
        self, threshold_dbfs: float = -50.0, min_silence_s: float = 0.1, min_speech_s: float = 0.03
    ) -> None:
        self._threshold_dbfs = threshold_dbfs
        self._gap, self._least = round(min_silence_s / BLOCK_S), round(min_speech_s / BLOCK_S)
        self.version = f"1-{threshold_dbfs:g}-{min_silence_s:g}-{min_speech_s:g}"

    def speech_spans(self, audio: Samples) -> list[Interval]:
        """float32 [S] at 24 kHz -> stretches at or above the threshold."""
        runs = _runs(frame_levels_dbfs(audio, BLOCK_S) >= self._threshold_dbfs)
        joined: list[tuple[int, int]] = []
        for start, end in runs:
            if joined and start - joined[-1][1] < self._gap:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
        return [(a * BLOCK_S, b * BLOCK_S) for a, b in joined if b - a >= self._least]


def speech_probabilities(audio: Samples) -> NDArray[np.float64]:
    """Silero's probability for each 32 ms of a track, [ceil(S / 768)]. Raises JudgeError."""
    _load()
    return silero_model.speech_probabilities(audio)


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[start, end) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


@dataclass(frozen=True)
class StreamState:
    """What the streaming form remembers between frames; never changed in place."""

    history: Samples  # [48] last samples at 24 kHz, for the resampler
    pending: Samples  # [64 + 0..511] context and samples at 16 kHz that do not fill a chunk yet
    memory: NDArray[np.float32]  # [2, 1, 128] Silero's own


class SileroStream:
    """Silero frame by frame: 1920 samples at 24 kHz in, the 2 or 3 probabilities they complete out.

    Chunk k covers [k, k+1) x 32 ms of what was heard (1 ms late: the resampler).
    """

    def start(self) -> StreamState:
        """The state before the first frame."""
        _load()
        return StreamState(
            np.zeros(_TAPS // 2, np.float32),
            np.zeros(CONTEXT_SAMPLES, np.float32),
            np.zeros((2, 1, 128), np.float32),
        )

    def step(self, frame: Samples, state: StreamState) -> tuple[list[float], StreamState]:
        """Hear one frame, float32 [1920]."""
        if frame.shape != (FRAME_SAMPLES,):
            raise ValueError(f"a frame has {FRAME_SAMPLES} samples, this one {frame.shape}")
        heard, history = downsample(frame, state.history)
        pending, memory = np.concatenate([state.pending, heard]), state.memory
        found = []
        while len(pending) >= CONTEXT_SAMPLES + CHUNK_SAMPLES:
            probability, memory = silero_model.probability(
                pending[: CONTEXT_SAMPLES + CHUNK_SAMPLES], memory
            )
            found.append(probability)
            pending = pending[CHUNK_SAMPLES:]
        return found, StreamState(history, pending, memory)


def downsample(samples: Samples, history: Samples) -> tuple[Samples, Samples]:
    """24 kHz [3n] -> 16 kHz [2n], causal (1 ms), with the last 48 samples as history in and out.

    Polyphase low-pass at 7.6 kHz on the common 48 kHz grid: output 2m and 2m+1 lie at inputs 3m and
    3m + 1.5.
    """
    taps = _low_pass()
    padded = np.concatenate([history, samples])
    offset = len(history)
    windows = np.lib.stride_tricks.sliding_window_view(padded, offset + 1)  # [3n, 49]
    even = windows[0::3] @ taps[0::2][::-1]
    odd_taps = np.concatenate([taps[1::2], [np.float32(0)]])
    odd = windows[1::3] @ odd_taps[::-1]
    out = np.empty(2 * len(even), np.float32)
    out[0::2], out[1::2] = even, odd
    return out, padded[-offset:]


@lru_cache(maxsize=1)
def _low_pass() -> NDArray[np.float32]:
    """Hann-windowed sinc with gain 2 (half of the 48 kHz grid is zeros), [97]."""
    n = np.arange(_TAPS) - _TAPS // 2
    cutoff = 7_600 / 48_000
    taps = 2 * cutoff * np.sinc(2 * cutoff * n) * np.hanning(_TAPS + 2)[1:-1]
    return (2 * taps / taps.sum()).astype(np.float32)


def _load() -> None:
    """Have the model loaded, or a JudgeError that says what is missing."""
    try:
        silero_model.load_silero()
    except silero_model.VadError as error:
        raise JudgeError(str(error)) from error


@lru_cache(maxsize=1)
def _wheel_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("silero-vad")
    except PackageNotFoundError as error:
        raise JudgeError(f"Silero VAD is not installed: {silero_model.INSTALL}") from error


def _settings_key(settings: VadSettings) -> str:
    return "-".join(f"{value:g}" for value in vars(settings).values())
