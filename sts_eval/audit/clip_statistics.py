"""What is measured of a clip: statistics of bands, of pitch and of a frame clock, in one vector."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from sts_eval.audit import band_statistics, clock_statistics, pitch_statistics


class Part(NamedTuple):
    """One kind of statistics. version: of what computes it."""

    dimension: int
    version: int


PARTS: Final = {
    "bands": Part(band_statistics.DIMENSION, band_statistics.VERSION),
    "pitch": Part(pitch_statistics.DIMENSION, pitch_statistics.VERSION),
    "clock": Part(clock_statistics.DIMENSION, clock_statistics.VERSION),
}
DIMENSION: Final = sum(part.dimension for part in PARTS.values())


class Statistics(nn.Module):
    """Audio [B, S] at 16 kHz, S >= 0.5 s -> statistics [B, 1304], in the order of `PARTS`.

    NaN where nothing was measured: a clip without enough voicing has no statistics of pitch.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bands = band_statistics.BandStatistics()
        self._pitch = pitch_statistics.PitchStatistics()
        self._clock = clock_statistics.ClockStatistics()

    def forward(self, audio: Tensor) -> Tensor:
        """See the class. Raises AuditError: audio that has no statistics."""
        return torch.cat([self._bands(audio), self._pitch(audio), self._clock(audio)], dim=1)
