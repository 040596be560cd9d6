"""The depth transformer: the codebooks of one frame, one after the other.

    position k sees    the temporal transformer's word on the frame, the frame's text token,
                       the codes of the last three frames, and those of codebooks 0..k-1
    and predicts       the code of codebook k

It is causal over the eight positions of a frame (the RQ transformer of Lee et al., 2022, as used by
Moshi, 2024). Each codebook has one table [codes, 64]
that serves as its embedding and, through a projection, as its output: eight full matrices would
weigh more than all the rest.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sts_core.lm.config import LMConfig
from sts_core.lm.transformer import Transformer, TransformerState


class CodeTables(nn.Module):
    """One table of code vectors for each codebook, [K, codes, code_dim]."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        shape = (config.codebooks, config.codebook_size, config.code_dim)
        self.tables = nn.Parameter(torch.randn(shape))

    @torch.no_grad()
    def start_from(self, vectors: list[Tensor]) -> None:
        """Begin with the codec's own code vectors [codes, D], at unit variance, D <= code_dim.

        Codes that sound alike then look alike from the first step on.
        """
        for table, own in zip(self.tables, vectors, strict=True):
            centred = own - own.mean(dim=0)
            width = own.shape[1]
            spread = torch.randn(width, table.shape[1]) / width**0.5
            mixed = centred if width == table.shape[1] else centred @ spread
            table.copy_(mixed / mixed.std())

    def embed(self, codes: Tensor) -> Tensor:
        """Codes int64 [..., K'] of the first K' codebooks -> vectors [..., K', code_dim]."""
        book = torch.arange(codes.shape[-1], device=codes.device)
        return self.tables[book, codes]


class DepthTransformer(nn.Module):
    """See the module."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        dim, self.codebooks = config.depth_dim, config.codebooks
        self.from_frame = nn.Linear(config.dim, dim, bias=False)
        width = config.depth_context_frames * config.codebooks * config.code_dim
        self.from_previous = nn.Linear(width, dim, bias=False)
        self.from_text = nn.Embedding(config.text_vocabulary, dim)
        self.from_code = nn.Linear(config.code_dim, dim, bias=False)
        self.place = nn.Parameter(torch.randn(config.codebooks, dim) * 0.02)
        nn.init.normal_(self.from_text.weight, std=0.02)
        self.body = Transformer(dim, config.depth_layers, config.depth_heads, config.codebooks)
        self.to_code = nn.Parameter(torch.randn(config.codebooks, dim, config.code_dim) * 0.01)
        self.bias = nn.Parameter(torch.zeros(config.codebooks, config.codebook_size))

    def condition(self, frame: Tensor, previous: Tensor, tables: CodeTables) -> Tensor:
        """What every position of N frames sees, [N, D].

        Args:
            frame: [N, dim] of the temporal transformer.
            previous: int64 [N, C, K], the codes of the last C frames, the latest last.
        """
        return self.from_frame(frame) + self.from_previous(tables.embed(previous).flatten(1))

    def forward(self, seen: Tensor, text: Tensor, codes: Tensor, tables: CodeTables) -> Tensor:
        """Logits [N, K, codes] of all codebooks of N frames, each seeing the true ones before it.

        Args:
            seen: [N, D] of `condition`.
            text: int64 [N], the frames' text tokens.
            codes: int64 [N, K], the frames' true codes.
        """
        before = self.from_code(tables.embed(codes[:, :-1]))  # [N, K - 1, D]
        x = torch.cat([self.from_text(text)[:, None], before], dim=1) + self.place
        y = self.body(x + seen[:, None])  # [N, K, D]
        vectors = torch.einsum("nkd,kdc->knc", y, self.to_code.to(y.dtype))
        logits = torch.bmm(vectors, tables.tables.to(y.dtype).transpose(1, 2)).transpose(0, 1)
        return logits + self.bias

    def step(
        self,
        k: int,
        seen: Tensor,
        previous: Tensor,
        state: TransformerState,
        tables: CodeTables,
    ) -> tuple[Tensor, TransformerState]:
        """Logits [N, codes] of codebook k; `previous` int64 [N]: code k - 1, or the text token."""
        if k == 0:
            x = self.from_text(previous)
        else:
            x = self.from_code(tables.tables[k - 1, previous])
        y, state = self.body.step((x + self.place[k] + seen)[:, None], state)
        return y[:, 0] @ self.to_code[k] @ tables.tables[k].t() + self.bias[k], state
