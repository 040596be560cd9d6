"""What the encoder hears: causal log-mel energies and a pitch-revealing lag spectrum, 100 Hz.

Each 10 ms hop is described by the window of 1024 samples (43 ms) that *ends* with the hop. The
window rises slowly and falls fast (128 samples), so that the newest samples of a frame count almost
fully although nothing after the frame is heard.

    mel   log of 80 triangular mel bands (O'Shaughnessy 1987) of the power spectrum
    lags  the autocorrelation of the spectrum with its power compressed (|X|^0.6), relative to lag
          0, at lags spaced evenly in log of pitch: a comb of harmonics becomes a peak (the
          "generalised autocorrelation" of Tolonen and Karjalainen, 2000). 56 coarse lags from 500
          to 55 Hz, and 128 fine ones on the grid of `PITCH_GRID_HZ` for the pitch estimator

Output [B, N, 136 + 128], scaled so that values of speech lie mostly in [-2, 2].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sts_core.streaming import StreamingLayer
from sts_core.units import HOP_SAMPLES, SAMPLE_RATE_HZ, exact_div

WINDOW_SAMPLES = 1024
FALL_SAMPLES = 128
MEL_BANDS = 80
LAGS = 56
FEATURES = MEL_BANDS + LAGS
FINE_LAGS = 128
PITCH_GRID_HZ = (60.0, 500.0)  # first and last of the fine lags, as pitches
LAG_POWER = 0.6
IN_BAND = 4_000 * WINDOW_SAMPLES // SAMPLE_RATE_HZ + 1  # bins up to 4 kHz; harmonics fade above


def mel_filters(bands: int, fft_size: int, *, low_hz: float = 40.0) -> Tensor:
    """Triangular mel filters [fft_size / 2 + 1, bands], `low_hz` to 12 kHz, each of height one."""
    low, high = (2595.0 * math.log10(1.0 + hz / 700.0) for hz in (low_hz, SAMPLE_RATE_HZ / 2))
    mel = torch.linspace(low, high, bands + 2, dtype=torch.float64)
    edges_hz = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)  # [bands + 2]
    hz = torch.linspace(0.0, SAMPLE_RATE_HZ / 2, fft_size // 2 + 1, dtype=torch.float64)[:, None]
    rise = (hz - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    fall = (edges_hz[2:] - hz) / (edges_hz[2:] - edges_hz[1:-1])
    return torch.minimum(rise, fall).clamp(min=0.0).float()


def analysis_window() -> Tensor:
    """Half a Hann window up over 896 samples, half a Hann window down over 128: [1024]."""
    up = torch.hann_window(2 * (WINDOW_SAMPLES - FALL_SAMPLES), periodic=False)
    down = torch.hann_window(2 * FALL_SAMPLES, periodic=False)
    return torch.cat([up[: WINDOW_SAMPLES - FALL_SAMPLES], down[FALL_SAMPLES:]])


def _lag_matrix(first_hz: float, last_hz: float, count: int) -> Tensor:
    """Cosines [F, count] that read the autocorrelation at fractional lags off a power spectrum."""
    first, last = math.log10(first_hz), math.log10(last_hz)
    pitch_hz = torch.logspace(first, last, count, dtype=torch.float64)
    hz = torch.arange(WINDOW_SAMPLES // 2 + 1, dtype=torch.float64) * (
        SAMPLE_RATE_HZ / WINDOW_SAMPLES
    )
    cosines = torch.cos(2 * math.pi * hz[:, None] / pitch_hz)
    cosines[IN_BAND:] = 0.0
    return cosines.float()


class Analysis(StreamingLayer[Tensor]):
    """Audio [B, S, 1], S a multiple of 240 -> features [B, S / 240, 264]; state [B, 784]."""

    window: Tensor
    mel: Tensor
    lags: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", analysis_window(), persistent=False)
        self.register_buffer("mel", mel_filters(MEL_BANDS, WINDOW_SAMPLES), persistent=False)
        lags = [_lag_matrix(500.0, 55.0, LAGS), _lag_matrix(*PITCH_GRID_HZ, FINE_LAGS)]
        self.register_buffer("lags", torch.cat(lags, dim=1), persistent=False)

    def initial_state(self, batch: int) -> Tensor:
        return self.window.new_zeros(batch, WINDOW_SAMPLES - HOP_SAMPLES)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        exact_div(x.shape[1], HOP_SAMPLES)
        audio = torch.cat([state, x[..., 0]], dim=1)  # [B, 784 + S]
        frames = audio.unfold(1, WINDOW_SAMPLES, HOP_SAMPLES) * self.window  # [B, N, 1024]
        spectrum = torch.view_as_real(torch.fft.rfft(frames))
        power = spectrum.square().sum(dim=-1)  # [B, N, 513]
        mel = torch.log(power @ self.mel + 1e-3)
        compressed = (power + 1e-6).pow(LAG_POWER / 2)
        lags = compressed @ self.lags / compressed[..., :IN_BAND].sum(dim=-1, keepdim=True)
        features = torch.cat([(mel + 1.0) / 4.0, 3.0 * lags], dim=-1)
        return features, audio[:, x.shape[1] :]
