"""A causal transformer over [B, N, C] whose memory is bounded.

    x = x + attend(norm(x))          x = x + down(silu(gate(norm(x))) * up(norm(x)))

Rotary positions (Su et al., "RoFormer", 2021), RMS norm (Zhang and Sennrich, 2019), gated MLP
(Shazeer, "GLU variants improve transformer", 2020). Attention looks back `window` positions at
most, the present one included; the state holds the keys and values of the last `window - 1`
positions, so a session can run for hours in constant memory. Positions are rotated before they
are kept, and only differences of positions matter.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sts_core.streaming import StreamingLayer
from sts_core.units import exact_div

ROPE_BASE = 10_000.0


class RMSNorm(nn.Module):
    """x / rms(x) * weight, over the last dimension, in float32."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.weight.shape, self.weight, 1e-6)


class Memory(NamedTuple):
    """Keys and values of the recent past of one layer, each [B, H, M, D], M < window."""

    keys: Tensor
    values: Tensor


class TransformerState(NamedTuple):
    """Memories of all layers and the position of the next frame of each row, int64 [B]."""

    position: Tensor
    layers: tuple[Memory, ...]


def rotation(position: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """cos and sin [B, 1, N, dim / 2] of positions int64 [B, N]; in float64, for long sessions."""
    steps = torch.arange(0, dim, 2, dtype=torch.float64, device=position.device) / dim
    angle = position[:, None, :, None].double() * ROPE_BASE**-steps
    return angle.cos().float(), angle.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the halves of x [B, H, N, D] by their positions."""
    a, b = x.float().chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).to(x.dtype)


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, causal: bool) -> Tensor:
    if q.device.type != "cpu" or q.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal)
    # On a CPU the bfloat16 kernel, its gradient above all, takes twice the time of the float32 one.
    with torch.autocast("cpu", enabled=False):
        y = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), mask, is_causal=causal)
    return y.to(v.dtype)


class Attention(nn.Module):
    """Causal attention of `window` positions with explicit memory."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window, self.head_dim = heads, window, exact_div(dim, heads)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def memory(self, batch: int) -> Memory:
        """Nothing remembered yet."""
        empty = self.out.weight.new_zeros(batch, self.heads, 0, self.head_dim)
        return Memory(empty, empty)

    def step(self, x: Tensor, cos: Tensor, sin: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Attend from x [B, N, C] to the memory and to x itself."""
        batch, length, _ = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if memory.keys.shape[2]:
            k = torch.cat([memory.keys.to(k.dtype), k], dim=2)
            v = torch.cat([memory.values.to(v.dtype), v], dim=2)
        past = k.shape[2] - length
        mask = None
        if length > 1 and (past or length > self.window):
            ahead = torch.arange(k.shape[2], device=x.device) - past
            lag = torch.arange(length, device=x.device)[:, None] - ahead  # [N, M + N]
            mask = (lag >= 0) & (lag < self.window)
        y = _attend(q, k, v, mask, causal=mask is None and length > 1)
        keep = max(k.shape[2] - (self.window - 1), 0)
        y = self.out(y.transpose(1, 2).reshape(batch, length, -1))
        return y, Memory(k[:, :, keep:], v[:, :, keep:])


class Block(nn.Module):
    """Attention and gated MLP, each on a normalised input, added to it."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        hidden = 8 * -(-dim // 3)  # 8/3 of the width: as many weights as a plain MLP of four times
        self.norm_attention, self.norm_mlp = RMSNorm(dim), RMSNorm(dim)
        self.attention = Attention(dim, heads, window)
        self.up = nn.Linear(dim, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, dim, bias=False)

    def step(self, x: Tensor, cos: Tensor, sin: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """The block's output for the next positions, and its memory after them."""
        y, memory = self.attention.step(self.norm_attention(x), cos, sin, memory)
        x = x + y
        gate, up = self.up(self.norm_mlp(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up), memory


class Transformer(StreamingLayer[TransformerState]):
    """A stack of blocks; `tap` asks for the output of a lower layer as well."""

    def __init__(self, dim: int, layers: int, heads: int, window: int) -> None:
        super().__init__()
        self.head_dim = exact_div(dim, heads)
        self.window = window
        self.blocks = nn.ModuleList(Block(dim, heads, window) for _ in range(layers))
        self.norm = RMSNorm(dim)
        for block in self._stack:  # residual branches start small: GPT-2's rule
            for linear in (block.attention.out, block.down):
                nn.init.normal_(linear.weight, std=0.02 / (2 * layers) ** 0.5)

    @property
    def _stack(self) -> list[Block]:
        return cast(list[Block], list(self.blocks))

    def initial_state(self, batch: int) -> TransformerState:
        position = torch.zeros(batch, dtype=torch.int64, device=self.norm.weight.device)
        return TransformerState(position, tuple(b.attention.memory(batch) for b in self._stack))

    def step(self, x: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState]:
        y, _, state = self.step_with_tap(x, state, len(self.blocks))
        return y, state

    def step_with_tap(
        self, x: Tensor, state: TransformerState, tap: int
    ) -> tuple[Tensor, Tensor, TransformerState]:
        """As `step`; also what the first `tap` layers made of x, [B, N, C]."""
        positions = state.position[:, None] + torch.arange(x.shape[1], device=x.device)
        cos, sin = rotation(positions, self.head_dim)
        tapped, memories = x, []
        for number, (block, memory) in enumerate(zip(self._stack, state.layers, strict=True), 1):
            x, memory = block.step(x, cos, sin, memory)
            memories.append(memory)
            if number == tap:
                tapped = x
        after = TransformerState(state.position + x.shape[1], tuple(memories))
        return self.norm(x), tapped, after
