"""Prosody of a stretch of speech: pitch, its range, loudness and length.

Pitch by normalised autocorrelation (Boersma, "Accurate short-term analysis of the fundamental
frequency", 1993): every 10 ms, the autocorrelation of a Hann-windowed 50 ms frame divided by that
of the window gives a strength in [-1, 1] at each candidate. The path through the candidates that
maximises

    sum_n strength(n, f_n) + OCTAVE_COST log2(f_n / LOW_HZ) - JUMP_COST |log2(f_n / f_n-1)|

is found by dynamic programming (Viterbi, 1967). A frame is voiced where the strength on the path is
above VOICED and its level within 30 dB of the loudest.

Two values describe the pitch of an utterance, and a few octave errors move neither: the median, and
the distance from the 10th to the 90th percentile around the straight line through it (the fall of a
sentence is no range), in semitones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sts_eval.audio import active_level_dbfs
from sts_eval.metrics.signal import AUDIBLE_DBFS, block_dbfs
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

DECIMATION = 3  # 8 kHz is enough for pitch
WINDOW, HOP, FFT, FINER = 400, 80, 1024, 4  # 50 ms, 10 ms
LOW_HZ, HIGH_HZ, CANDIDATES = 60.0, 500.0, 96
OCTAVE_COST, JUMP_COST, VOICED = 0.02, 0.6, 0.5
LEVEL_RANGE_DB = 30.0
MIN_VOICED = 20  # frames: less than 0.2 s of voice has no range
FEATURES = ("pitch", "range", "level", "rate")

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Prosody:
    """How something was said.

    pitch_st: median pitch, semitones above LOW_HZ. range_st: 10th to 90th percentile around its
    straight line.
    level_dbfs: active level. seconds: of all 10 ms blocks within 30 dB of it, so that neither
    pauses nor loudness change it.
    """

    pitch_st: float
    range_st: float
    level_dbfs: float
    seconds: float

    def against(self, other: Prosody) -> dict[str, float]:
        """What this differs by: pitch and range in semitones, level in dB, rate in octaves of
        speed (1 is twice as fast; both must say the same words for it to mean anything)."""
        return {
            "pitch": self.pitch_st - other.pitch_st,
            "range": self.range_st - other.range_st,
            "level": self.level_dbfs - other.level_dbfs,
            "rate": float(np.log2(other.seconds / self.seconds)),
        }


def prosody_of(audio: Samples) -> Prosody | None:
    """Of speech float32 [S] at 24 kHz; None where less than 0.2 s of it is voiced."""
    blocks = block_dbfs(audio)
    if not np.any(blocks >= AUDIBLE_DBFS):
        return None
    level_dbfs = active_level_dbfs(audio)
    spoken = int(np.sum(blocks >= level_dbfs - LEVEL_RANGE_DB))
    frame, pitch_st = voiced_pitch(audio)
    if pitch_st.size < MIN_VOICED:
        return None
    line = np.polyval(np.polyfit(frame, pitch_st, 1), frame)
    low, high = np.percentile(pitch_st - line, [10, 90])
    return Prosody(
        pitch_st=float(np.median(pitch_st)),
        range_st=float(high - low),
        level_dbfs=level_dbfs,
        seconds=spoken / 100,
    )


def voiced_pitch(audio: Samples) -> tuple[NDArray[np.int64], FloatArray]:
    """Voiced frames of audio float32 [S] at 24 kHz: their numbers (10 ms apart), and their pitch in
    semitones above LOW_HZ, both [V]."""
    from scipy.signal import resample_poly

    low = resample_poly(audio.astype(np.float64), 1, DECIMATION)
    none = np.zeros(0, np.int64), np.zeros(0)
    if low.size < WINDOW:
        return none
    frames = np.lib.stride_tricks.sliding_window_view(low, WINDOW)[::HOP]  # [N, 400]
    power = np.mean(frames**2, axis=1)
    if float(power.max()) <= 0:
        return none
    strength = _strength(frames)  # [N, C]
    path = _best_path(strength)
    hops = np.arange(len(path))
    heard = power >= float(power.max()) * 10 ** (-LEVEL_RANGE_DB / 10)
    voiced = heard & (strength[hops, path] > VOICED)
    octaves = path + _parabola(strength, path)
    pitch_st = 12.0 * _OCTAVES[-1] * octaves[voiced] / (CANDIDATES - 1)
    return np.flatnonzero(voiced), np.asarray(pitch_st, np.float64)


_OCTAVES = np.log2(np.geomspace(LOW_HZ, HIGH_HZ, CANDIDATES) / LOW_HZ)


def _strength(frames: FloatArray) -> FloatArray:
    """Normalised autocorrelation at the candidate pitches: [N, 400] -> [N, C]."""
    window = np.hanning(WINDOW)
    shaped = (frames - frames.mean(axis=1, keepdims=True)) * window
    own = _autocorrelation(window[None])[0]
    found = _autocorrelation(shaped)
    found = found / np.maximum(found[:, :1], 1e-12) / (own / own[0])
    lag = FINER * SAMPLE_RATE_HZ / DECIMATION / (LOW_HZ * 2**_OCTAVES)  # [C] not whole
    first = lag.astype(int)
    part = lag - first
    strength: FloatArray = found[:, first] * (1 - part) + found[:, first + 1] * part
    return strength


def _autocorrelation(frames: FloatArray) -> FloatArray:
    """[N, 400] -> [N, 200 FINER], lags in steps of 1 / FINER samples, up to half the window.

    Zeros above the Nyquist frequency interpolate it: between whole lags a high voice's peak would
    be missed and its double taken.
    """
    spectrum = np.abs(np.fft.rfft(frames, FFT, axis=1)) ** 2
    return np.asarray(np.fft.irfft(spectrum, FINER * FFT, axis=1)[:, : FINER * WINDOW // 2])


def _best_path(strength: FloatArray) -> NDArray[np.int64]:
    """The candidate of each frame, [N] (see the module)."""
    score = strength + OCTAVE_COST * _OCTAVES
    jump = -JUMP_COST * np.abs(_OCTAVES[:, None] - _OCTAVES[None])  # [C, C]
    best = score[0]
    back = np.zeros(strength.shape, np.int64)
    for hop in range(1, len(score)):
        reached = best[:, None] + jump
        back[hop] = reached.argmax(axis=0)
        best = reached.max(axis=0) + score[hop]
    path = np.zeros(len(score), np.int64)
    path[-1] = int(best.argmax())
    for hop in range(len(score) - 1, 0, -1):
        path[hop - 1] = back[hop, path[hop]]
    return path


def _parabola(strength: FloatArray, path: NDArray[np.int64]) -> FloatArray:
    """How far the top of the parabola through three candidates lies from the middle one, [N]."""
    hops = np.arange(len(path))
    inner = np.clip(path, 1, CANDIDATES - 2)
    left, middle, right = (strength[hops, inner + d] for d in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = np.where(bend < -1e-6, 0.5 * (left - right) / np.minimum(bend, -1e-6), 0.0)
    return np.asarray(np.clip(shift, -1.0, 1.0) + (inner - path))
