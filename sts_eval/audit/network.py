"""The countermeasure's features and network, built from speechbrain parts.

Features, every 10 ms at 16 kHz, [T, 60 + 16]:

- 60 log powers in triangular bands that are *linear* in frequency (50 Hz to 7 kHz), 25 ms windows:
  the bands of LFCC without the cosine transform (Sahidullah, Kinnunen and Hanilci, A comparison of
  features for synthetic speech detection, 2015; vocoders leave marks where mel bands are wide). The
  mean over the clip is removed from each band, so a fixed filter or gain leaves no trace; powers
  40 dB below the clip's mean count as that, so silence and a noise floor leave little.
- 16 *pulse contrasts*: log of arithmetic over geometric mean, over 24 ms, of the power in 4 ms
  windows every 1 ms. Voiced speech drives all bands at the same instants; re-made phases smear
  these, pulse trains sharpen them. It is free of gain and of slow filters.

Network: ECAPA-TDNN (Desplanques, Thienpondt and Demuynck, 2020) from speechbrain, narrow, with two
cosine outputs trained by additive angular margin. Score: cosine to "bona fide" minus cosine to
"spoof", in [-2, 2]; higher = bona fide.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from sts_eval import _torchaudio

RATE_HZ: Final = 16_000
LINEAR_BANDS: Final = 60
CONTRAST_BANDS: Final = 16
BANDS: Final = LINEAR_BANDS + CONTRAST_BANDS
EMBEDDING: Final = 64
_FLOOR: Final = 1e-4


class Features(nn.Module):
    """Audio [B, S] at 16 kHz -> features [B, T, 76], T = S / 160 + 1."""

    def __init__(self) -> None:
        super().__init__()
        _torchaudio.prepare()
        from speechbrain.processing.features import STFT

        self._long = STFT(RATE_HZ, win_length=25, hop_length=10, n_fft=400)
        self._short = STFT(RATE_HZ, win_length=4, hop_length=1, n_fft=64)
        self.register_buffer("_fine", linear_bank(201, LINEAR_BANDS), persistent=False)
        self.register_buffer("_coarse", linear_bank(33, CONTRAST_BANDS), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """See the class."""
        power = self._long(audio).square().sum(-1) @ self._fine  # [B, T, 60]
        floor = _FLOOR * power.mean(dim=(1, 2), keepdim=True) + 1e-12
        fine = torch.log(power + floor)
        fine = fine - fine.mean(dim=1, keepdim=True)
        quick = self._short(audio).square().sum(-1) @ self._coarse  # [B, 10 T, 16]
        quick = (quick + _FLOOR * quick.mean(dim=(1, 2), keepdim=True) + 1e-12).transpose(1, 2)
        smooth = nn.functional.avg_pool1d(quick, 24, 10, padding=12)
        contrast = torch.log(smooth) - nn.functional.avg_pool1d(
            torch.log(quick), 24, 10, padding=12
        )
        contrast = contrast.transpose(1, 2)[:, 1:-1]
        frames = min(fine.shape[1], contrast.shape[1])
        return torch.cat([fine[:, :frames] / 3, contrast[:, :frames].clamp(-1, 4)], dim=2)


def linear_bank(bins: int, bands: int) -> Tensor:
    """[bins, bands] triangles of equal width between 50 Hz and 7 kHz."""
    hz = torch.linspace(0, RATE_HZ / 2, bins)[:, None]
    edges = torch.linspace(50, 7_000, bands + 2)
    width = torch.maximum(edges[1:-1] - edges[:-2], torch.tensor(RATE_HZ / 2 / (bins - 1)))
    return (1 - (hz - edges[1:-1]).abs() / width).clamp_min(0)


class Countermeasure(nn.Module):
    """Features [B, T, 76] -> cosines to (spoof, bona fide) [B, 2]."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        _torchaudio.prepare()
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN, Classifier

        self.width = width
        self.encoder = ECAPA_TDNN(
            BANDS,
            channels=[width] * 4 + [3 * width],
            lin_neurons=EMBEDDING,
            attention_channels=32,
            se_channels=32,
            res2net_scale=4,
        )
        self.head = Classifier(EMBEDDING, out_neurons=2)

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        cosines: Tensor = self.head(self.encoder(features))[:, 0]
        return cosines

    def scores(self, features: Tensor) -> Tensor:
        """[B] higher = bona fide."""
        cosines = self(features)
        return cosines[:, 1] - cosines[:, 0]


def margin_loss(margin: float, scale: float) -> Any:
    """speechbrain's additive angular margin loss: (cosines [B, 1, 2], labels [B, 1]) -> scalar."""
    _torchaudio.prepare()
    from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper

    return LogSoftmaxWrapper(AdditiveAngularMargin(margin=margin, scale=scale))
