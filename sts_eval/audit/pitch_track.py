"""Pitch of a clip every 10 ms, for the statistics of `pitch_statistics`: torch alone, 2 ms a clip.

At 8 kHz, windows of 40 ms: autocorrelation over that of the window (Boersma, Accurate short-term
analysis of the fundamental frequency and the harmonics-to-noise ratio, 1993) gives a strength r in
[-1, 1] at every lag of 2.1..14.4 ms (69..471 Hz). The lag is that of the largest

    r - OCTAVE_COST log2(lag / shortest) - FAR_COST |log2(lag / usual)|

where usual is the median lag of voiced frames within 150 ms, of a first pass without that term: a
pitch that leaps by an octave for some frames is put right, and no path must be searched for. A
parabola through its neighbours gives the lag between samples. A frame is voiced where it is loud
(3 % of the mean power) and r is `VOICED` or more.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor

HOP: Final = 160  # samples at 16 kHz
OCTAVE_COST: Final = 0.03
FAR_COST: Final = 0.1
VOICED: Final = 0.5
_WINDOW: Final = 320  # at 8 kHz, as all below
_FFT: Final = 512
_SHORTEST, _LONGEST = 17, 115
_NEAR_FRAMES: Final = 15
_EVERY: Final = 5  # frames that share a median
_LOUD: Final = 0.03
_TINY: Final = 1e-6


class Track(NamedTuple):
    """Of N frames: sample of the centre at 16 kHz [N], period in samples [N], voiced bool [N]."""

    centre: Tensor
    period: Tensor
    voiced: Tensor


def track(spectrum: Tensor, size: int, samples: int) -> Track:
    """Of a clip [samples] at 16 kHz, given as its spectrum [size / 2 + 1] of `size` points.

    size: a multiple of 4, at least `samples`, which are at least 640.
    """
    narrow = torch.fft.irfft(0.5 * spectrum[: size // 4 + 1], size // 2)[: samples // 2]
    frames = narrow.unfold(0, _WINDOW, HOP // 2)  # [N, 320]
    power = frames.square().mean(1)
    loud = power > _LOUD * power.mean()
    window = torch.hann_window(_WINDOW)
    frames = (frames - frames.mean(1, keepdim=True)) * window
    own = _autocorrelation(window)
    found = _autocorrelation(frames)
    strength = found / (found[:, :1] + _TINY) * (own[0] / own)  # [N, 117]
    best = _best_lag(strength, loud)
    left, middle, right = (strength.gather(1, (best + d)[:, None])[:, 0] for d in (-1, 0, 1))
    lag = best + vertex(left, middle, right)
    centre = HOP * torch.arange(len(lag)) + _WINDOW
    return Track(centre, 2 * lag, loud & (middle >= VOICED))


def _best_lag(strength: Tensor, loud: Tensor) -> Tensor:
    """[N] whole lags, 18..114, of strengths [N, 117]."""
    octaves = torch.log2(torch.arange(_SHORTEST, _LONGEST + 1) / _SHORTEST)
    inside = strength[:, _SHORTEST : _LONGEST + 1]
    score = inside - OCTAVE_COST * octaves
    first = score.argmax(1)
    sure = loud & (inside.gather(1, first[:, None])[:, 0] >= VOICED)
    if sure.any():
        known = torch.where(sure, octaves[first], math.nan)
        edge = torch.full((_NEAR_FRAMES,), math.nan)
        around = torch.cat([edge, known, edge]).unfold(0, 2 * _NEAR_FRAMES + 1, _EVERY)
        usual = around.nanmedian(1).values.repeat_interleave(_EVERY)[: len(known)]
        usual = torch.where(usual.isnan(), known.nanmedian(), usual)
        score = score - FAR_COST * (octaves - usual[:, None]).abs()
    return (score.argmax(1) + _SHORTEST).clamp(_SHORTEST + 1, _LONGEST - 1)


def vertex(left: Tensor, middle: Tensor, right: Tensor) -> Tensor:
    """Where a parabola through values at -1, 0, 1 is highest, in [-1, 1]."""
    bend = (left - 2 * middle + right).clamp_max(-_TINY)
    return (0.5 * (left - right) / bend).clamp(-1, 1)


def _autocorrelation(frames: Tensor) -> Tensor:
    """[..., 320] -> lags 0..116."""
    power = torch.view_as_real(torch.fft.rfft(frames, _FFT)).square().sum(-1)
    return torch.fft.irfft(power.to(torch.complex64), _FFT)[..., : _LONGEST + 2]
