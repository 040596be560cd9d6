"""Statistics of pitch and phase: how regularly a clip's pulses come and how its harmonics cohere.

`network` describes bands in fixed time steps. Here every measure is taken from one glottal pulse
to the next: people repeat a period nearly but never exactly, at every scale; a vocoder's pulses are
too equal, or its phases do not repeat at all. A clip [S] at 16 kHz becomes one vector [231]:

- *contour*, 20: voiced share of the loud frames, mean and longest voiced stretch, spread of the
  pitch; and how far the pitch moves in 5 ms, how far that motion changes in 5 ms, and in 20 ms;
- *periodicity*, 30: correlation r of 20 ms with what follows one period later, as atanh r: the
  harmonics-to-noise ratio in another unit (Boersma, Accurate short-term analysis of the fundamental
  frequency and the harmonics-to-noise ratio, 1993). Of the clip and of four bands, with its change;
- *jitter*, 10: the period that fits best against that of the pitch tracker, and its change between
  frames (Titze, Horii and Scherer, Some technical considerations in voice perturbation
  measurements, 1987; there from pulse to pulse, here every 10 ms);
- *shimmer*, 25: level of a period against the one before, dB, of the clip and of the bands (ibid.);
- *pulses*, 52: in each band peak over mean within two periods and how much energy lies at one place
  of the period; and whether that place is the same in each two bands;
- *phases*, 52: of harmonics relative to the first, and of three neighbours to each other: how
  steady over the clip, and from frame to frame (relative phase shift; Saratxaga et al., Simple
  representation of signal phase for harmonic speech models, 2009);
- *amplitudes*, 12: change of each harmonic's level between frames;
- *noise*, 24: harmonics over what lies half way to the next, mean and spread;
- *cepstrum*, 6: cepstral peak prominence (Hillenbrand, Cleveland and Erickson, Acoustic correlates
  of breathy vocal quality, 1994), over quefrencies of 67 to 457 Hz, with its change.

"Five numbers" are mean, spread and the 10th, 50th and 90th percentile over voiced frames. Pitch is
DIO's, refined by StoneMask (Morise, WORLD, 2016), every 5 ms; all but the contour takes every
second voiced frame. The clip is brought to one level first: gain changes nothing.

Where less than 0.1 s is voiced, or too few voiced frames follow each other, nothing was measured
and every value is NaN; else none is. Who trains on them replaces NaN by the training side's mean.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sts_eval.audit import AuditError
from sts_eval.audit.attacks import load_pyworld
from sts_eval.audit.channel import RATE_HZ

VERSION: Final = 1
LEAST_S: Final = 0.5
BANDS_HZ: Final = ((50, 1000), (1000, 2000), (2000, 3500), (3500, 7000))
HARMONICS: Final = 12
_SIZES: Final = {
    "contour": 20,
    "periodicity": 30,
    "jitter": 10,
    "shimmer": 25,
    "pulses": 52,
    "phases": 52,
    "amplitudes": 12,
    "noise": 24,
    "cepstrum": 6,
}
DIMENSION: Final = sum(_SIZES.values())

_LEVEL: Final = 0.05  # RMS of every clip
_F0_HZ: Final = (70.0, 450.0)  # searched for
_F0_LEAST_HZ: Final = 60.0  # StoneMask may leave what was searched for
_STEP_MS: Final = 5.0  # of the pitch
_EVERY: Final = 2  # voiced frames, for all but the contour
_ENERGY_SAMPLES: Final = 400  # 25 ms, as the loud frames of `network`
_LOUD: Final = 0.03  # of the mean power
_SEMITONES: Final = 12
_LONG_STEPS: Final = 4  # 20 ms
_LEAST_VOICED: Final = 20  # steps of 5 ms: 0.1 s
_LEAST_MOTIONS: Final = 10
_LEAST_FRAMES: Final = 15
_LEAST_PAIRS: Final = 6
_BEFORE, _AFTER = 700, 1100  # samples around a frame: room for every window at every pitch

_LAGS: Final = np.arange(-4, 5)  # samples around the tracker's period
_NEAR: Final = np.arange(-160, 160)  # 20 ms
_PULSE: Final = np.arange(-130, 130)  # two periods of 123 Hz
_SMOOTH: Final = 5  # samples over which a pulse is smoothed
_WIDE: Final = np.arange(-320, 320)  # 40 ms
_R_RANGE: Final = (-0.99, 0.9999)
_PERIOD_RANGE: Final = (20, 260)  # samples
_FFT: Final = 1024
_QUEFRENCY: Final = (35, 240)  # samples

# Added before a division or a logarithm: far below what speech has, so that silence is no NaN.
_SMALL_ST: Final = 1e-3
_SMALL_RATIO: Final = 1e-4
_SMALL_DB: Final = 1e-2
_SMALL_PEAK: Final = 1e-6
_SMALL_LOG: Final = 1e-3
_SMALL_POWER: Final = 1e-9
_TINY: Final = 1e-12
_TINY_PRODUCT: Final = 1e-15

Real = NDArray[np.float64]
Whole = NDArray[np.int64]


def _groups() -> dict[str, slice]:
    ends = np.cumsum(list(_SIZES.values())).tolist()
    return {n: slice(e - size, e) for (n, size), e in zip(_SIZES.items(), ends, strict=True)}


GROUPS: Final = _groups()
"""Where each group of the module's list lies in the vector."""


def pitch_statistics(audio: NDArray[Any]) -> NDArray[np.float32]:
    """float32 [231] of mono audio [S] at 16 kHz, S >= 0.5 s; all NaN with too little voicing.

    Raises AuditError: audio that is not mono, too short or not finite; pyworld is not installed.
    """
    signal = _levelled(audio)
    track = _track(signal)
    contour = _contour(track)
    frames = _frames(signal, track)
    if contour is None or frames is None:
        return np.full(DIMENSION, np.nan, np.float32)
    fits = np.stack([_repetition(band, frames) for band in frames.bands])  # [5, 9, V]
    period = _best_period(fits[0], frames)
    windows = signal[frames.centre[:, None] + _WIDE] * np.hanning(len(_WIDE))  # [V, 640]
    parts = [
        contour,
        _periodicity(fits, frames),
        _jitter(period, frames),
        _shimmer(period, frames),
        _pulses(frames),
        _harmonics(windows, frames),
        _cepstrum(windows, frames),
    ]
    return np.concatenate(parts).astype(np.float32)


def _levelled(audio: NDArray[Any]) -> Real:
    signal = np.ascontiguousarray(audio, np.float64)
    if signal.ndim != 1:
        raise AuditError(f"audio must be mono [samples], not of shape {signal.shape}")
    if len(signal) < LEAST_S * RATE_HZ:
        raise AuditError(f"pitch needs at least {LEAST_S:g} s of audio")
    if not np.isfinite(signal).all():
        raise AuditError("audio holds NaN or infinite values")
    level = np.sqrt(np.mean(signal * signal))
    return np.asarray(_LEVEL * signal / (level + _SMALL_POWER), np.float64)


class _Track(NamedTuple):
    """Every 5 ms, N frames: sample of the centre, pitch, whether loud, whether voiced and loud."""

    centre: Whole
    pitch_hz: Real
    loud: NDArray[np.bool_]
    voiced: NDArray[np.bool_]


def _track(signal: Real) -> _Track:
    pyworld = load_pyworld()
    low, high = _F0_HZ
    coarse, times = pyworld.dio(signal, RATE_HZ, f0_floor=low, f0_ceil=high, frame_period=_STEP_MS)
    pitch = pyworld.stonemask(signal, coarse, times, RATE_HZ)
    centre = (times * RATE_HZ).astype(np.int64)
    window = np.ones(_ENERGY_SAMPLES) / _ENERGY_SAMPLES
    power = np.convolve(signal * signal, window, "same")[centre.clip(0, len(signal) - 1)]
    loud = power > _LOUD * power.mean()
    return _Track(centre, pitch, loud, loud & (pitch > _F0_LEAST_HZ))


def _contour(track: _Track) -> Real | None:
    """[20], or None with too little voicing."""
    voiced = track.voiced
    pitch = np.where(voiced, _SEMITONES * np.log2(np.maximum(track.pitch_hz, 1)), np.nan)  # [N]
    far = _LONG_STEPS
    motions = [
        np.abs(motion[np.isfinite(motion)])
        for motion in (
            np.diff(pitch),
            np.diff(pitch, 2),
            pitch[2 * far :] - 2 * pitch[far:-far] + pitch[: -2 * far],
        )
    ]
    if voiced.sum() < _LEAST_VOICED or min(map(len, motions)) < _LEAST_MOTIONS:
        return None
    edges = np.flatnonzero(np.diff(np.concatenate([[0], voiced.astype(int), [0]])))
    stretches = edges[1::2] - edges[::2]
    known = pitch[voiced]
    first = [
        voiced.sum() / track.loud.sum(),
        np.log(stretches.mean()),
        np.log(stretches.max()),
        known.std(),
        np.ptp(np.percentile(known, (10, 90))),
    ]
    return np.concatenate([first, *(_five(np.log(each + _SMALL_ST)) for each in motions)])


class _Frames(NamedTuple):
    """V voiced frames, 10 ms apart where voicing goes on.

    bands: [5, S], the clip and its bands; follows: [V - 1], whether 10 ms lie between two frames.
    """

    bands: Real
    centre: Whole
    pitch_hz: Real
    follows: NDArray[np.bool_]

    @property
    def period(self) -> Real:
        """[V] in samples."""
        return RATE_HZ / self.pitch_hz


def _frames(signal: Real, track: _Track) -> _Frames | None:
    """None with too few of them."""
    index = np.flatnonzero(track.voiced)[::_EVERY]
    centre = track.centre[index]
    index = index[(centre > _BEFORE) & (centre < len(signal) - _AFTER)]
    follows = np.diff(index) == _EVERY
    if len(index) < _LEAST_FRAMES or follows.sum() < _LEAST_PAIRS:
        return None
    return _Frames(_with_bands(signal), track.centre[index], track.pitch_hz[index], follows)


def _with_bands(signal: Real) -> Real:
    """[5, S] the signal and its bands, cut without a change of phase."""
    size = len(signal)
    spectrum, hz = np.fft.rfft(signal), np.fft.rfftfreq(size, 1 / RATE_HZ)
    cut = [np.fft.irfft(spectrum * ((hz >= low) & (hz < high)), size) for low, high in BANDS_HZ]
    return np.stack([signal, *cut])


def _repetition(band: Real, frames: _Frames) -> Real:
    """[9, V] correlation of 20 ms with what follows one period and `_LAGS` later."""
    period = np.round(frames.period).astype(np.int64)
    start = frames.centre - period // 2
    here = band[start[:, None] + _NEAR]  # [V, 320]
    power = (here * here).sum(1)
    found = []
    for lag in _LAGS.tolist():
        later = band[(start + period + lag)[:, None] + _NEAR]
        scale = np.sqrt(power * (later * later).sum(1) + _TINY_PRODUCT)
        found.append((here * later).sum(1) / scale)
    return np.stack(found)


def _periodicity(fits: Real, frames: _Frames) -> Real:
    """[30]: five numbers and the mean change, of each band."""
    strength = np.arctanh(fits.max(1).clip(*_R_RANGE))  # [5, V]
    change = np.abs(np.diff(strength))[:, frames.follows].mean(1)
    return np.concatenate([np.append(_five(b), c) for b, c in zip(strength, change, strict=True)])


def _best_period(fits: Real, frames: _Frames) -> Real:
    """[V] samples: the lag of the best correlation [9, V], a parabola through its neighbours."""
    best = fits.argmax(0).clip(1, len(_LAGS) - 2)
    at = np.arange(len(best))
    left, middle, right = fits[best - 1, at], fits[best, at], fits[best + 1, at]
    bend = np.minimum(left - 2 * middle + right, -_SMALL_POWER)
    lag = _LAGS[best] + 0.5 * (left - right) / bend
    return np.asarray(lag.clip(_LAGS[0] - 1, _LAGS[-1] + 1) + np.round(frames.period))


def _jitter(period: Real, frames: _Frames) -> Real:
    """[10]: five numbers against the tracker, five from frame to frame."""
    against = np.abs(period / frames.period - 1)
    change = np.abs(np.diff(np.log(period)))[frames.follows]
    return np.concatenate([_five(np.log(each + _SMALL_RATIO)) for each in (against, change)])


def _shimmer(period: Real, frames: _Frames) -> Real:
    """[25]: five numbers of each band."""
    length, centre = np.round(period).astype(np.int64).clip(*_PERIOD_RANGE), frames.centre
    found = []
    for band in frames.bands:
        energy = np.concatenate([[0.0], np.cumsum(band * band)])
        before = energy[centre] - energy[centre - length] + _TINY
        after = energy[centre + length] - energy[centre] + _TINY
        found.append(_five(np.log(np.abs(10 * np.log10(before / after)) + _SMALL_DB)))
    return np.concatenate(found)


def _pulses(frames: _Frames) -> Real:
    """[52]: of each band sharpness and concentration, then each two bands' agreement."""
    found, places = [], []
    edge = _SMOOTH // 2
    turn = np.exp(2j * np.pi * _PULSE[edge:-edge] / frames.period[:, None])  # [V, 256]
    for band in frames.bands[1:]:
        near = np.abs(band[frames.centre[:, None] + _PULSE])
        count = near.shape[1] - _SMOOTH + 1
        smooth = sum(near[:, k : k + count] for k in range(_SMOOTH)) / _SMOOTH
        power = smooth**2
        sharpness = smooth.max(1) / (smooth.mean(1) + _SMALL_POWER)
        place = (power * turn).sum(1) / (power.sum(1) + _TINY)
        found += [_five(np.log(sharpness + _SMALL_PEAK)), _five(np.abs(place))]
        places.append(place)
    for one, other in zip(*np.triu_indices(len(places), 1), strict=True):
        between = places[one] * places[other].conj()
        mean = (between / (np.abs(between) + _SMALL_POWER)).mean()
        found.append(np.array([np.abs(mean), mean.real]))
    return np.concatenate(found)


def _harmonics(windows: Real, frames: _Frames) -> Real:
    """[88] of windows [V, 640]: phases [52], amplitudes [12] and noise [24]."""
    order = np.arange(1, HARMONICS + 1)
    tones, between = _amplitudes(windows, frames, order), _amplitudes(windows, frames, order + 0.5)
    level, noise = (np.log(np.abs(each) ** 2 + _SMALL_POWER) for each in (tones, between))
    change = np.abs(np.diff(level))[:, frames.follows].mean(1)
    ratio = level - noise
    return np.concatenate(
        [_phases(tones, frames), np.log(change + _SMALL_LOG), ratio.mean(1), ratio.std(1)]
    )


def _amplitudes(windows: Real, frames: _Frames, order: NDArray[Any]) -> NDArray[np.complex128]:
    """[K, V] complex amplitudes at multiples `order` [K], one apart, of the pitch."""
    turn = -2j * np.pi * frames.pitch_hz[:, None] * _WIDE / RATE_HZ  # [V, 640]
    first, step = np.exp(order[0] * turn), np.exp(turn)
    found = []
    for _ in order:
        found.append((windows * first).sum(1))
        first *= step
    return np.stack(found)


def _phases(tones: NDArray[np.complex128], frames: _Frames) -> Real:
    """[52] of harmonics [12, V]."""
    unit = tones / (np.abs(tones) + _TINY)
    to_first = unit[1:] * unit[0].conj() ** np.arange(2, HARMONICS + 1)[:, None]  # [11, V]
    bend = unit[2:] * unit[1:-1].conj() ** 2 * unit[:-2]  # [10, V]
    steady = [np.abs(to_first.mean(1)), np.abs(bend.mean(1)), bend.mean(1).real]
    for each in (to_first, bend):
        turned = each[:, 1:] * each[:, :-1].conj()
        steady.append(turned[:, frames.follows].mean(1).real)
    return np.concatenate(steady)


def _cepstrum(windows: Real, frames: _Frames) -> Real:
    """[6] of windows [V, 640]: the peak over the straight line through the cepstrum."""
    low, high = _QUEFRENCY
    power = np.abs(np.fft.rfft(windows, _FFT)) ** 2
    cepstrum = np.fft.irfft(np.log(power + _SMALL_POWER))[:, low:high]
    slope, offset = np.polyfit(np.arange(low, high), cepstrum.T, 1)
    peak = cepstrum.argmax(1)
    prominence = cepstrum[np.arange(len(peak)), peak] - (slope * (peak + low) + offset)
    change = np.abs(np.diff(prominence))[frames.follows].mean()
    return np.append(_five(prominence), change)


def _five(values: Real) -> Real:
    """[5]: mean, spread, 10th, 50th and 90th percentile."""
    return np.array([values.mean(), values.std(), *np.percentile(values, (10, 50, 90))])
