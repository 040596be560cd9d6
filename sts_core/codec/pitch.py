"""Pitch of clean speech, for training targets: normalised autocorrelation and dynamic programming.

For each hop, the autocorrelation of a Hann-windowed frame divided by that of the window (Boersma,
"Accurate short-term analysis of the fundamental frequency", 1993) gives a strength in [-1, 1] at
each candidate pitch f. The path through the candidates that maximises

    sum_n strength(n, f_n) + OCTAVE_COST log2(f_n / LOW_HZ) - JUMP_COST |log2(f_n / f_n-1)|

is found by dynamic programming (Viterbi, 1967), and a parabola through the strengths around it
gives the pitch between candidates. Where the strength on the path is below VOICED the hop is
unvoiced. The tracker looks ahead and is not part of the codec.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from sts_core.units import HOP_SAMPLES, SAMPLE_RATE_HZ

DECIMATION = 3  # 8 kHz is enough for pitch
WINDOW = 400  # 50 ms at 8 kHz: three periods of 60 Hz
FFT = 1024
LOW_HZ, HIGH_HZ = 60.0, 500.0
CANDIDATES = 96
OCTAVE_COST = 0.02
JUMP_COST = 0.6
VOICED = 0.5


class Pitch(NamedTuple):
    """Pitch of each hop: hz [B, N] (held through unvoiced hops) and voiced bool [B, N]."""

    hz: Tensor
    voiced: Tensor


@torch.no_grad()
def track_pitch(audio: Tensor) -> Pitch:
    """Pitch of audio [B, S], S a multiple of 240; hop n is centred on sample 240 (n + 1)."""
    strength = _strength(audio)  # [B, N, C]
    grid_hz = _grid(audio.device)
    octaves = torch.log2(grid_hz / LOW_HZ)
    score = strength + OCTAVE_COST * octaves
    jump = -JUMP_COST * (octaves[:, None] - octaves[None]).abs()  # [C, C]
    best, back = score[:, 0], []
    for hop in range(1, score.shape[1]):
        value, index = (best[:, :, None] + jump).max(dim=1)  # over the previous candidate
        best = value + score[:, hop]
        back.append(index)
    path = [best.argmax(dim=1)]
    for index in reversed(back):
        path.append(index.gather(1, path[-1][:, None])[:, 0])
    lags = torch.stack(path[::-1], dim=1)  # [B, N]
    inner = lags.clamp(1, CANDIDATES - 2)[..., None]
    left, middle, right = (strength.gather(2, inner + d)[..., 0] for d in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = torch.where(bend < -1e-6, 0.5 * (left - right) / bend, 0.0).clamp(-1.0, 1.0)
    step = octaves[1] - octaves[0]
    hz = torch.exp2(octaves[inner[..., 0]] + shift * step) * LOW_HZ
    return Pitch(hz, middle > VOICED)


def _grid(device: torch.device) -> Tensor:
    return torch.logspace(
        math.log10(LOW_HZ), math.log10(HIGH_HZ), CANDIDATES, dtype=torch.float32, device=device
    )


def _strength(audio: Tensor) -> Tensor:
    """Normalised autocorrelation at the candidate pitches: [B, N, CANDIDATES]."""
    low = F.avg_pool1d(audio[:, None], DECIMATION, DECIMATION)[:, 0]  # [B, S / 3], 8 kHz
    half = WINDOW // 2
    hop = HOP_SAMPLES // DECIMATION
    framed = F.pad(low, (half - hop, half)).unfold(1, WINDOW, hop)  # centred on the hop's end
    framed = framed[:, : audio.shape[1] // HOP_SAMPLES]
    window = torch.hann_window(WINDOW, device=audio.device)
    framed = (framed - framed.mean(dim=-1, keepdim=True)) * window
    correlation = _autocorrelation(framed)
    energy = correlation[..., :1]
    ratio = correlation / (energy + 1e-4)  # weak frames never look periodic
    ratio = ratio / (_autocorrelation(window) / _autocorrelation(window)[0]).clamp(min=0.05)
    lags = SAMPLE_RATE_HZ / DECIMATION / _grid(audio.device)  # fractional
    left = lags.floor().long()
    share = lags - left
    return ratio[..., left] * (1 - share) + ratio[..., left + 1] * share


def _autocorrelation(x: Tensor) -> Tensor:
    spectrum = torch.view_as_real(torch.fft.rfft(x, FFT)).square().sum(dim=-1)
    return torch.fft.irfft(spectrum.to(torch.complex64), FFT)[..., :WINDOW]
