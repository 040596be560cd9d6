"""Where somebody speaks: Silero VAD for the decision, 10 ms levels for the edges.

Silero (Silero Team, "Silero VAD: pre-trained enterprise-grade Voice Activity Detector", 2021; the
ONNX file of the silero-vad wheel, run by onnxruntime) gives a probability per 32 ms. Speech begins
at p >= 0.5 and ends when p stays below 0.35 for 0.1 s. Both edges are then moved, by 0.2 s at most,
to the first and last 10 ms block that is louder than

    max(noise floor + 6 dB, level of the stretch - 35 dB, -60 dBFS)

The noise floor is the median level of what is not speech within 1 s.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sts_core.units import HOP_RATE_HZ, HOP_SAMPLES, SAMPLE_RATE_HZ

Audio = NDArray[np.float32]

MODEL_RATE_HZ: Final = 16_000
CHUNK_SAMPLES: Final = 512
CONTEXT_SAMPLES: Final = 64
CHUNK_S: Final = CHUNK_SAMPLES / MODEL_RATE_HZ
BEGINS, ENDS = 0.5, 0.35  # probabilities
MIN_SILENCE_S, MIN_SPEECH_S = 0.1, 0.06
REACH_S, MARGIN_DB, RANGE_DB, AUDIBLE_DBFS = 0.2, 6.0, 35.0, -60.0
SILENCE_DBFS: Final = -120.0
HOLE = 3  # quiet blocks inside a word, such as the closure of a stop
INSTALL: Final = "pip install 'silero-vad>=6.0'"


class VadError(ValueError):
    """Silero VAD is not installed."""


class Span(NamedTuple):
    """A stretch of time, seconds."""

    start_s: float
    end_s: float


def speech_spans(audio: Audio) -> list[Span]:
    """Stretches of speech of float32 [S] at 24 kHz, in order, edges on a 10 ms grid.

    Raises:
        VadError: Silero VAD is not installed.
    """
    if not np.any(audio):
        return []
    return with_edges(levels_dbfs(audio), decide(speech_probabilities(audio)))


def speech_probabilities(audio: Audio) -> NDArray[np.float64]:
    """Silero's probability for each 32 ms of float32 [S] at 24 kHz, [ceil(S / 768)]."""
    import soxr

    sound = np.asarray(soxr.resample(audio, SAMPLE_RATE_HZ, MODEL_RATE_HZ), np.float32)
    chunks = -(-len(sound) // CHUNK_SAMPLES)
    padded = np.zeros(CONTEXT_SAMPLES + chunks * CHUNK_SAMPLES, np.float32)
    padded[CONTEXT_SAMPLES : CONTEXT_SAMPLES + len(sound)] = sound
    session, memory = _session(), np.zeros((2, 1, 128), np.float32)
    rate, found = np.array(MODEL_RATE_HZ, np.int64), np.empty(chunks)
    for number in range(chunks):
        at = number * CHUNK_SAMPLES
        window = padded[None, at : at + CONTEXT_SAMPLES + CHUNK_SAMPLES]
        output, memory = session.run(None, {"input": window, "state": memory, "sr": rate})
        found[number] = output[0, 0]
    return found


def decide(probabilities: NDArray[np.float64]) -> list[Span]:
    """Stretches from probabilities by hysteresis, on the 32 ms grid."""
    gap = round(MIN_SILENCE_S / CHUNK_S)
    spans: list[tuple[int, int]] = []
    start, quiet = -1, 0
    for number, p in enumerate(probabilities):
        if start < 0:
            if p >= BEGINS:
                start, quiet = number, 0
        elif p >= ENDS:
            quiet = 0
        else:
            quiet += 1
            if quiet >= gap:
                spans.append((start, number + 1 - quiet))
                start = -1
    if start >= 0:
        spans.append((start, len(probabilities) - quiet))
    return [Span(a * CHUNK_S, b * CHUNK_S) for a, b in spans if (b - a) * CHUNK_S >= MIN_SPEECH_S]


def levels_dbfs(audio: Audio) -> NDArray[np.float64]:
    """RMS level of each whole 10 ms of [S], [S // 240], dB re full scale; -120 for silence."""
    blocks = audio[: audio.size // HOP_SAMPLES * HOP_SAMPLES].reshape(-1, HOP_SAMPLES)
    power = np.mean(np.square(blocks, dtype=np.float64), axis=1)
    return 10.0 * np.log10(np.maximum(power, 10.0 ** (SILENCE_DBFS / 10.0)))


def with_edges(levels: NDArray[np.float64], spans: list[Span]) -> list[Span]:
    """Move edges on the 32 ms grid to the 10 ms blocks in which the sound begins and ends."""
    reach, total = round(REACH_S * HOP_RATE_HZ), levels.size
    marked = [(_block(a), min(_block(b), total)) for a, b in spans]
    speech = np.zeros(total, bool)
    for first, last in marked:
        speech[first:last] = True
    moved: list[tuple[int, int]] = []
    for first, last in marked:
        if first >= last:
            continue
        near = slice(max(0, first - HOP_RATE_HZ), last + HOP_RATE_HZ)
        silent = levels[near][~speech[near]]
        floor = float(np.median(silent)) if silent.size >= 5 else SILENCE_DBFS
        level = float(np.percentile(levels[first:last], 90))
        loud = levels >= max(floor + MARGIN_DB, level - RANGE_DB, AUDIBLE_DBFS)
        low = max(0, first - reach, moved[-1][1] if moved else 0)
        begin = _edge(loud, first, low, min(first + reach, last))
        low, high = max(last - reach, first), min(total, last + reach)
        end = total - _edge(loud[::-1], total - last, total - high, total - low)
        if end > begin:
            moved.append((begin, end))
    return [Span(a / HOP_RATE_HZ, b / HOP_RATE_HZ) for a, b in moved]


def _edge(loud: NDArray[np.bool_], at: int, low: int, high: int) -> int:
    """Block in [low, high] where the sound that holds `at`, or the next one after it, begins."""
    ahead = np.flatnonzero(loud[at:high])
    if ahead.size == 0:
        return at
    first = at + int(ahead[0])
    if first - at > HOLE:
        return first
    hole = 0
    for block in range(first - 1, low - 1, -1):
        if loud[block]:
            first, hole = block, 0
        else:
            hole += 1
            if hole > HOLE:
                break
    return first


def _block(seconds: float) -> int:
    return max(0, round(seconds * HOP_RATE_HZ))


@lru_cache(maxsize=1)
def _session() -> Any:
    import onnxruntime

    spec = find_spec("silero_vad")  # without importing it: it would import torch and torchaudio
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = [Path(folder) / "data" / "silero_vad.onnx" for folder in folders]
    if not files or not files[0].is_file():
        raise VadError(f"Silero VAD is not installed: {INSTALL}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(files[0]), options, providers=["CPUExecutionProvider"])
