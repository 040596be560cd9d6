"""Statistics of a clip's bands, from speechbrain's spectra.

A vocoder's marks lie in how the parts of a spectrum move *together*, less in the spectrum itself.
Voiced speech is driven by one pulse train: at every glottal closure all bands rise within the same
millisecond or two. Re-made phases smear that (Griffin-Lim, neural vocoders), ideal pulses sharpen
it (WORLD, source-filter codecs). So a clip [S] at 16 kHz becomes one vector [1069]:

- *synchrony*, 648: correlations between the log powers of 16 bands in 4 ms windows every 1 ms,
  their 24 ms mean removed, over the loud parts: every pair at lags of -2..2 ms, each band with
  itself 1 and 2 ms later, and the strongest repetition within 3..12 ms (the pitch);
- *contrast*, 64: log of arithmetic over geometric mean of those powers over 24 ms: mean, spread and
  change from frame to frame; and the spread of the powers themselves;
- *bands*, 357: of 60 log powers, 25 ms every 10 ms: spread, skewness, change after 10 and 30 ms,
  differences of neighbouring bands. Bands are linear in frequency, 50 Hz to 7 kHz, as in LFCC
  (Sahidullah, Kinnunen and Hanilci, A comparison of features for synthetic speech detection, 2015).

Means of bands are left out and powers 40 dB below the clip's mean count as that: a gain, a fixed
filter and a noise floor leave little.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d

from sts_eval.speechbrain import import_speechbrain

RATE_HZ: Final = 16_000
FINE_BANDS: Final = 60
COARSE_BANDS: Final = 16
DIMENSION: Final = 1069
VERSION: Final = 1
_FLOOR: Final = 1e-4
_SMALL: Final = 1e-3
_LAGS_MS: Final = (0, 1, -1, 2, -2)
_PITCH_MS: Final = range(3, 13)


class BandStatistics(nn.Module):
    """Audio [B, S] at 16 kHz, S >= 0.5 s -> statistics [B, 1069]."""

    def __init__(self) -> None:
        super().__init__()
        import_speechbrain()
        from speechbrain.processing.features import STFT

        self._long = STFT(RATE_HZ, win_length=25, hop_length=10, n_fft=400)
        self._short = STFT(RATE_HZ, win_length=4, hop_length=1, n_fft=64)
        self._fine = linear_bank(201, FINE_BANDS)
        self._coarse = linear_bank(33, COARSE_BANDS)

    def forward(self, audio: Tensor) -> Tensor:
        """See the class."""
        level = audio.square().mean(1, keepdim=True).sqrt()
        audio = 0.05 * audio / level.clamp_min(1e-9)
        fine = self._long(audio).square().sum(-1) @ self._fine  # [B, T, 60]
        coarse = (self._short(audio).square().sum(-1) @ self._coarse).transpose(1, 2)
        total = fine.sum(-1)
        active = (total > 0.03 * total.mean(1, keepdim=True)).float()  # [B, T]
        logs = torch.log(_floored(fine))
        powers = _floored(coarse)  # [B, 16, 10 T]
        return torch.cat(
            [band_statistics(logs, active), *contrast_and_synchrony(powers, active)], dim=1
        )


def _floored(power: Tensor) -> Tensor:
    return power + _FLOOR * power.mean(dim=(1, 2), keepdim=True) + 1e-12


def band_statistics(logs: Tensor, active: Tensor) -> Tensor:
    """[B, 357] of log powers [B, T, 60] over active frames [B, T]."""
    around = logs - _mean(logs, active)[:, None]
    spread = _mean(around.square(), active).sqrt()
    parts = [spread, _mean(around**3, active) / (spread**3 + _SMALL)]
    for lag in (1, 3):
        change = (around[:, lag:] - around[:, :-lag]).square()
        parts.append(torch.log(_mean(change, active[:, lag:] * active[:, :-lag]) + _SMALL))
    slope = around[:, :, 1:] - around[:, :, :-1]
    bend = slope[:, :, 1:] - slope[:, :, :-1]
    parts += [torch.log(_mean(step.square(), active) + _SMALL) for step in (slope, bend)]
    return torch.cat(parts, dim=1)


def contrast_and_synchrony(powers: Tensor, active: Tensor) -> list[Tensor]:
    """[B, 64] and [B, 648] of powers [B, 16, 10 T] every 1 ms; active: [B, T]."""
    logs = torch.log(powers)
    smooth = torch.log(_average(powers, 24, 10)) - _average(logs, 24, 10)
    contrast = smooth.transpose(1, 2).clamp(-1, 4)  # [B, T or T + 1, 16]
    frames = min(contrast.shape[1], active.shape[1])
    contrast, active = contrast[:, :frames], active[:, :frames]
    mean = _mean(contrast, active)
    spread = _mean((contrast - mean[:, None]).square(), active).sqrt()
    change = _mean((contrast[:, 1:] - contrast[:, :-1]).square(), active[:, 1:])

    quick = logs - _average(logs, 25, 1)
    near = avg_pool1d(powers.sum(1, keepdim=True), 25, 1, padding=12)[:, 0]
    loud = (near > 0.1 * near.mean(1, keepdim=True)).float()  # [B, 10 T]
    weight = loud.sum(1, keepdim=True).clamp_min(1.0)
    size = ((quick.square() * loud[:, None]).sum(2) / weight).sqrt()
    first = [mean, spread, torch.log(change + _SMALL), torch.log(size + _SMALL)]
    normal = quick / size[..., None].clamp_min(_SMALL)
    return [torch.cat(first, dim=1), _synchrony(normal, loud, weight)]


def _synchrony(normal: Tensor, loud: Tensor, weight: Tensor) -> Tensor:
    """[B, 648] correlations of normal [B, 16, 10 T] over loud milliseconds."""
    rows, columns = torch.triu_indices(COARSE_BANDS, COARSE_BANDS, 1)
    length, parts = normal.shape[2], []
    own = []
    for lag in _LAGS_MS:
        later = normal[:, :, max(lag, 0) : length + min(lag, 0)]
        other = normal[:, :, max(-lag, 0) : length - max(lag, 0)]
        weighted = later * loud[:, None, : later.shape[2]]
        table = torch.bmm(weighted, other.transpose(1, 2)) / weight[..., None]  # [B, 16, 16]
        parts.append(table[:, rows, columns])
        if lag > 0:
            own.append(torch.diagonal(table, dim1=1, dim2=2))
    repeats = [
        (normal[:, :, lag:] * normal[:, :, :-lag] * loud[:, None, lag:]).sum(2) / weight
        for lag in _PITCH_MS
    ]
    return torch.cat([*parts, *own, torch.stack(repeats, 2).amax(2)], dim=1)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over time: [B, T, D], [B, T] -> [B, D]."""
    return (values * weight[..., None]).sum(1) / weight.sum(1, keepdim=True).clamp_min(1.0)


def _average(values: Tensor, width: int, stride: int) -> Tensor:
    return avg_pool1d(values, width, stride, padding=width // 2, count_include_pad=False)


def linear_bank(bins: int, bands: int) -> Tensor:
    """[bins, bands] triangles of equal width between 50 Hz and 7 kHz."""
    hz = torch.linspace(0, RATE_HZ / 2, bins)[:, None]
    edges = torch.linspace(50, 7_000, bands + 2)
    width = torch.maximum(edges[1:-1] - edges[:-2], torch.tensor(RATE_HZ / 2 / (bins - 1)))
    return (1 - (hz - edges[1:-1]).abs() / width).clamp_min(0)
