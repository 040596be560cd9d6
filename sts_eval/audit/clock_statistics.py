"""Statistics of a clip's frame clock: does its fine structure return at the rate of a vocoder?

A neural vocoder makes a waveform of frames, one every 10 or 12.5 ms, by layers that repeat
themselves once a frame. Where the frames change slowly, in a vowel as in a fricative or in a pause,
so does what the layers add: a faint pattern that returns at exactly the frame's period, throughout
a recording (Pons et al., Upsampling artifacts in neural audio synthesis, 2021). A voice has no such
clock. Its pitch returns at periods that move, by more than the fine structure of a band can follow.

    audio -> every cell of time and frequency at one power, so that nothing loud decides
          -> autocorrelation of each of four bands over the whole clip, at multiples of a period

`CLOCKS_MS` are the periods of common systems: a hop over a sampling rate. Which of them stands out
is not told, only how far it does, so that a detector that has met one clock hears another one. 10
and 20 ms, common as well, are left out: hum of the mains returns at them.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

RATE_HZ: Final = 16_000
BANDS_HZ: Final = ((50, 1500), (1500, 3000), (3000, 4800), (4800, 6900))
CLOCKS_MS: Final = (
    256 / 24,  # 10.67: 256 samples at 24 kHz
    256 / 22.05,  # 11.61: 256 at 22.05 kHz, 512 at 44.1
    12.5,  # 300 at 24 kHz, 200 at 16
    40 / 3,  # 13.33: 320 at 24 kHz
)
MULTIPLES: Final = (4, 16)
DIMENSION: Final = len(MULTIPLES) * (2 * len(BANDS_HZ) + 4)
VERSION: Final = 1
_WINDOW: Final = 1024
_AROUND: Final = (41, 3)  # bins and frames of equal power
_DECAY: Final = 0.9
_FINER: Final = 2  # lags at half a sample
_LINE_BINS: Final = 600  # on either side: 73 Hz of a clip of 3 s
_MOST_OF_A_LINE: Final = 4.0


class ClockStatistics(nn.Module):
    """Audio [B, S] at 16 kHz, S >= 0.5 s -> statistics [B, 24], for a few multiples and for many:
    the strongest clock and the second, the four bands at the strongest, and the same four sorted;
    mean and spread of all clocks."""

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(_WINDOW).sqrt())

    def forward(self, audio: Tensor) -> Tensor:
        """See the class."""
        repeats = self.autocorrelation(audio)  # [B, 4, L]
        return torch.cat([_which_stand_out(repeats, most) for most in MULTIPLES], dim=1)

    def autocorrelation(self, audio: Tensor) -> Tensor:
        """[B, 4, L] of the bands at lags of half a sample, in units of their chance deviation."""
        level = _white(audio, self.window)
        size = 1 << (2 * audio.shape[1] - 1).bit_length()
        power = torch.fft.rfft(level, size).abs().square()
        # The mains have a clock as well, and a louder one.
        power = torch.minimum(power, _MOST_OF_A_LINE * _around(power, _LINE_BINS))
        hz = torch.fft.rfftfreq(size, 1 / RATE_HZ)
        found = []
        for low, high in BANDS_HZ:
            inside = power * ((hz >= low) & (hz < high))
            lags = torch.fft.irfft(inside, size * _FINER)
            chance = (2 * (high - low) * audio.shape[1] / RATE_HZ) ** -0.5
            last = int(max(MULTIPLES) * max(CLOCKS_MS) * RATE_HZ * _FINER / 1000) + 2
            found.append(lags[:, :last] / lags[:, :1].clamp_min(1e-9) / chance)
        return torch.stack(found, dim=1)


def _white(audio: Tensor, window: Tensor) -> Tensor:
    """[B, S], its cells of time and frequency at one power."""
    hop = _WINDOW // 4
    given: dict[str, Any] = {"n_fft": _WINDOW, "hop_length": hop, "window": window}
    cells = torch.stft(audio, **given, return_complex=True, pad_mode="constant")
    power = cells.abs().square()
    sides = _AROUND[0] // 2, _AROUND[1] // 2
    near = avg_pool2d(power[:, None], _AROUND, 1, sides, count_include_pad=False)[:, 0]
    cells = cells / (near + 1e-12).sqrt()
    return torch.istft(cells, **given, length=audio.shape[1])


def _around(power: Tensor, side: int) -> Tensor:
    """[B, F] means over `side` bins on either side; fewer at the ends."""
    total = torch.nn.functional.pad(power.double().cumsum(1), (1, 0))
    at = torch.arange(power.shape[1])
    low, high = (at - side).clamp_min(0), (at + side + 1).clamp_max(power.shape[1])
    return ((total[:, high] - total[:, low]) / (high - low)).to(power)


def _which_stand_out(repeats: Tensor, most: int) -> Tensor:
    """[B, 12] of the autocorrelation [B, 4, L] at up to `most` multiples of each clock."""
    each = torch.stack([comb(repeats, clock, most) for clock in CLOCKS_MS], dim=2)  # [B, 4, C]
    clocks = each.mean(1)
    strongest, which = clocks.topk(2, dim=1)
    bands = each.gather(2, which[:, None, :1].expand(-1, len(BANDS_HZ), 1))[..., 0]
    spread = torch.stack([clocks.mean(1), clocks.std(1)], dim=1)
    return torch.cat([strongest, bands, bands.sort(dim=1).values, spread], dim=1)


def comb(repeats: Tensor, clock_ms: float, most: int) -> Tensor:
    """[B, 4] weighted sum of [B, 4, L] at multiples of a period, in chance deviations."""
    total = torch.zeros_like(repeats[..., 0])
    for k in range(1, most + 1):
        lag = k * clock_ms * RATE_HZ * _FINER / 1000
        whole, part = int(lag), lag % 1
        total += _DECAY**k * (repeats[..., whole] * (1 - part) + repeats[..., whole + 1] * part)
    return total / sum(_DECAY ** (2 * k) for k in range(1, most + 1)) ** 0.5
