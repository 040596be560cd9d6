"""The countermeasure: people and every attack as a Gaussian, and how far each attack is excluded.

    statistics [D] -> normal scores of their ranks [D] -> and their squares [2 D]
                   -> for each attack the log ratio of N(people, C) to N(attack, C), at unit spread,
                      less a part of what people have in the mean
                   -> the soft minimum of them: higher = bona fide

- Ranks among the clips of training make each number normal, whatever its unit and its tails.
- Squares (their mean taken off) let a class be wider or narrower than another one.
- C is the covariance within classes, shrunk towards a sphere (Friedman, Regularized discriminant
  analysis, 1989). It is what rooms, channels, voices and words do to the statistics: directions in
  which they move much count little (Fisher's discriminant, 1936).
- The attacks stay apart. Their marks lie on opposite sides of people: the pulses of WORLD are too
  regular, those of Griffin-Lim not enough. One boundary between people and all of them must give
  way on both sides; the nearest attack decides here, and an unknown one is often near a known one.
- What all attacks have in common is one more class, `ANY`: an unknown one may be like none of them.

A ratio at unit spread has the same variance under either of its two classes, whether the attack is
far (a formant synthesiser) or near (a good copy), so that no attack decides by its distance alone.
Its mean over people is half that distance, and a near attack would be the minimum for most people:
they would be measured by it, and all others would go unheard. So the ratios lean: each is lowered
by a part of that mean; by all of it, every attack would be as often the nearest to people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

KNOTS: Final = 129
ANY: Final = "any"
_MOST_RANKED: Final = 4096  # clips: enough for `KNOTS` quantiles
_TAIL: Final = 0.002  # of a rank: what lies beyond the clips of training is no further away
_TINY: Final = 1e-12
_SQUARES: Final = 2**-0.5  # their spread is that of the normal scores


class Countermeasure(nn.Module):
    """Statistics [B, D] -> scores [B], higher = bona fide. attacks: [A] names of the classes.

    knots: [D, KNOTS] quantiles of each statistic; directions: [2 D, A] and offsets: [A] of the
    ratios; softness: of the minimum, 0 < softness.
    """

    knots: Tensor
    directions: Tensor
    offsets: Tensor

    def __init__(self, dimension: int, attacks: Sequence[str], softness: float) -> None:
        super().__init__()
        self.attacks, self.softness = tuple(attacks), softness
        self.register_buffer("knots", torch.zeros(dimension, KNOTS))
        self.register_buffer("directions", torch.zeros(2 * dimension, len(self.attacks)))
        self.register_buffer("offsets", torch.zeros(len(self.attacks)))

    def forward(self, statistics: Tensor) -> Tensor:
        """[B, A] ratios of people to each attack, at unit spread."""
        return self.normal(statistics) @ self.directions + self.offsets

    def scores(self, statistics: Tensor) -> Tensor:
        """See the class."""
        return -self.softness * torch.logsumexp(-self(statistics) / self.softness, dim=1)

    def normal(self, statistics: Tensor) -> Tensor:
        """[B, 2 D] normal scores and squares; what was not measured (NaN) is 0 in both."""
        missing = statistics.isnan()
        values = statistics.masked_fill(missing, 0.0).T.contiguous()  # [D, B]
        above = torch.searchsorted(self.knots, values).clamp(1, KNOTS - 1)
        low, high = self.knots.gather(1, above - 1), self.knots.gather(1, above)
        between = ((values - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)
        rank = (above - 1 + between) / (KNOTS - 1)
        score = torch.special.ndtri(rank.clamp(_TAIL, 1 - _TAIL)).T
        both = torch.cat([score, _SQUARES * (score.square() - 1)], dim=1)
        return both.masked_fill(missing.repeat(1, 2), 0.0)


def quantiles(statistics: Tensor) -> Tensor:
    """[D, KNOTS] of [N, D], N > 1; rows with NaN are left out of the columns that have any."""
    ranks = torch.linspace(0, 1, KNOTS, dtype=statistics.dtype)
    return torch.nanquantile(statistics, ranks, dim=0).T.contiguous()


def fit(
    statistics: Tensor,
    labels: Sequence[str],
    weights: Tensor,
    shrinkage: float,
    softness: float,
    lean: float,
) -> Countermeasure:
    """Statistics [N, D] of clips, their attacks ("": people) and weights [N] > 0 -> detector.

    Its classes are the attacks by name, and `ANY`.

    shrinkage: of C, in units of its mean variance. lean: 0 to 1, see the module.
    """
    attacks = sorted(set(labels) - {""})
    net = Countermeasure(statistics.shape[1], [*attacks, ANY], softness)
    # Drawn by chance: clips of a set follow each other in a cycle of people and attacks.
    drawn = torch.randperm(len(statistics), generator=torch.Generator().manual_seed(0))
    net.knots.copy_(quantiles(statistics[drawn[:_MOST_RANKED]]))
    spread = net.normal(statistics)
    codes = torch.tensor([attacks.index(label) + 1 if label else 0 for label in labels])
    members = torch.nn.functional.one_hot(codes).to(spread.dtype) * weights[:, None].to(spread)
    means = (members / members.sum(0)).T @ spread  # [1 + A, 2 D]
    centre, shares = means[:1], members.sum(0)[1:]
    spread -= means[codes]
    spread *= (weights / weights.sum()).sqrt()[:, None].to(spread)
    covariance = spread.T @ spread
    covariance.diagonal().add_(shrinkage * covariance.diagonal().mean())
    common = (shares / shares.sum()) @ means[1:]
    apart = (torch.cat([means[1:], common[None]]) - centre).double()  # [A, 2 D]
    solved = torch.linalg.solve(covariance.double(), apart.T)  # [2 D, A]
    distance = (apart * solved.T).sum(1).clamp_min(_TINY)  # squared, of Mahalanobis
    middle = (centre.double() + apart / 2) @ solved
    net.directions.copy_(-solved / distance.sqrt())
    net.offsets.copy_(middle.diagonal() / distance.sqrt() - lean * distance.sqrt() / 2)
    return net.eval()
