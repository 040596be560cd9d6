"""Losses of the codec between a reference and a decoded signal, both [B, S] at 24 kHz.

Spectral loss at each window size n (hop n / 4, Hann window), averaged over the sizes:

    mean |log M(y) - log M(x)|  +  linear_weight * mean |log S(y) - log S(x)|

with S the magnitude spectrum, sqrt(|X|^2 + floor^2), and M its mel bands (Kong et al., "HiFi-GAN",
2020; Yamamoto et al., "Parallel WaveGAN", 2020). The floor keeps near-silence, where log
differences are large and nobody hears them, from ruling the loss. No phase is compared: the
decoder's pulses are free to start anywhere in their period.

Pitch loss: mean |log2 f(y) - log2 f(x)| over voiced hops, in octaves.
Distillation: 1 - cosine to the teacher's standardised features, over the frames that have one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sts_core.codec.features import mel_filters

FLOOR = 1e-2


class SpectralLoss(nn.Module):
    """Multi-resolution log-mel and log-magnitude distance."""

    def __init__(
        self,
        sizes: tuple[int, ...] = (2048, 1024, 512),
        bands: tuple[int, ...] = (128, 96, 64),
        linear_weight: float = 0.3,
    ) -> None:
        super().__init__()
        self.sizes, self.linear_weight = sizes, linear_weight
        for size, count in zip(sizes, bands, strict=True):
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)
            self.register_buffer(f"mel_{size}", mel_filters(count, size), persistent=False)

    def forward(self, reference: Tensor, decoded: Tensor) -> Tensor:
        """Scalar loss; the gradient flows to `decoded` only."""
        total = decoded.new_zeros(())
        for size in self.sizes:
            with torch.no_grad():
                mel_x, linear_x = self._log_spectra(reference, size)
            mel_y, linear_y = self._log_spectra(decoded, size)
            total = total + (mel_y - mel_x).abs().mean()
            total = total + self.linear_weight * (linear_y - linear_x).abs().mean()
        return total / len(self.sizes)

    def _log_spectra(self, audio: Tensor, size: int) -> tuple[Tensor, Tensor]:
        frames = audio.unfold(1, size, size // 4) * getattr(self, f"window_{size}")  # [B, N, n]
        spectrum = torch.fft.rfft(frames)
        power = spectrum.real.square() + spectrum.imag.square()  # abs() is far slower
        power = power * (1024 / size)  # [B, N, n / 2 + 1]
        mel = torch.log(power @ getattr(self, f"mel_{size}") + FLOOR**2)
        return 0.5 * mel, 0.5 * torch.log(power + FLOOR**2)


def pitch_loss(hz: Tensor, target_hz: Tensor, voiced: Tensor) -> Tensor:
    """Mean distance in octaves [B, N]; hops that are not voiced count a fiftieth."""
    weight = torch.where(voiced, 1.0, 0.02)
    distance = (torch.log2(hz) - torch.log2(target_hz)).abs()
    return (weight * distance).sum() / weight.sum()


def distillation_loss(predicted: Tensor, teacher: Tensor, known: Tensor) -> Tensor:
    """Mean 1 - cosine [B, T, D] over the frames where `known` bool [B, T]; 0 where none is."""
    distance = 1.0 - F.cosine_similarity(predicted, teacher, dim=-1)
    return (distance * known).sum() / known.sum().clamp(min=1)
