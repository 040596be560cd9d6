"""Losses of the codec between a reference and a decoded signal, both [B, S] at 24 kHz.

Spectral loss at each window size n (hop n / 4, Hann window), averaged over the sizes:

    mean |log M(y) - log M(x)|  +  linear_weight * mean |log S(y) - log S(x)|

with S the magnitude spectrum, sqrt(|X|^2 + floor^2), and M its mel bands (Kong et al., "HiFi-GAN",
2020; Yamamoto et al., "Parallel WaveGAN", 2020). The floor keeps near-silence, where log
differences are large and nobody hears them, from ruling the loss. No phase is compared: the
decoder's pulses are free to start anywhere in their period.

Pitch: cross-entropy of the encoder's estimator, for pitch and for voicing.
Distillation: 1 - cosine to the teacher's standardised features, over the frames that have one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sts_core.codec.features import PITCH_GRID_HZ, mel_filters

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


def estimator_loss(logits: Tensor, target_hz: Tensor, voiced: Tensor) -> Tensor:
    """Cross-entropy of the encoder's pitch estimator: [B, N, 129] against pitch [B, N].

    The pitch lies between two points of the grid and is shared between them; pitch counts where
    voiced, the last logit (voicing) everywhere.
    """
    low_hz, high_hz = PITCH_GRID_HZ
    points = logits.shape[-1] - 1
    position = torch.log2(target_hz / low_hz) / math.log2(high_hz / low_hz) * (points - 1)
    position = position.clamp(0.0, points - 1.001)
    left = position.long()
    share = position - left
    log_p = torch.log_softmax(logits[..., :-1], dim=-1)
    at_left, at_right = (log_p.gather(-1, i[..., None])[..., 0] for i in (left, left + 1))
    entropy = -((1 - share) * at_left + share * at_right)
    pitch = (entropy * voiced).sum() / voiced.sum().clamp(min=1)
    return pitch + F.binary_cross_entropy_with_logits(logits[..., -1], voiced.float())


def distillation_loss(predicted: Tensor, teacher: Tensor, known: Tensor) -> Tensor:
    """Mean 1 - cosine [B, T, D] over the frames where `known` bool [B, T]; 0 where none is."""
    distance = 1.0 - F.cosine_similarity(predicted, teacher, dim=-1)
    return (distance * known).sum() / known.sum().clamp(min=1)
