"""Vector quantisation: one codebook learnt by moving averages, and a residual stack of them.

Codebook (van den Oord et al., "Neural discrete representation learning", 2017, appendix A.1): a
latent x takes the nearest entry e_k; entries follow the means of what they are given,

    n_k <- d n_k + (1 - d) |X_k|        s_k <- d s_k + (1 - d) sum(X_k)        e_k = s_k / n_k

and no gradient reaches them. The latent gets its gradient straight through, and a commitment loss
|x - e_k|^2 draws it to its entry. Two measures against collapse: entries start from k-means on real
latents, and an entry whose share falls below `revive_below` is put on a random latent of the batch.

Residual stack (Zeghidour et al., "SoundStream", 2021): codebook i quantises what i - 1 left over;
in training each row uses a random number of levels, so that every prefix decodes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Quantised(NamedTuple):
    """The result of quantising latents [B, T, D]."""

    latent: Tensor  # [B, T, D], gradient straight through
    codes: Tensor  # int64 [B, T, K]
    commitment: Tensor  # scalar: mean squared distance to the entries


class Codebook(nn.Module):
    """`size` entries of `dim` numbers. Buffers, not parameters: optimisers must not touch them."""

    entries: Tensor  # [N, D]
    count: Tensor  # [N]
    total: Tensor  # [N, D]
    half_norm: Tensor  # [N], half the squared length of each entry

    def __init__(self, size: int, dim: int, decay: float, revive_below: float) -> None:
        super().__init__()
        self.size, self.decay, self.revive_below = size, decay, revive_below
        self.register_buffer("entries", torch.randn(size, dim))
        self.register_buffer("count", torch.ones(size), persistent=False)
        self.register_buffer("total", self.entries.clone(), persistent=False)
        self.register_buffer("half_norm", torch.zeros(size), persistent=False)
        self.register_load_state_dict_post_hook(lambda module, _: module.refresh())
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Bring what is derived from the entries up to date."""
        self.half_norm.copy_(0.5 * self.entries.square().sum(dim=1))

    def encode(self, x: Tensor) -> Tensor:
        """Index of the nearest entry: [..., D] -> int64 [...]."""
        # |x - e|^2 / 2 without |x|^2 / 2, which is the same for all entries
        score = torch.addmm(self.half_norm, x.reshape(-1, x.shape[-1]), self.entries.t(), beta=-1)
        return score.argmax(dim=-1).reshape(x.shape[:-1])

    def decode(self, codes: Tensor) -> Tensor:
        """Entries of indices: int64 [...] -> [..., D]."""
        return self.entries[codes]

    @torch.no_grad()
    def set_entries(self, entries: Tensor, count: float) -> None:
        """Start from given entries [N, D], each as if it had been used `count` times a batch."""
        self.entries.copy_(entries)
        self.count.fill_(count)
        self.total.copy_(entries * count)
        self.refresh()

    @torch.no_grad()
    def learn(self, x: Tensor, codes: Tensor) -> None:
        """One moving-average update from latents [M, D] and their indices [M]."""
        batch_count = torch.zeros_like(self.count).index_add_(0, codes, torch.ones_like(x[:, 0]))
        batch_total = torch.zeros_like(self.total).index_add_(0, codes, x)
        self.count.lerp_(batch_count, 1 - self.decay)
        self.total.lerp_(batch_total, 1 - self.decay)
        share = self.count * (self.size / self.count.sum().clamp(min=1e-9))  # 1: an equal share
        dead = torch.nonzero(share < self.revive_below).flatten()
        if dead.numel():
            dead = dead[torch.randperm(dead.numel(), device=x.device)[: max(1, len(x) // 8)]]
            taken = x[torch.randint(len(x), (dead.numel(),), device=x.device)]
            fair = self.count.mean() * 0.5
            self.count[dead] = fair
            self.total[dead] = taken * fair
        self.entries.copy_(self.total / self.count.clamp(min=1e-7)[:, None])
        self.refresh()


class ResidualQuantiser(nn.Module):
    """`levels` codebooks, each on the residual of those before; one level is a plain quantiser."""

    def __init__(
        self, levels: int, size: int, dim: int, decay: float = 0.99, revive_below: float = 0.05
    ) -> None:
        super().__init__()
        self.dim = dim
        self.codebooks = nn.ModuleList(
            Codebook(size, dim, decay, revive_below) for _ in range(levels)
        )

    def _levels(self) -> list[Codebook]:
        return [level for level in self.codebooks if isinstance(level, Codebook)]

    def encode(self, x: Tensor) -> Tensor:
        """[B, T, D] -> int64 [B, T, K]."""
        residual, codes = x, []
        for codebook in self._levels():
            index = codebook.encode(residual)
            residual = residual - codebook.decode(index)
            codes.append(index)
        return torch.stack(codes, dim=-1)

    def decode(self, codes: Tensor) -> Tensor:
        """int64 [B, T, K'] -> [B, T, D], K' from 0 (zeros) to all levels."""
        latent = self._levels()[0].entries.new_zeros(*codes.shape[:2], self.dim)
        for codebook, index in zip(self._levels(), codes.unbind(dim=-1), strict=False):
            latent = latent + codebook.decode(index)
        return latent

    def forward(self, x: Tensor, levels: Tensor | None = None, learn: bool = True) -> Quantised:
        """Quantise for training.

        Args:
            x: latents [B, T, D], float32.
            levels: int [B], how many levels each row uses (None: all); codes are always complete.
            learn: update the codebooks.
        """
        residual = x.detach()
        latent = torch.zeros_like(residual)
        commitment = x.new_zeros(())
        codes = []
        for level, codebook in enumerate(self._levels()):
            index = codebook.encode(residual)
            entry = codebook.decode(index)
            if levels is None:
                used = residual.new_ones(len(x), 1, 1)
            else:
                used = (levels > level).to(x.dtype)[:, None, None]
            target = latent + entry
            commitment = commitment + (used * (x - target).square()).mean()
            if learn:
                codebook.learn(residual.reshape(-1, self.dim), index.flatten())
            latent = latent + used * entry
            residual = residual - entry
            codes.append(index)
        straight = x + (latent - x).detach()
        return Quantised(straight, torch.stack(codes, dim=-1), commitment / len(self.codebooks))

    @torch.no_grad()
    def initialise(self, x: Tensor, iterations: int = 10, per_batch: int = 400) -> None:
        """Set every level by k-means on latents [M, D]; M should exceed the codebook size."""
        residual = x
        for codebook in self._levels():
            entries = kmeans(residual, codebook.size, iterations)
            codebook.set_entries(entries, per_batch / len(entries))
            residual = residual - codebook.decode(codebook.encode(residual))


@torch.no_grad()
def kmeans(x: Tensor, size: int, iterations: int) -> Tensor:
    """Lloyd's k-means from random points: [M, D] -> [size, D]; empty clusters are re-seeded.

    Raises:
        ValueError: fewer points than clusters.
    """
    if len(x) < size:
        raise ValueError(f"k-means needs at least {size} points, got {len(x)}")
    centres = x[torch.randperm(len(x), device=x.device)[:size]].clone()
    for _ in range(iterations):
        half = 0.5 * centres.square().sum(dim=1)
        index = torch.cat([(part @ centres.t() - half).argmax(dim=1) for part in x.split(4096)])
        count = torch.zeros(size, device=x.device).index_add_(0, index, torch.ones_like(x[:, 0]))
        total = torch.zeros_like(centres).index_add_(0, index, x)
        empty = torch.nonzero(count == 0).flatten()
        centres = total / count.clamp(min=1)[:, None]
        centres[empty] = x[torch.randint(len(x), (empty.numel(),), device=x.device)]
    return centres
