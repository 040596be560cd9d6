"""Where somebody speaks: Silero VAD for the decision, 10 ms levels for the edges.

Silero (Silero Team, "Silero VAD: pre-trained enterprise-grade Voice Activity Detector", 2021; the
ONNX file of the silero-vad wheel, run by onnxruntime, no torch) gives a probability per 32 ms. A
stretch of speech begins at p >= `threshold` and ends when p stays below `threshold - hysteresis`
for `min_silence_s`. 32 ms are too coarse for a latency, so both edges are moved to the first and
last 10 ms block whose level is above

    max(noise floor + margin_db, level of the stretch - range_db, AUDIBLE_DBFS)

within `reach_s` of where Silero put them. The noise floor is the median level of what is not speech
within 1 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sts_core.units import HOP_SAMPLES, SAMPLE_RATE_HZ
from sts_core.wheels import onnx_session, wheel_file

Audio = NDArray[np.float32]

MODEL_RATE_HZ: Final = 16_000
CHUNK_SAMPLES: Final = 512
CHUNK_S: Final = CHUNK_SAMPLES / MODEL_RATE_HZ
CONTEXT_SAMPLES: Final = 64
BLOCK_S: Final = 0.01
AUDIBLE_DBFS: Final = -60.0
SILENCE_DBFS: Final = -120.0
HOLE: Final = 3  # quiet blocks inside a word, such as the closure of a stop
INSTALL: Final = "pip install 'silero-vad>=6.0'"


class VadError(ValueError):
    """Silero VAD is not installed."""


class Span(NamedTuple):
    """A stretch of time, seconds."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class VadSettings:
    """The parameters of the decision and of the edges; part of a judge's version."""

    threshold: float = 0.5
    hysteresis: float = 0.15
    min_silence_s: float = 0.1
    min_speech_s: float = 0.06
    reach_s: float = 0.2
    margin_db: float = 6.0
    range_db: float = 35.0


def speech_spans(audio: Audio, settings: VadSettings | None = None) -> list[Span]:
    """Stretches of speech of float32 [S] at 24 kHz, in order, edges on a 10 ms grid.

    Raises:
        VadError: Silero VAD is not installed.
    """
    if not np.any(audio):
        return []
    settings = settings or VadSettings()
    return refine_edges(audio, decide(speech_probabilities(audio), settings), settings)


def speech_probabilities(audio: Audio) -> NDArray[np.float64]:
    """Silero's probability for each 32 ms of float32 [S] at 24 kHz, [ceil(S / 768)]."""
    import soxr

    samples = np.asarray(soxr.resample(audio, SAMPLE_RATE_HZ, MODEL_RATE_HZ), np.float32)
    chunks = -(-len(samples) // CHUNK_SAMPLES)
    padded = np.zeros(CONTEXT_SAMPLES + chunks * CHUNK_SAMPLES, np.float32)
    padded[CONTEXT_SAMPLES : CONTEXT_SAMPLES + len(samples)] = samples
    memory = np.zeros((2, 1, 128), np.float32)
    found = np.empty(chunks)
    for k in range(chunks):
        at = k * CHUNK_SAMPLES
        window = padded[at : at + CONTEXT_SAMPLES + CHUNK_SAMPLES]
        found[k], memory = probability(window, memory)
    return found


def decide(probabilities: NDArray[np.float64], settings: VadSettings) -> list[Span]:
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
        Span(a * CHUNK_S, b * CHUNK_S)
        for a, b in spans
        if (b - a) * CHUNK_S >= settings.min_speech_s
    ]


def refine_edges(audio: Audio, spans: list[Span], settings: VadSettings) -> list[Span]:
    """Move the edges of 32 ms stretches to the 10 ms blocks where the sound begins and ends."""
    levels = levels_dbfs(audio)  # [S // 240]
    if levels.size == 0:
        return []
    reach = round(settings.reach_s / BLOCK_S)
    speech = np.zeros(levels.size, bool)
    for start, end in spans:
        speech[_block(start) : _block(end)] = True
    refined: list[Span] = []
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
            refined.append(Span(onset * BLOCK_S, offset * BLOCK_S))
    return refined


def _edge(loud: NDArray[np.bool_], at: int, low: int, high: int) -> int:
    """Block where the sound that holds `at` (or the next sound after it) begins, in [low, high].

    Walks back over loud blocks, bridging holes of up to 30 ms (stops inside words), else forward.
    """
    ahead = np.flatnonzero(loud[at:high])
    if ahead.size == 0:
        return at
    first = at + int(ahead[0])
    if first - at > HOLE:
        return first
    hole = 0
    for k in range(first - 1, low - 1, -1):
        if loud[k]:
            first, hole = k, 0
        else:
            hole += 1
            if hole > HOLE:
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


def levels_dbfs(audio: Audio) -> NDArray[np.float64]:
    """RMS level of each whole 10 ms of [S], [S // 240], dB re full scale; -120 for silence."""
    blocks = audio[: audio.size // HOP_SAMPLES * HOP_SAMPLES].reshape(-1, HOP_SAMPLES)
    power = np.mean(np.square(blocks, dtype=np.float64), axis=1)
    return 10.0 * np.log10(np.maximum(power, 10.0 ** (SILENCE_DBFS / 10.0)))


def probability(window: Audio, memory: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
    """Silero's word on a chunk with its context, [576] at 16 kHz, and its memory after it."""
    output, memory = load_silero().run(
        None, {"input": window[None], "state": memory, "sr": np.array(MODEL_RATE_HZ, np.int64)}
    )
    return float(output[0, 0]), memory


@lru_cache(maxsize=1)
def load_silero() -> Any:
    """The model of the wheel, read once per process. Raises VadError."""
    model = wheel_file("silero_vad", "data/silero_vad.onnx")
    if model is None:
        raise VadError(f"Silero VAD is not installed: {INSTALL}")
    return onnx_session(model)
