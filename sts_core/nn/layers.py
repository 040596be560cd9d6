"""Causal layers over [B, N, C]: depthwise convolution, ConvNeXt block, change of rate.

The block is that of Liu et al., "A ConvNet for the 2020s" (2022), made causal:

    y = x + scale * W2 gelu(W1 norm(depthwise(x)))

Channels come last, so that every dense layer is one matrix product, also for a single frame.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sts_core.streaming import StreamingLayer
from sts_core.units import exact_div

FEW = 8  # positions of one 80 ms frame at 100 Hz


class DepthwiseConv(StreamingLayer[Tensor]):
    """Causal depthwise convolution; state: the last `kernel - 1` inputs [B, kernel - 1, C]."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.dim, self.kernel = dim, kernel
        self.weight = nn.Parameter(torch.randn(kernel, dim) / kernel**0.5)  # [K, C]
        self.bias = nn.Parameter(torch.zeros(dim))

    def initial_state(self, batch: int) -> Tensor:
        return self.weight.new_zeros(batch, self.kernel - 1, self.dim)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        past_and_x = torch.cat([state.to(x.dtype), x], dim=1)  # [B, K - 1 + N, C]
        if x.shape[1] <= FEW:  # a weighted sum is far cheaper than a convolution call
            windows = past_and_x.unfold(1, self.kernel, 1)  # [B, N, C, K]
            y = (windows * self.weight.t()).sum(dim=-1) + self.bias
        else:
            channels_first = past_and_x.transpose(1, 2)  # [B, C, K - 1 + N]
            kernel = self.weight.t()[:, None]  # [C, 1, K]
            y = F.conv1d(channels_first, kernel, self.bias, groups=self.dim).transpose(1, 2)
        return y, past_and_x[:, x.shape[1] :]


class ConvNeXtBlock(StreamingLayer[Tensor]):
    """One causal ConvNeXt block; the residual branch starts small (`scale`, 0.1)."""

    def __init__(self, dim: int, kernel: int = 7, expansion: int = 3) -> None:
        super().__init__()
        self.conv = DepthwiseConv(dim, kernel)
        self.norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, expansion * dim)
        self.narrow = nn.Linear(expansion * dim, dim)
        self.scale = nn.Parameter(torch.full((dim,), 0.1))

    def initial_state(self, batch: int) -> Tensor:
        return self.conv.initial_state(batch)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        y, state = self.conv.step(x, state)
        y = self.narrow(F.gelu(self.widen(self.norm(y)), approximate="tanh"))
        return torch.addcmul(x, self.scale, y.to(x.dtype)), state


class Merge(StreamingLayer[tuple[()]]):
    """Lowers the rate: each `factor` neighbours become one vector. [B, N f, C] -> [B, N, C']."""

    def __init__(self, dim_in: int, dim_out: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.linear = nn.Linear(factor * dim_in, dim_out)

    def initial_state(self, batch: int) -> tuple[()]:
        return ()

    def step(self, x: Tensor, state: tuple[()]) -> tuple[Tensor, tuple[()]]:
        batch, length, _ = x.shape
        return self.linear(x.reshape(batch, exact_div(length, self.factor), -1)), ()


class Split(StreamingLayer[tuple[()]]):
    """Raises the rate: each vector becomes `factor` neighbours. [B, N, C] -> [B, N f, C']."""

    def __init__(self, dim_in: int, dim_out: int, factor: int) -> None:
        super().__init__()
        self.factor, self.dim_out = factor, dim_out
        self.linear = nn.Linear(dim_in, factor * dim_out)

    def initial_state(self, batch: int) -> tuple[()]:
        return ()

    def step(self, x: Tensor, state: tuple[()]) -> tuple[Tensor, tuple[()]]:
        batch, length, _ = x.shape
        return self.linear(x).reshape(batch, length * self.factor, self.dim_out), ()


class Pointwise(StreamingLayer[tuple[()]]):
    """Any layer that treats each position alone (a norm, a linear layer) as a streaming layer."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def initial_state(self, batch: int) -> tuple[()]:
        return ()

    def step(self, x: Tensor, state: tuple[()]) -> tuple[Tensor, tuple[()]]:
        return self.module(x), ()


def blocks(dim: int, count: int, kernel: int, expansion: int) -> list[StreamingLayer[Tensor]]:
    """`count` equal ConvNeXt blocks."""
    return [ConvNeXtBlock(dim, kernel, expansion) for _ in range(count)]
