"""Where speech is: Silero VAD for the decision, energy for the edges.

Silero (Silero Team, "Silero VAD: pre-trained enterprise-grade Voice Activity Detector", 2021; the
ONNX file of the silero-vad wheel, run by onnxruntime, no torch) gives a probability per 32 ms. A
stretch of speech begins at p >= `threshold` and ends when p stays below `threshold - hysteresis`
for `min_silence_s`. 32 ms are too coarse for a latency, so both edges are moved to the first and
last 10 ms block whose level is above

    max(noise floor + margin_db, level of the stretch - range_db, AUDIBLE_DBFS)

within `reach_s` of where Silero put them. `sts_eval.judges.calibration` measures the signed error.

The streaming form (`SileroStream`) does the same decision frame by frame for end-pointing; all its
state is in `StreamState`, passed in and out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sts_eval.audio import SILENCE_DBFS, frame_levels_dbfs, resample
from sts_eval.judges.base import Interval, JudgeError
from sts_eval.target import Samples
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

VAD_RATE_HZ: Final = 16_000
CHUNK_SAMPLES: Final = 512
CHUNK_S: Final = CHUNK_SAMPLES / VAD_RATE_HZ
CONTEXT_SAMPLES: Final = 64
BLOCK_S: Final = 0.01
AUDIBLE_DBFS: Final = -60.0
_TAPS: Final = 97  # of the 48 kHz low-pass between 24 and 16 kHz; its delay is 1 ms


@dataclass(frozen=True)
class VadSettings:
    """The parameters of the decision and of the edges; part of the judge's version."""

    threshold: float = 0.5
    hysteresis: float = 0.15
    min_silence_s: float = 0.1
    min_speech_s: float = 0.06
    reach_s: float = 0.2
    margin_db: float = 6.0
    range_db: float = 35.0


class SileroJudge:
    """Speech stretches of a whole track."""

    name = "silero"

    def __init__(self, settings: VadSettings | None = None) -> None:
        self.settings = settings or VadSettings()
        self.version = f"1-silero{_wheel_version()}-{_settings_key(self.settings)}"

    def speech_spans(self, audio: Samples) -> list[Interval]:
        """float32 [S] at 24 kHz -> stretches of speech, edges on a 10 ms grid."""
        if not np.any(audio):
            return []
        probabilities = speech_probabilities(audio)
        return refine_edges(audio, decide(probabilities, self.settings), self.settings)


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
    """Silero's probability for each 32 ms of a track, [ceil(S / 768)]."""
    samples = resample(audio, SAMPLE_RATE_HZ, VAD_RATE_HZ)
    chunks = -(-len(samples) // CHUNK_SAMPLES)
    padded = np.zeros(CONTEXT_SAMPLES + chunks * CHUNK_SAMPLES, np.float32)
    padded[CONTEXT_SAMPLES : CONTEXT_SAMPLES + len(samples)] = samples
    memory = np.zeros((2, 1, 128), np.float32)
    found = np.empty(chunks)
    for k in range(chunks):
        at = k * CHUNK_SAMPLES
        window = padded[at : at + CONTEXT_SAMPLES + CHUNK_SAMPLES]
        found[k], memory = _silero(window, memory)
    return found


def decide(probabilities: NDArray[np.float64], settings: VadSettings) -> list[Interval]:
    """Stretches from probabilities by hysteresis, in seconds on Silero's 32 ms grid."""
    low = settings.threshold - settings.hysteresis
    gap = round(settings.min_silence_s / CHUNK_S)
    spans: list[tuple[int, int]] = []
    start, quiet = -1, 0
    for k, p in enumerate(probabilities):
        if start < 0:
            if p >= settings.threshold:
                start, quiet = k, 0
        elif p >= low:
            quiet = 0
        else:
            quiet += 1
            if quiet >= gap:
                spans.append((start, k + 1 - quiet))
                start = -1
    if start >= 0:
        spans.append((start, len(probabilities) - quiet))
    return [
        (a * CHUNK_S, b * CHUNK_S) for a, b in spans if (b - a) * CHUNK_S >= settings.min_speech_s
    ]


def refine_edges(audio: Samples, spans: list[Interval], settings: VadSettings) -> list[Interval]:
    """Move the edges of 32 ms stretches to the 10 ms blocks where the sound begins and ends."""
    levels = frame_levels_dbfs(audio, BLOCK_S)  # [S // 240]
    if levels.size == 0:
        return []
    reach = round(settings.reach_s / BLOCK_S)
    speech = np.zeros(levels.size, bool)
    for start, end in spans:
        speech[_block(start) : _block(end)] = True
    refined: list[Interval] = []
    for start, end in spans:
        first, last = _block(start), min(_block(end), levels.size)
        if first >= last:
            continue
        floor = _noise_floor(levels, speech, first, last)
        level = float(np.percentile(levels[first:last], 90))
        loud = levels >= max(floor + settings.margin_db, level - settings.range_db, AUDIBLE_DBFS)
        low = max(0, first - reach, _block(refined[-1][1]) if refined else 0)
        onset = _edge(loud, first, low, min(first + reach, last))
        backwards = loud[::-1]
        size = loud.size
        offset = size - _edge(
            backwards, size - last, size - min(size, last + reach), size - max(last - reach, first)
        )
        if offset > onset:
            refined.append((onset * BLOCK_S, offset * BLOCK_S))
    return refined


def _edge(loud: NDArray[np.bool_], at: int, low: int, high: int) -> int:
    """Block where the sound that holds `at` (or the next sound after it) begins, in [low, high].

    Walks back over loud blocks, bridging holes of up to 30 ms (stops inside words), else forward.
    """
    ahead = np.flatnonzero(loud[at:high])
    if ahead.size == 0:
        return at
    first = at + int(ahead[0])
    if first - at > 3:
        return first
    hole = 0
    for k in range(first - 1, low - 1, -1):
        if loud[k]:
            first, hole = k, 0
        else:
            hole += 1
            if hole > 3:
                break
    return first


def _noise_floor(
    levels: NDArray[np.float64], speech: NDArray[np.bool_], first: int, last: int
) -> float:
    """Median level of the non-speech within 1 s of a stretch, dBFS."""
    near = slice(max(0, first - 100), last + 100)
    silence = levels[near][~speech[near]]
    return float(np.median(silence)) if silence.size >= 5 else SILENCE_DBFS


def _block(seconds: float) -> int:
    return max(0, round(seconds / BLOCK_S))


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
        _session()
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
            probability, memory = _silero(pending[: CONTEXT_SAMPLES + CHUNK_SAMPLES], memory)
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


def _silero(window: Samples, memory: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
    """One chunk with its context, [576] at 16 kHz."""
    output, memory = _session().run(
        None, {"input": window[None], "state": memory, "sr": np.array(VAD_RATE_HZ, np.int64)}
    )
    return float(output[0, 0]), memory


@lru_cache(maxsize=1)
def _session() -> Any:
    import onnxruntime

    spec = find_spec("silero_vad")  # finds the wheel without importing it: it would import torch
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = [Path(folder) / "data" / "silero_vad.onnx" for folder in folders]
    if not files or not files[0].is_file():
        raise JudgeError("Silero VAD is not installed: pip install 'silero-vad>=6.0'")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(files[0]), options, providers=["CPUExecutionProvider"])


@lru_cache(maxsize=1)
def _wheel_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("silero-vad")
    except PackageNotFoundError as error:
        raise JudgeError("Silero VAD is not installed: pip install 'silero-vad>=6.0'") from error


def _settings_key(settings: VadSettings) -> str:
    return "-".join(f"{value:g}" for value in vars(settings).values())
