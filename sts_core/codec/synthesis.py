"""Source and filter: excitation through two time-varying minimum-phase filters, causal, no delay.

Each 10 ms hop has two filters, given as log magnitudes in mel bands: H for the pulses (80 bands)
and G for the noise (48 bands). Between bands the log magnitude is interpolated, and the phase is
that of the minimum-phase filter with this magnitude (Oppenheim and Schafer, "Discrete-time signal
processing", the Hilbert relations): both are fixed linear maps of the bands,

    log H(w) = sum_b m_b (I_b(w) + j P_b(w)),     P_b = - Hilbert transform of I_b

so a filter's response starts at once and decays, and nothing needs a look-ahead. The pulses of hop
n fade from H[n-1] to H[n]; each hop's response rings on into the next three hops (overlap-add).

    y[n] = sum_{k=0..3} (response of hop n-k, samples 240 k .. 240 k + 239)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sts_core.codec.source import Source, SourceState
from sts_core.units import HOP_SAMPLES, SAMPLE_RATE_HZ

FFT_SIZE = 768
BINS = FFT_SIZE // 2 + 1
RESPONSE_HOPS = 4  # FFT_SIZE samples reach into the fourth hop
PULSE_BANDS = 80
NOISE_BANDS = 48
LOWEST_LOG, HIGHEST_LOG = -14.0, 4.0  # natural log of magnitude


class SynthesisState(NamedTuple):
    """What the synthesis of each stream remembers."""

    source: SourceState
    filter: Tensor  # [B, BINS, 2], H of the last hop
    ringing: Tensor  # [B, 3, 240], what earlier hops still add to the next three


def _mel_interpolation(bands: int) -> Tensor:
    """Linear interpolation [bands, BINS] from mel-spaced points to bins; ends are extended."""
    mel = torch.linspace(0.0, 2595.0 * math.log10(1 + 12_000 / 700), bands, dtype=torch.float64)
    points_hz = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    hz = torch.linspace(0.0, SAMPLE_RATE_HZ / 2, BINS, dtype=torch.float64)
    right = torch.searchsorted(points_hz, hz).clamp(1, bands - 1)
    share = (hz - points_hz[right - 1]) / (points_hz[right] - points_hz[right - 1])
    share = share.clamp(0.0, 1.0)
    matrix = torch.zeros(bands, BINS, dtype=torch.float64)
    columns = torch.arange(BINS)
    matrix[right - 1, columns] = 1.0 - share
    matrix[right, columns] += share
    return matrix


def minimum_phase(log_magnitude: Tensor) -> Tensor:
    """Phase [..., BINS] of the minimum-phase filter with this log magnitude [..., BINS].

    The cepstrum of a minimum-phase filter is zero for negative times: fold the even cepstrum of the
    log magnitude onto positive times; the imaginary part of its transform is the phase.
    """
    cepstrum = torch.fft.irfft(log_magnitude.to(torch.complex128), n=FFT_SIZE)
    fold = torch.zeros(FFT_SIZE, dtype=torch.float64)
    fold[0] = fold[FFT_SIZE // 2] = 1.0
    fold[1 : FFT_SIZE // 2] = 2.0
    return torch.fft.rfft(cepstrum * fold).imag


class Synthesis(nn.Module):
    """Pitch and filters of each hop -> audio."""

    pulse_map: Tensor  # [80, 2 BINS], log magnitude and phase
    noise_map: Tensor  # [48, 2 BINS]
    fade: Tensor  # [240], from 0 to 1

    def __init__(self) -> None:
        super().__init__()
        self.source = Source()
        for name, bands in (("pulse_map", PULSE_BANDS), ("noise_map", NOISE_BANDS)):
            magnitude = _mel_interpolation(bands)
            both = torch.cat([magnitude, minimum_phase(magnitude)], dim=1).float()
            self.register_buffer(name, both, persistent=False)
        self.register_buffer("fade", torch.linspace(0.0, 1.0, HOP_SAMPLES), persistent=False)

    def initial_state(self, batch: int) -> SynthesisState:
        return SynthesisState(
            self.source.initial_state(batch),
            self.fade.new_zeros(batch, BINS, 2),
            self.fade.new_zeros(batch, RESPONSE_HOPS - 1, HOP_SAMPLES),
        )

    def step(
        self, hz: Tensor, bands: Tensor, state: SynthesisState
    ) -> tuple[Tensor, SynthesisState]:
        """Audio [B, N 240] of pitch [B, N] in Hz and log magnitudes [B, N, 80 + 48]."""
        excitation, source = self.source.step(hz, state.source)
        now = _filter(bands[..., :PULSE_BANDS], self.pulse_map)  # [B, N, BINS, 2]
        before = torch.cat([state.filter[:, None], now[:, :-1]], dim=1)
        noise = _filter(bands[..., PULSE_BANDS:], self.noise_map)
        rising = excitation.pulses * self.fade
        falling = excitation.pulses - rising
        signals = torch.stack([rising, falling, excitation.noise])  # [3, B, N, 240]
        spectra = torch.fft.rfft(signals, FFT_SIZE)  # [3, B, N, BINS]
        mixed = spectra[0] * torch.view_as_complex(now)
        mixed = mixed + spectra[1] * torch.view_as_complex(before)
        mixed = mixed + spectra[2] * torch.view_as_complex(noise)
        response = torch.fft.irfft(mixed, FFT_SIZE)  # [B, N, 768]
        padded = F.pad(response, (0, RESPONSE_HOPS * HOP_SAMPLES - FFT_SIZE))
        parts = padded.unflatten(-1, (RESPONSE_HOPS, HOP_SAMPLES))  # [B, N, 4, 240]
        total = F.pad(state.ringing, (0, 0, 0, hz.shape[1]))  # [B, 3 + N, 240]
        for late in range(RESPONSE_HOPS):
            total = total + F.pad(parts[:, :, late], (0, 0, late, RESPONSE_HOPS - 1 - late))
        audio = total[:, : hz.shape[1]].flatten(1)
        after = SynthesisState(source, now[:, -1], total[:, hz.shape[1] :])
        return audio, after


def _filter(bands: Tensor, band_map: Tensor) -> Tensor:
    """Log magnitudes in bands [B, N, bands] -> complex filter as real pairs [B, N, BINS, 2]."""
    clamped = bands.float().clamp(LOWEST_LOG, HIGHEST_LOG)
    log_magnitude, phase = (clamped @ band_map).chunk(2, dim=-1)
    magnitude = torch.exp(log_magnitude)
    return torch.stack([magnitude * torch.cos(phase), magnitude * torch.sin(phase)], dim=-1)
