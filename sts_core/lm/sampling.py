"""How tokens are drawn: temperature and top-k for each stream, seeded for each conversation.

    temperature 0: the likeliest token (ties: the lowest id), which uses no random number
    else:          one of the `top_k` likeliest, with probability softmax(logits / temperature)

Without temperature, text is decided in two steps: first whether a word begins (all words together
against PAD), then which. The likeliest single token would be PAD for as long as the words share
their probability among them, and an agent in doubt would never begin.

With `reluctance` an agent that would begin to answer somebody soft begins only when it is surer:
PAD gains so many nats then, whatever the temperature (log 2: it takes 67 % where a word within a
reply takes 50). Who that is says the session (`sts_core.session`).

Each conversation has a generator of its own, so that its tokens depend on its seed alone and not
on the batch it runs in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sts_core.lm.text import PAD


@dataclass(frozen=True)
class SamplingConfig:
    """Temperatures, numbers of tokens that may be drawn, and the reluctance, in nats."""

    text_temperature: float = 0.0
    text_top_k: int = 25
    semantic_temperature: float = 0.0
    acoustic_temperature: float = 0.0
    code_top_k: int = 100
    reluctance: float = math.log(2)

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"{name} must be finite and not negative, got {value}")
        if min(self.text_top_k, self.code_top_k) < 1:
            raise ValueError("top-k must be at least 1")


def draw(
    logits: Tensor, temperature: float, top_k: int, generators: Sequence[torch.Generator]
) -> Tensor:
    """One token id for each row of logits [B, V] -> int64 [B]; see the module."""
    if temperature == 0.0:
        return logits.argmax(dim=-1)
    values, ids = logits.float().topk(min(top_k, logits.shape[-1]), dim=-1)
    shares = torch.softmax(values / temperature, dim=-1)
    picks = [
        torch.multinomial(row, 1, generator=generator)
        for row, generator in zip(shares, generators, strict=True)
    ]
    return ids.gather(1, torch.stack(picks))[:, 0]


class Sampler:
    """The samplers of a batch of conversations."""

    def __init__(self, config: SamplingConfig, seeds: Sequence[int]) -> None:
        self.config = config
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def text(self, logits: Tensor, reluctant: Tensor) -> Tensor:
        """Text tokens int64 [B] from logits [B, V]; reluctant: bool [B]."""
        c = self.config
        logits = logits.float().clone()
        logits[:, PAD] += c.reluctance * reluctant
        if c.text_temperature == 0.0:
            silent = torch.softmax(logits, dim=-1)[:, PAD] >= 0.5
            spoken = logits.index_fill(1, logits.new_tensor([PAD], dtype=torch.long), -torch.inf)
            return torch.where(silent, PAD, spoken.argmax(dim=-1))
        return draw(logits, c.text_temperature, c.text_top_k, self._generators)

    def code(self, logits: Tensor, codebook: int) -> Tensor:
        """Codes int64 [B] of one codebook from logits [B, V]."""
        c = self.config
        temperature = c.acoustic_temperature if codebook else c.semantic_temperature
        return draw(logits, temperature, c.code_top_k, self._generators)
