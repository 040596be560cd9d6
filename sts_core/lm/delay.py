"""Acoustic delay: codebooks 1.. lie `delay` frames after codebook 0, and back again.

    delayed[t, 0] = codes[t, 0]        delayed[t, k] = codes[t - delay, k]     (k > 0)

The model may then know a frame's semantic code before it must choose the acoustic ones (Copet et
al., "Simple and controllable music generation", 2023). Each frame of delay costs 80 ms.
"""

from __future__ import annotations

import torch
from torch import Tensor


def delayed(codes: Tensor, delay: int, fill: Tensor) -> Tensor:
    """Codes [..., T, K] -> [..., T + delay, K]; what lies outside is `fill` [K]."""
    if delay == 0:
        return codes
    pad = fill.expand(*codes.shape[:-2], delay, codes.shape[-1])
    first = torch.cat([codes[..., :1], pad[..., :1]], dim=-2)
    rest = torch.cat([pad[..., 1:], codes[..., 1:]], dim=-2)
    return torch.cat([first, rest], dim=-1)


def undelayed(codes: Tensor, delay: int) -> Tensor:
    """The inverse of `delayed`: [..., T + delay, K] -> [..., T, K].

    Raises:
        ValueError: fewer frames than the delay.
    """
    length = codes.shape[-2] - delay
    if length < 0:
        raise ValueError(f"{codes.shape[-2]} frames are fewer than the delay of {delay}")
    if delay == 0:
        return codes
    return torch.cat([codes[..., :length, :1], codes[..., delay:, 1:]], dim=-1)
