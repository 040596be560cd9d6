"""What the two tracks show by themselves: first sound, drop-outs and echo.

Audio is float32 at 24 kHz; the grid is 10 ms (240 samples) unless a function says otherwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

BLOCK_SAMPLES = SAMPLE_RATE_HZ // 100  # 10 ms
AUDIBLE_DBFS = -50.0
DROPOUT_MIN_S = 0.02
DROPOUT_MAX_S = 0.4  # longer silence after a sharp edge is a turn that was broken off
DROPOUT_EDGE_DBFS = -36.0
DIGITAL_SILENCE = 2.0 / 32768  # one step of 16 bit, and its rounding
ECHO_RATE_HZ = 8_000
ECHO_MAX_LAG_S = 2.0


def block_dbfs(audio: Samples, block_samples: int = BLOCK_SAMPLES) -> NDArray[np.float64]:
    """RMS level of each whole block, dB relative to full scale; digital silence is -inf."""
    whole = audio[: audio.size // block_samples * block_samples].reshape(-1, block_samples)
    power = np.mean(whole.astype(np.float64) ** 2, axis=1)
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(power)


def first_audible_s(audio: Samples, from_s: float) -> float | None:
    """Start of the first 10 ms block at or above -50 dBFS that begins at or after `from_s`."""
    first = int(np.ceil(round(from_s * 100, 6)))
    loud = np.flatnonzero(block_dbfs(audio)[first:] >= AUDIBLE_DBFS)
    return (first + int(loud[0])) / 100 if loud.size else None


def dropouts(audio: Samples) -> list[tuple[float, float]]:
    """Holes in speech: digital silence of 20 to 400 ms with sharp edges, as (start_s, end_s).

    Speech fades; a lost or late frame does not. An edge is sharp when the 2.5 ms next to the
    silence are louder than -36 dBFS; a hole has at least one sharp edge and sound on both sides.
    """
    quiet = np.abs(audio) <= DIGITAL_SILENCE
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    found = []
    for start, end in edges.reshape(-1, 2):
        if not DROPOUT_MIN_S <= (end - start) / SAMPLE_RATE_HZ <= DROPOUT_MAX_S:
            continue
        before, after = _edge_dbfs(audio, start, -1), _edge_dbfs(audio, end, +1)
        if start > 0 and end < audio.size and max(before, after) > DROPOUT_EDGE_DBFS:
            found.append((start / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ))
    return found


def _edge_dbfs(audio: Samples, at: int, side: int) -> float:
    width = BLOCK_SAMPLES // 4
    part = audio[max(0, at - width) : at] if side < 0 else audio[at : at + width]
    power = float(np.mean(part.astype(np.float64) ** 2)) if part.size else 0.0
    return 10 * np.log10(power) if power > 0 else -np.inf


def echo_correlation(user: Samples, agent: Samples, turn_s: tuple[float, float]) -> float:
    """How much of the user's turn comes back on the agent's track: 0 (nothing) to 1 (all of it).

    Peak over lags of 0 to 2 s of the normalised cross-correlation between the user's turn and the
    agent's track, both at 8 kHz. Two voices that say different things stay far below 0.3.
    """
    from scipy.signal import correlate, resample_poly

    start, end = (int(t * SAMPLE_RATE_HZ) for t in turn_s)
    lag = int(ECHO_MAX_LAG_S * SAMPLE_RATE_HZ)
    down = SAMPLE_RATE_HZ // ECHO_RATE_HZ
    said = resample_poly(user[start:end].astype(np.float64), 1, down)
    back = resample_poly(agent[start : end + lag].astype(np.float64), 1, down)
    if said.size == 0 or back.size < said.size:
        return 0.0
    energy = np.concatenate([[0.0], np.cumsum(back**2)])
    window = energy[said.size :] - energy[: -said.size]
    norm = np.sqrt(np.sum(said**2) * window)
    peak = np.abs(correlate(back, said, mode="valid"))
    floor = 1e-4 * np.sqrt(said.size) * np.sqrt(np.sum(said**2))  # -80 dBFS: not an echo
    usable = norm > max(float(floor), 1e-12)
    return float(np.max(peak[usable] / norm[usable])) if usable.any() else 0.0
