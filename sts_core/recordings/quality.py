"""What a turn of speech measures: level, noise, clipping, overlap, bleed. All functions are pure.

    level_dbfs   10 log10 of the mean square while the speaker speaks; a full-scale sine has -3
    snr_db       10 log10((P_speech - P_noise) / P_noise); P_noise from where nobody speaks on the
                 channel (0.1 s away from speech), or, where that is less than 0.3 s, from the
                 quietest 5 % of the turn's 10 ms blocks: speech is left in them, so that the value
                 is then rather too low than too high
    clipped      clipped samples (`sts_core.recordings.sound`) / samples of the turn
    overlap      time in which both channels speak / time in which this one does
    bleed        rho = max over lags to 50 ms of the normalised cross-correlation of the channels
                 during the turn. From 0.6 on, one voice is on both. Then
                 bleed_db = 20 log10(rho) + level of the other channel - level of this one
                 is how loud this voice is on the other channel; above -1 dB what is heard here
                 is taken for the other speaker, who is heard there.

A room makes rho smaller than a wire does: reverberant bleed may stay below 0.6 and unseen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sts_core.asr.vad import Span
from sts_core.units import HOP_RATE_HZ, HOP_SAMPLES, SAMPLE_RATE_HZ

GUARD_S, LEAST_PAUSE_S, QUIETEST_SHARE = 0.1, 0.3, 0.05
LEAST_POWER = 10.0**-9.8  # white noise of 16-bit rounding, -98 dBFS: silence has a finite SNR
MAX_LAG_S, SAME_VOICE = 0.05, 0.6

Audio = NDArray[np.float32]


class Bleed(NamedTuple):
    """How alike two channels are; `into_other_db` only where one voice is on both."""

    correlation: float
    into_other_db: float | None


def power_db(power: float) -> float:
    """Mean square as dBFS, not below that of 16-bit rounding noise."""
    return 10.0 * math.log10(max(power, LEAST_POWER))


def hop_powers(audio: Audio) -> NDArray[np.float64]:
    """Mean square of each whole 10 ms of float32 [S], [S // 240]."""
    blocks = audio[: audio.size // HOP_SAMPLES * HOP_SAMPLES].reshape(-1, HOP_SAMPLES)
    return np.mean(np.square(blocks, dtype=np.float64), axis=1)


def hops_inside(spans: Sequence[Span], hops: int, *, wider_s: float = 0.0) -> NDArray[np.bool_]:
    """bool [hops]: which 10 ms lie in one of the spans, each made wider at both ends."""
    inside = np.zeros(hops, bool)
    for start_s, end_s in spans:
        first = max(0, round((start_s - wider_s) * HOP_RATE_HZ))
        inside[first : max(0, round((end_s + wider_s) * HOP_RATE_HZ))] = True
    return inside


def pause_power(powers: NDArray[np.float64], speech: Sequence[Span]) -> float | None:
    """Mean square of a channel where nobody speaks; None with less than 0.3 s of that."""
    silent = ~hops_inside(speech, powers.size, wider_s=GUARD_S)
    if silent.sum() < round(LEAST_PAUSE_S * HOP_RATE_HZ):
        return None
    return float(powers[silent].mean())


def quietest_power(powers: NDArray[np.float64]) -> float:
    """Mean square of the quietest twentieth of blocks, one at least. `powers`: not empty."""
    count = max(1, round(QUIETEST_SHARE * powers.size))
    return float(np.sort(powers)[:count].mean())


def snr_db(speech_power: float, noise_power: float) -> float:
    """Speech by noise, where the speech was measured with the noise in it; -20 dB at least."""
    noise = max(noise_power, LEAST_POWER)
    return 10.0 * math.log10(max(speech_power - noise, 0.01 * noise) / noise)


def overlap_s(own: Sequence[Span], other: Sequence[Span]) -> float:
    """Seconds in which spans of both lists hold."""
    return sum(
        max(0.0, min(a.end_s, b.end_s) - max(a.start_s, b.start_s)) for a in own for b in other
    )


def bleed(own: Audio, other: Audio) -> Bleed:
    """How much of one voice is on both channels; float32 [S] each, the same stretch of time."""
    x, y = own - own.mean(dtype=np.float64), other - other.mean(dtype=np.float64)
    energy_x, energy_y = float(x @ x), float(y @ y)
    if min(energy_x, energy_y) < LEAST_POWER * x.size:
        return Bleed(0.0, None)
    correlation = min(1.0, _largest_correlation(x, y) / math.sqrt(energy_x * energy_y))
    if correlation < SAME_VOICE:
        return Bleed(correlation, None)
    return Bleed(
        correlation, 20.0 * math.log10(correlation) + 10.0 * math.log10(energy_y / energy_x)
    )


def _largest_correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """max |sum_t x(t) y(t + lag)| over lags within 50 ms."""
    from scipy.fft import irfft, next_fast_len, rfft

    lags = min(round(MAX_LAG_S * SAMPLE_RATE_HZ), x.size - 1)
    size = next_fast_len(x.size + lags, real=True)
    product = irfft(np.conj(rfft(x, size)) * rfft(y, size), size)
    near = np.concatenate([product[: lags + 1], product[size - lags :]])
    return float(np.abs(near).max())
