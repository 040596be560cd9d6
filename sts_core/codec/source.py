"""Excitation of the decoder: a band-limited pulse train at the pitch, and noise.

Pulse train of pitch f with unit power, all harmonics below 11.5 kHz in phase (a Dirichlet kernel):

    e(t) = sqrt(2 / K) sum_{k=1..K} cos(2 pi k p(t)),   p(t) = integral of f,   K = floor(11500 / f)

The phase p is integrated over the whole stream, so a rounding error would grow with time and
streaming would drift from offline decoding: pitch and phase are float64 throughout, and p is kept
in cycles modulo one. The noise is one fixed table that repeats every 2.56 s, read at a position
that is part of the state: two decodings of the same tokens give the same samples.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sts_core.units import HOP_SAMPLES, SAMPLE_RATE_HZ

TOP_HARMONIC_HZ = 11_500.0
NOISE_HOPS = 256
START_HZ = 150.0


class SourceState(NamedTuple):
    """Where the excitation of each stream stands."""

    hz: Tensor  # float64 [B], pitch at the end of the last hop
    cycles: Tensor  # float64 [B], phase there, modulo one
    noise_hop: Tensor  # int64 [B], next row of the noise table


class Excitation(NamedTuple):
    """Two signals [B, N, 240], one row for each hop."""

    pulses: Tensor
    noise: Tensor


class Source(nn.Module):
    """Pitch [B, N] in Hz (at the end of each hop; linear between) -> Excitation."""

    table: Tensor
    ramp: Tensor

    def __init__(self) -> None:
        super().__init__()
        # uniform noise of unit variance; PCG64's integers are the same on every platform
        bits = np.random.Generator(np.random.PCG64(0)).integers(
            0, 1 << 24, size=(NOISE_HOPS, HOP_SAMPLES)
        )
        table = (torch.from_numpy(bits).float() / (1 << 23) - 1.0) * math.sqrt(3.0)
        self.register_buffer("table", table, persistent=False)
        ramp = torch.arange(1, HOP_SAMPLES + 1, dtype=torch.float64)  # [240]
        self.register_buffer("ramp", ramp, persistent=False)

    def _apply(self, fn, recurse=True):  # type: ignore[no-untyped-def]
        """Moves between devices but never leaves float64: see the module docstring."""
        super()._apply(fn, recurse)
        self.ramp = self.ramp.double()
        return self

    def initial_state(self, batch: int) -> SourceState:
        zeros = self.ramp.new_zeros(batch)
        return SourceState(zeros + START_HZ, zeros, zeros.long())

    def step(self, hz: Tensor, state: SourceState) -> tuple[Excitation, SourceState]:
        hz = hz.double()
        before = torch.cat([state.hz[:, None], hz[:, :-1]], dim=1)  # [B, N]
        slope = (hz - before) / HOP_SAMPLES
        # the sum of the linear pitch over the first i samples of the hop, i = 1..240
        quadratic = self.ramp * (self.ramp + 1.0) / 2.0
        cycles = (before[..., None] * self.ramp + slope[..., None] * quadratic) / SAMPLE_RATE_HZ
        start = torch.cumsum(cycles[..., -1], dim=1) - cycles[..., -1] + state.cycles[:, None]
        phase = cycles + start[..., None]  # [B, N, 240]
        harmonics = torch.floor(TOP_HARMONIC_HZ / torch.maximum(hz, before))[..., None]
        rows = state.noise_hop[:, None] + torch.arange(hz.shape[1], device=hz.device)
        after = SourceState(
            hz[:, -1], torch.remainder(phase[:, -1, -1], 1.0), (rows[:, -1] + 1) % NOISE_HOPS
        )
        return Excitation(_pulses(phase, harmonics), self.table[rows % NOISE_HOPS]), after


def _pulses(cycles: Tensor, harmonics: Tensor) -> Tensor:
    """The Dirichlet kernel sin(pi (2K + 1) p) / (2 sin(pi p)) - 1/2, scaled to unit power."""
    half = math.pi * (cycles - torch.round(cycles))  # [-pi/2, pi/2]
    half = torch.where(half.abs() < 1e-9, 1e-9, half)
    kernel = torch.sin((2 * harmonics + 1) * half) / (2 * torch.sin(half)) - 0.5
    return (kernel * torch.sqrt(2.0 / harmonics)).float()
