"""The countermeasure as a whole: two kinds of statistics, a network for each, one score.

    audio -> statistics of bands (`network.Features`)           -> network -> (1 - share) score
          -> statistics of pitch and phase (`pitch_statistics`) -> network -> share score  -> sum

Statistics lie side by side in one vector, in the order of `PARTS`. Each kind has a network of its
own: in one on all of it 1,069 numbers of bands would outweigh 211 of pitch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from sts_eval.audit import network, pitch_statistics
from sts_eval.audit.network import Countermeasure


class Part(NamedTuple):
    """One kind of statistics. version: of what computes it."""

    dimension: int
    version: int


PARTS: Final = {
    "bands": Part(network.DIMENSION, network.VERSION),
    "pitch": Part(pitch_statistics.DIMENSION, pitch_statistics.VERSION),
}
DIMENSION: Final = sum(part.dimension for part in PARTS.values())


class Statistics(nn.Module):
    """Audio [B, S] at 16 kHz, S >= 0.5 s -> statistics [B, D] of these parts, all by default."""

    def __init__(self, parts: Mapping[str, object] = PARTS) -> None:
        super().__init__()
        made = {"bands": network.Features, "pitch": pitch_statistics.PitchStatistics}
        self._extractors = nn.ModuleList(made[name]() for name in PARTS if name in parts)

    def forward(self, audio: Tensor) -> Tensor:
        """See the class. Raises AuditError: audio that has no pitch statistics."""
        return torch.cat([extract(audio) for extract in self._extractors], dim=1)


class JointCountermeasure(nn.Module):
    """Statistics [B, D] -> scores [B] in [-2, 2], higher = bona fide.

    networks: by the name of their part. shares: of the score, by name; their sum is 1.
    """

    def __init__(self, networks: Mapping[str, Countermeasure], shares: Mapping[str, float]) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(networks)
        self.shares = {name: shares[name] for name in PARTS if name in shares}

    def network(self, name: str) -> Countermeasure:
        """That of a part."""
        found = self.networks[name]
        assert isinstance(found, Countermeasure)
        return found

    @property
    def dimension(self) -> int:
        """D: of the parts that it listens to."""
        return sum(PARTS[name].dimension for name in self.shares)

    def scores(self, statistics: Tensor) -> Tensor:
        """See the class."""
        parts = statistics.split([PARTS[name].dimension for name in self.shares], dim=1)
        each = [
            share * self.network(name).scores(part)
            for (name, share), part in zip(self.shares.items(), parts, strict=True)
        ]
        return torch.stack(each).sum(0)
