"""The depth transformer: the codebooks of one frame, one after the other.

    position 0    frame's text token          -> code of codebook 0 (semantic)
    position 1    that code                   -> code of codebook 1 (pitch contour)
    position 2    that code                   -> the acoustic latent, which the residual codebooks
                                                 2..7 then quantise, each what is left over

Every position also sees the temporal transformer's word on the frame and the codes of the last
three frames. It is causal over its positions, as the RQ transformer (Lee et al., 2022) of Moshi.

Moshi's names the residual codes one by one as well. Here that failed: an hour of the agent's speech
shows each of 6 x 2048 codes a few times, so that after 2,600 steps the code of codebook 2 was right
in 8 frames of 100 (the semantic one: in 64), and half of the words were lost with it. The latent is
one regression for all of them, in which near misses count as near; distances are those that are
heard (`sts_core.codec.hearing`). The codes' probabilities follow from it: with the latent x, its
error's spread s, and what is left over, r_k = x - e_2 - .. - e_(k-1),

    p(code c of codebook k) ~ exp(-|r_k - e_kc|^2 / 2 s^2)

so that they can be drawn at a temperature; at temperature 0 the nearest is taken.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sts_core.lm.config import LMConfig
from sts_core.lm.transformer import Transformer, TransformerState

NAMED = 2  # codebooks whose codes are named: semantic and pitch


class CodeTables(nn.Module):
    """What stands behind the codes: learnt tables of the named ones, the codec's of the others."""

    acoustic: Tensor  # [K - 2, codes, latent_dim], in distances that are heard

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.tables = nn.Parameter(torch.randn(NAMED, config.codebook_size, config.code_dim))
        levels = config.codebooks - NAMED
        self.register_buffer(
            "acoustic", torch.randn(levels, config.codebook_size, config.latent_dim)
        )

    @torch.no_grad()
    def start_from(self, vectors: list[Tensor], heard: Tensor) -> None:
        """Begin with the codec's own code vectors [codes, D], one tensor for each codebook.

        Codes that sound alike then look alike from the first step on. The named ones are brought to
        unit variance, D <= code_dim; the acoustic ones, D = latent_dim, stay as they are told by
        `heard` [D, D] (`sts_core.codec.hearing`).
        """
        for table, own in zip(self.tables, vectors[:NAMED], strict=True):
            centred = own - own.mean(dim=0)
            width = own.shape[1]
            spread = torch.randn(width, table.shape[1]) / width**0.5
            mixed = centred if width == table.shape[1] else centred @ spread
            table.copy_(mixed / mixed.std())
        self.acoustic.copy_(torch.stack(vectors[NAMED:]) @ heard)

    def latent(self, codes: Tensor) -> Tensor:
        """The acoustic latent of codes int64 [..., K] -> [..., latent_dim]."""
        level = torch.arange(len(self.acoustic), device=codes.device)
        return self.acoustic[level, codes[..., NAMED:]].sum(dim=-2)

    def embed(self, codes: Tensor) -> Tensor:
        """Codes int64 [..., K] -> [..., 2 * code_dim + latent_dim]."""
        book = torch.arange(NAMED, device=codes.device)
        named = self.tables[book, codes[..., :NAMED]].flatten(-2)
        return torch.cat([named, self.latent(codes)], dim=-1)


class Predicted(NamedTuple):
    """What is predicted for N frames."""

    logits: Tensor  # [N, 2, codes], of the named codebooks
    latent: Tensor  # [N, latent_dim]


class DepthTransformer(nn.Module):
    """See the module."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        dim, positions = config.depth_dim, NAMED + 1
        self.from_frame = nn.Linear(config.dim, dim, bias=False)
        width = config.depth_context_frames * (NAMED * config.code_dim + config.latent_dim)
        self.from_previous = nn.Linear(width, dim, bias=False)
        self.from_text = nn.Embedding(config.text_vocabulary, dim)
        self.from_code = nn.Linear(config.code_dim, dim, bias=False)
        self.place = nn.Parameter(torch.randn(positions, dim) * 0.02)
        nn.init.normal_(self.from_text.weight, std=0.02)
        self.body = Transformer(dim, config.depth_layers, config.depth_heads, positions)
        self.to_code = nn.Parameter(torch.randn(NAMED, dim, config.code_dim) * 0.01)
        self.bias = nn.Parameter(torch.zeros(NAMED, config.codebook_size))
        self.to_latent = nn.Linear(dim, config.latent_dim)
        self.log_spread = nn.Parameter(torch.zeros(()))

    def condition(self, frame: Tensor, previous: Tensor, tables: CodeTables) -> Tensor:
        """What every position of N frames sees, [N, D].

        Args:
            frame: [N, dim] of the temporal transformer.
            previous: int64 [N, C, K], the codes of the last C frames, the latest last.
        """
        return self.from_frame(frame) + self.from_previous(tables.embed(previous).flatten(1))

    def forward(self, seen: Tensor, text: Tensor, codes: Tensor, tables: CodeTables) -> Predicted:
        """All of N frames at once, each position seeing the true codes before it.

        Args:
            seen: [N, D] of `condition`.
            text: int64 [N], the frames' text tokens.
            codes: int64 [N, K], the frames' true codes.
        """
        book = torch.arange(NAMED, device=codes.device)
        before = self.from_code(tables.tables[book, codes[:, :NAMED]])  # [N, 2, D]
        x = torch.cat([self.from_text(text)[:, None], before], dim=1) + self.place
        y = self.body(x + seen[:, None])  # [N, 3, D]
        vectors = torch.einsum("nkd,kdc->knc", y[:, :NAMED], self.to_code.to(y.dtype))
        logits = torch.bmm(vectors, tables.tables.to(y.dtype).transpose(1, 2)).transpose(0, 1)
        return Predicted(logits + self.bias, self.to_latent(y[:, NAMED]))

    def step(
        self,
        k: int,
        seen: Tensor,
        previous: Tensor,
        state: TransformerState,
        tables: CodeTables,
    ) -> tuple[Tensor, TransformerState]:
        """Logits [N, codes] of codebook k < 2, or for k = 2 the acoustic latent [N, latent_dim].

        previous: int64 [N], code k - 1, or the text token.
        """
        if k == 0:
            x = self.from_text(previous)
        else:
            x = self.from_code(tables.tables[k - 1, previous])
        y, state = self.body.step((x + self.place[k] + seen)[:, None], state)
        if k == NAMED:
            return self.to_latent(y[:, 0]), state
        return y[:, 0] @ self.to_code[k] @ tables.tables[k].t() + self.bias[k], state

    def residual_logits(self, left: Tensor, table: Tensor) -> Tensor:
        """Logits [N, codes] of a residual codebook [codes, latent_dim]; left over: [N, same]."""
        near = left @ table.t() - 0.5 * table.square().sum(dim=1)
        return near * torch.exp(-2 * self.log_spread)
