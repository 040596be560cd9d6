"""Discriminators for the last part of codec training: small, and on short crops only.

Two views of the signal, after Kong et al., "HiFi-GAN" (2020) and Jang et al., "UnivNet" (2021):

    period      the signal folded to [S / p, p], p of 2, 3, 5, 7, 11: convolutions along time
    resolution  log magnitude spectra at three window sizes: convolutions over time and frequency

Losses are the hinge form (Lim and Ye, 2017), and feature matching is the mean relative L1 distance
of all inner layers (Défossez et al., "EnCodec", 2022, equation 3).
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

PERIODS = (2, 3, 5, 7, 11)
WINDOWS = (1024, 512, 256)


class Judged(NamedTuple):
    """What a discriminator says: its scores and all that it computed before them."""

    score: Tensor
    features: list[Tensor]


class _Stack(nn.Module):
    """Convolutions with leaky ReLU whose inner outputs are kept."""

    def __init__(self, layers: list[nn.Conv2d]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(weight_norm(layer) for layer in layers)

    def forward(self, x: Tensor) -> Judged:
        features = []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.1)
            features.append(x)
        return Judged(self.layers[-1](x), features)


class PeriodView(nn.Module):
    """One period: audio [B, S] -> Judged."""

    def __init__(self, period: int, width: int) -> None:
        super().__init__()
        self.period = period
        dims = [1, width, 2 * width, 4 * width, 4 * width]
        layers = [nn.Conv2d(a, b, (5, 1), (3, 1), (2, 0)) for a, b in pairwise(dims)]
        self.stack = _Stack([*layers, nn.Conv2d(dims[-1], 1, (3, 1), padding=(1, 0))])

    def forward(self, audio: Tensor) -> Judged:
        padded = F.pad(audio, (0, -audio.shape[1] % self.period))
        return self.stack(padded.unflatten(1, (-1, self.period))[:, None])


class ResolutionView(nn.Module):
    """One spectral resolution: audio [B, S] -> Judged."""

    window: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        dims = [1, width, width, width, width]
        layers = [nn.Conv2d(a, b, (3, 9), (1, 2), (1, 4)) for a, b in pairwise(dims)]
        self.stack = _Stack([*layers, nn.Conv2d(dims[-1], 1, (3, 3), padding=1)])

    def forward(self, audio: Tensor) -> Judged:
        frames = audio.unfold(1, self.size, self.size // 4) * self.window
        with torch.autocast(audio.device.type, enabled=False):
            spectrum = torch.view_as_real(torch.fft.rfft(frames.float()))
            power = spectrum.square().sum(dim=-1) * (1024 / self.size)
            log_magnitude = 0.5 * torch.log(power + 1e-4)  # [B, N, F]
        return self.stack(log_magnitude[:, None])


class Discriminators(nn.Module):
    """All views: audio [B, S] -> one Judged each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        periods = [PeriodView(period, width) for period in PERIODS]
        resolutions = [ResolutionView(size, width) for size in WINDOWS]
        self.views = nn.ModuleList([*periods, *resolutions])

    def forward(self, audio: Tensor) -> list[Judged]:
        return [view(audio) for view in self.views]


def discriminator_loss(real: list[Judged], fake: list[Judged]) -> Tensor:
    """Hinge: real scores above 1, fake ones below -1."""
    pairs = zip(real, fake, strict=True)
    return torch.stack(
        [F.relu(1 - r.score).mean() + F.relu(1 + f.score).mean() for r, f in pairs]
    ).mean()


def deception_loss(fake: list[Judged]) -> Tensor:
    """What the decoder minimises: the negative mean score."""
    return -torch.stack([f.score.mean() for f in fake]).mean()


def feature_loss(real: list[Judged], fake: list[Judged]) -> Tensor:
    """Mean relative L1 distance of inner layers; no gradient to the real side."""
    distances = [
        (a.detach() - b).abs().mean() / a.detach().abs().mean().clamp(min=1e-3)
        for r, f in zip(real, fake, strict=True)
        for a, b in zip(r.features, f.features, strict=True)
    ]
    return torch.stack(distances).mean()
