"""Statistics of pitch and phase: how regularly a clip's pulses come and how its harmonics cohere.

`band_statistics` describes bands in fixed time steps. Here every measure is taken from one glottal
pulse to the next: people repeat a period nearly but never exactly, at every scale; a vocoder's
pulses are too equal, or its phases do not repeat at all. A clip [S] at 16 kHz becomes one vector
[211]:

- *periodicity*, 30: correlation r of 32 ms (Hann) with what follows one period later, as atanh r:
  the harmonics-to-noise ratio in another unit (Boersma, Accurate short-term analysis of the
  fundamental frequency and the harmonics-to-noise ratio, 1993). Of the clip and of four bands, with
  its change;
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

"Five numbers" are mean, spread and the 10th, 50th and 90th percentile over voiced frames, every
10 ms (`pitch_track`). The clip is brought to one level first: gain changes nothing. Correlations at
fractions of a sample come from the product of two spectra, harmonics from a spectrum of 16 Hz, by a
parabola through three of its values.

Where there are fewer than 15 voiced frames, or too few that follow each other, nothing was measured
and every value is NaN; else none is. NaN speaks for neither class (`discriminant`).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from sts_eval.audit import AuditError
from sts_eval.audit.channel import RATE_HZ
from sts_eval.audit.pitch_track import track, vertex

VERSION: Final = 2
LEAST_S: Final = 0.5
BANDS_HZ: Final = ((50, 1000), (1000, 2000), (2000, 3500), (3500, 7000))
HARMONICS: Final = 12
_SIZES: Final = {
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
_LEAST_FRAMES: Final = 15
_LEAST_PAIRS: Final = 6
_LEAP: Final = 0.3  # octaves: what follows after more is not the same voice going on
_EDGE: Final = 400  # samples around a frame: room for every window at every pitch
_BLOCK: Final = 1600  # a clip is filled up to a multiple: sizes whose FFT is fast

_NEAR: Final = 512  # samples, and points of the FFT, of the windows that are compared
_LAGS: Final = torch.arange(-4, 4.25, 0.5)  # samples around the tracker's period
_PULSE: Final = 256  # two periods of 125 Hz
_WIDE: Final = 640  # 40 ms
_FFT: Final = 1024
_R_RANGE: Final = (-0.99, 0.9999)
_PERIOD_RANGE: Final = (20, 260)  # samples
_QUEFRENCY: Final = (35, 240)  # samples

# Added before a division or a logarithm: far below what speech has, so that silence is no NaN.
_SMALL_RATIO: Final = 1e-4
_SMALL_DB: Final = 1e-2
_SMALL_LOG: Final = 1e-3
_SMALL_POWER: Final = 1e-9
_TINY: Final = 1e-12


def _groups() -> dict[str, slice]:
    found, start = {}, 0
    for name, size in _SIZES.items():
        found[name] = slice(start, start + size)
        start += size
    return found


GROUPS: Final = _groups()
"""Where each group of the module's list lies in the vector."""


class _Frames(NamedTuple):
    """V voiced frames of a clip [S].

    bands: [5, S], the clip and its bands; centre: [V] samples; tracked, period: [V] samples, of the
    tracker and as it fits best; repetition: [V, 5] largest correlation with the next period.
    follows: bool [V - 1], whether two frames are neighbours of one stretch of voice.
    """

    bands: Tensor
    centre: Tensor
    tracked: Tensor
    period: Tensor
    repetition: Tensor
    follows: Tensor

    def change(self, values: Tensor) -> Tensor:
        """[F, ...] values less those of the frame before, where it is a neighbour."""
        return (values[1:] - values[:-1])[self.follows]


class PitchStatistics(nn.Module):
    """Audio [B, S] at 16 kHz, S >= 0.5 s -> statistics [B, 211] (see the module)."""

    def __init__(self) -> None:
        super().__init__()
        hz = torch.arange(_NEAR // 2 + 1) * (RATE_HZ / _NEAR)
        ranges = ((BANDS_HZ[0][0], BANDS_HZ[-1][1]), *BANDS_HZ)
        self._masks = torch.stack([((hz >= a) & (hz < b)).float() for a, b in ranges], 1)  # [K, 5]
        turn = 2 * math.pi * hz[:, None] * _LAGS / RATE_HZ  # [K, L]
        waves = torch.cat([turn.cos()[:, None], -turn.sin()[:, None]])  # [2 K, 1, L]
        self._lagged = (waves * self._masks.repeat(2, 1)[..., None]).flatten(1)  # [2 K, 5 L]
        self._near, self._wide = torch.hann_window(_NEAR), torch.hann_window(_WIDE)
        # Turns the phases to those at the centre of the window, between which can be interpolated.
        bins = torch.arange(_FFT // 2 + 1, dtype=torch.float64)
        turned = torch.polar(torch.ones_like(bins), math.pi * bins * _WIDE / _FFT)
        self._centred = turned.to(torch.complex64)
        self._cepstrum, self._straight = _cepstral_matrices()

    def forward(self, audio: Tensor) -> Tensor:
        """See the class. Raises AuditError: not [B, S], too short, or not finite."""
        if audio.ndim != 2:
            raise AuditError(f"audio must be clips [B, samples], not of shape {tuple(audio.shape)}")
        if audio.shape[1] < LEAST_S * RATE_HZ:
            raise AuditError(f"pitch needs at least {LEAST_S:g} s of audio")
        if not audio.isfinite().all():
            raise AuditError("audio holds NaN or infinite values")
        return torch.stack([self._clip(clip) for clip in audio.float()])

    def _clip(self, audio: Tensor) -> Tensor:
        """[211] of a clip [S]; a loop over clips: one clip's frames fit the cache, a batch's not"""
        frames = self._frames(_LEVEL * audio / (audio.square().mean().sqrt() + _SMALL_POWER))
        if frames is None:
            return torch.full((DIMENSION,), math.nan)
        spectra = self._spectra(frames)  # [V, 513]
        level, phase = _harmonics(spectra, frames)
        parts = [
            _with_change(frames.repetition, frames),
            _jitter(frames),
            _five(_shimmer(frames)),
            _pulses(frames),
            _phases(phase, frames),
            (frames.change(level[:, 0]).abs().mean(0) + _SMALL_LOG).log(),
            *torch.std_mean(level[:, 0] - level[:, 1], dim=0, correction=0)[::-1],
            _with_change(self._prominence(spectra), frames),
        ]
        return torch.cat([part.flatten() for part in parts])

    def _frames(self, clip: Tensor) -> _Frames | None:
        """None with too few voiced frames of a clip [S]."""
        size = -(-len(clip) // _BLOCK) * _BLOCK
        spectrum = torch.fft.rfft(clip, size)
        found = track(spectrum, size, len(clip))
        room = (found.centre > _EDGE) & (found.centre < len(clip) - _EDGE)
        index = (found.voiced & room).nonzero()[:, 0]
        tracked = found.period[index]
        follows = (index.diff() == 1) & (tracked.log2().diff().abs() < _LEAP)
        if len(index) < _LEAST_FRAMES or follows.sum() < _LEAST_PAIRS:
            return None
        cut = spectrum.new_zeros(len(BANDS_HZ), len(spectrum))
        for band, (low, high) in zip(cut, BANDS_HZ, strict=True):
            inside = slice(-(-low * size // RATE_HZ), -(-high * size // RATE_HZ))
            band[inside] = spectrum[inside]
        bands = torch.cat([clip[None], torch.fft.irfft(cut, size)[:, : len(clip)]])
        centre = found.centre[index]
        repetition, period = self._repetition(clip, centre, tracked)
        return _Frames(bands, centre, tracked, period, repetition, follows)

    def _repetition(self, clip: Tensor, centre: Tensor, tracked: Tensor) -> tuple[Tensor, Tensor]:
        """([V, 5] atanh of the largest correlation, [V] the period that has it over all bands)."""
        whole = tracked.round().long()
        windows = clip.unfold(0, _NEAR, 1)
        start = centre - whole // 2 - _NEAR // 2
        one = torch.fft.rfft(windows[start] * self._near)  # [V, K]
        other = torch.fft.rfft(windows[start + whole] * self._near)
        cross = one.conj() * other
        products = torch.cat([cross.real, cross.imag], 1) @ self._lagged
        scale = ((_power(one) @ self._masks) * (_power(other) @ self._masks)).sqrt()  # [V, 5]
        r = products.unflatten(1, (5, -1)) / (scale + _SMALL_POWER)[..., None]  # [V, 5, L]
        best = r[:, 0].argmax(1).clamp(1, len(_LAGS) - 2)
        beside = [r[:, 0].gather(1, (best + d)[:, None])[:, 0] for d in (-1, 0, 1)]
        lag = _LAGS[best] + vertex(*beside) * (_LAGS[1] - _LAGS[0])
        return r.amax(2).clamp(*_R_RANGE).atanh(), whole + lag

    def _spectra(self, frames: _Frames) -> Tensor:
        """[V, 513], phases as at the centre."""
        windows = frames.bands[0].unfold(0, _WIDE, 1)[frames.centre - _WIDE // 2]
        return torch.fft.rfft(windows * self._wide, _FFT) * self._centred

    def _prominence(self, spectra: Tensor) -> Tensor:
        """[V, 1] of the cepstrum's peak over the straight line through it."""
        cepstrum = (_power(spectra) + _SMALL_POWER).log() @ self._cepstrum
        peak = cepstrum.argmax(1, keepdim=True)
        return (cepstrum - cepstrum @ self._straight).gather(1, peak)


def _cepstral_matrices() -> tuple[Tensor, Tensor]:
    """[513, Q]: log powers -> cepstrum at `_QUEFRENCY`; [Q, Q]: that -> the line through it."""
    quefrency = torch.arange(*_QUEFRENCY, dtype=torch.float64)
    bins = torch.arange(_FFT // 2 + 1, dtype=torch.float64)
    count = torch.full((len(bins), 1), 2 / _FFT, dtype=torch.float64)
    count[0] = count[-1] = 1 / _FFT
    cosines = count * torch.cos(2 * math.pi * bins[:, None] * quefrency / _FFT)
    lines = torch.stack([quefrency, torch.ones_like(quefrency)], 1)
    return cosines.float(), (lines @ torch.linalg.pinv(lines)).T.float()


def _harmonics(spectra: Tensor, frames: _Frames) -> tuple[Tensor, Tensor]:
    """[V, 2, 12] log powers of harmonics and half way to the next; [V, 12] phases of harmonics."""
    order = torch.arange(1, HARMONICS + 1) + torch.tensor([[0.0], [0.5]])  # [2, 12]
    place = (_FFT / frames.period[:, None]) * order.flatten()  # [V, 24]
    near = place.round().long().clamp(1, _FFT // 2 - 1)
    past = (place - near).clamp(-1, 1)
    weights = (past * (past - 1) / 2, 1 - past * past, past * (past + 1) / 2)
    values = [spectra.gather(1, near + d) * w for d, w in zip((-1, 0, 1), weights, strict=True)]
    tones = (values[0] + values[1] + values[2]).unflatten(1, (2, HARMONICS))
    return (_power(tones) + _SMALL_POWER).log(), tones[:, 0].angle()


def _jitter(frames: _Frames) -> Tensor:
    """[10]: five numbers against the tracker, five from frame to frame."""
    against = (frames.period / frames.tracked - 1).abs()
    change = frames.change(frames.period.log()).abs()
    return torch.cat([_five((each + _SMALL_RATIO).log()[:, None]) for each in (against, change)])


def _shimmer(frames: _Frames) -> Tensor:
    """[V, 5]: of each band the logarithm of the level's change from period to period, dB."""
    length, centre = frames.period.round().long().clamp(*_PERIOD_RANGE), frames.centre
    # In double precision: a short stretch is the difference of two sums over all before it.
    energy = frames.bands.square().cumsum(1, dtype=torch.float64)
    here = energy[:, centre]
    before = here - energy[:, centre - length] + _TINY
    after = energy[:, centre + length] - here + _TINY
    return ((10 * (before / after).log10()).abs() + _SMALL_DB).log().T.float()


def _pulses(frames: _Frames) -> Tensor:
    """[52]: of each band sharpness and concentration, then each two bands' agreement."""
    count = _PULSE + 4
    near = frames.bands[1:].unfold(1, count, 1)[:, frames.centre - count // 2].abs()  # [4, V, 260]
    two = near[..., :-1] + near[..., 1:]
    smooth = (
        two[..., :_PULSE] + two[..., 2 : _PULSE + 2] + near[..., 4:]
    )  # a sum of five: only ratios count
    power = smooth.square().transpose(0, 1)  # [V, 4, 256]
    sharpness = (smooth.amax(2) / (smooth.mean(2) + _SMALL_POWER) + _TINY).log().T  # [V, 4]
    turn = 2 * math.pi * (torch.arange(_PULSE) - _PULSE // 2) / frames.period[:, None]  # [V, 256]
    moments = torch.bmm(power, torch.stack([turn.cos(), turn.sin()], 2))  # [V, 4, 2]
    place = torch.view_as_complex(moments / (power.sum(2, keepdim=True) + _TINY))
    unit = place / (place.abs() + _SMALL_POWER)
    one, other = torch.triu_indices(len(BANDS_HZ), len(BANDS_HZ), 1)
    between = (unit[:, one] * unit[:, other].conj()).mean(0)  # [6]
    of_bands = torch.stack([_five(sharpness), _five(place.abs())], 1)  # [4, 2, 5]
    return torch.cat([of_bands.flatten(), between.abs(), between.real])


def _phases(phase: Tensor, frames: _Frames) -> Tensor:
    """[52] of the phases of harmonics [V, 12]."""
    to_first = phase[:, 1:] - phase[:, :1] * torch.arange(2, HARMONICS + 1)  # [V, 11]
    bend = phase[:, 2:] - 2 * phase[:, 1:-1] + phase[:, :-2]  # [V, 10]
    every = torch.cat([to_first, bend], 1)
    mean = torch.polar(torch.ones_like(every), every).mean(0)
    steady = frames.change(every).cos().mean(0)
    return torch.cat([mean.abs(), mean.real[HARMONICS - 1 :], steady])


def _with_change(values: Tensor, frames: _Frames) -> Tensor:
    """[M, 6] of [V, M]: five numbers and the mean change between neighbours."""
    return torch.cat([_five(values), frames.change(values).abs().mean(0)[:, None]], 1)


def _five(values: Tensor) -> Tensor:
    """[M, 5] of [V, M]: mean, spread, 10th, 50th and 90th percentile."""
    spread, mean = torch.std_mean(values, dim=0, correction=0)
    percentiles = torch.quantile(values, torch.tensor([0.1, 0.5, 0.9]), dim=0)
    return torch.cat([mean[None], spread[None], percentiles]).T


def _power(spectrum: Tensor) -> Tensor:
    return spectrum.real.square() + spectrum.imag.square()
