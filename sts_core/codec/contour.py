"""Codebook 1: the pitch contour of a frame, as one of `size` contours of eight hops.

Pitch is given to the decoder outright, not through the latents: harmonics at the wrong frequency
cost more than anything else, and a network that learns pitch and spectra together learns pitch
last.

Entries are contours in octaves above `PITCH_GRID_HZ[0]`, found by k-means on voiced frames of the
training speech. The encoder's estimator gives log-probabilities of 128 pitches for each hop, and
the code is the contour that is most probable as a whole, voiced hops counting more:

    code = argmax_k  sum_h w_h log(p_h(entry_k[h]) + 0.001),   w_h = probability of voicing, >= 0.02

(The logarithm is interpolated between two points of the grid.) The floor bounds what one hop can
say, so that one wrong hop cannot pull a frame an octave up.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sts_core.codec.features import FINE_LAGS, PITCH_GRID_HZ
from sts_core.nn.quantise import kmeans
from sts_core.units import HOPS_PER_FRAME

LOWEST_HZ = PITCH_GRID_HZ[0]
TOP_OCTAVE = math.log2(PITCH_GRID_HZ[1] / PITCH_GRID_HZ[0])
NEUTRAL_OCTAVE = math.log2(150.0 / LOWEST_HZ)  # spoken where the pitch code is missing
LEAST_WEIGHT = 0.02
LEAST_P = 1e-3
FRAMES_AT_ONCE = 256  # bounds the memory of long recordings


class ContourCodebook(nn.Module):
    """`size` pitch contours."""

    entries: Tensor  # [size, 8], octaves
    left: Tensor  # int64 [size, 8], where an entry's hops lie in the flat [8 x 128] grid
    right: Tensor  # int64 [size, 8], the next point of the grid
    share: Tensor  # [size, 8], and how far towards the next point of the grid

    def __init__(self, size: int) -> None:
        super().__init__()
        start = torch.linspace(0.0, TOP_OCTAVE, size)[:, None].expand(size, HOPS_PER_FRAME)
        self.register_buffer("entries", start.clone())
        for name in ("left", "right"):
            self.register_buffer(name, torch.zeros_like(start, dtype=torch.long), persistent=False)
        self.register_buffer("share", torch.zeros_like(self.entries), persistent=False)
        self.register_load_state_dict_post_hook(lambda module, _: module.refresh())
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Bring what is derived from the entries up to date."""
        position = self.entries * ((FINE_LAGS - 1) / TOP_OCTAVE)
        left = position.floor().clamp(0, FINE_LAGS - 2)
        hops = torch.arange(HOPS_PER_FRAME, device=left.device)
        self.left = left.long() + FINE_LAGS * hops
        self.right = self.left + 1
        self.share = position - left

    def encode(self, logits: Tensor) -> Tensor:
        """Codes int64 [B, T] of the estimator's logits [B, T 8, 129]."""
        weight = torch.sigmoid(logits[..., -1:]).clamp(min=LEAST_WEIGHT)
        p = torch.softmax(logits[..., :-1], dim=-1)  # [B, T 8, 128]
        log_p = weight * torch.log(p + LEAST_P)
        frames = log_p.unflatten(1, (-1, HOPS_PER_FRAME)).flatten(2)  # [B, T, 8 x 128]
        codes = []
        for part in frames.split(FRAMES_AT_ONCE, dim=1):
            at_left, at_right = part[..., self.left], part[..., self.right]  # [B, t, size, 8]
            score = torch.lerp(at_left, at_right, self.share).sum(dim=-1)
            codes.append(score.argmax(dim=-1))
        return torch.cat(codes, dim=1)

    def nearest(self, octaves: Tensor, weight: Tensor) -> Tensor:
        """Codes int64 [B, T] of known contours [B, T, 8]; each hop counts by its weight."""
        cross = 2.0 * (weight * octaves) @ self.entries.t()
        return (cross - weight @ self.entries.square().t()).argmax(dim=-1)

    def decode(self, codes: Tensor) -> Tensor:
        """Contours [B, T, 8] in octaves of codes [B, T]."""
        return self.entries[codes]

    @torch.no_grad()
    def initialise(self, octaves: Tensor, voiced: Tensor, iterations: int = 12) -> None:
        """Set the entries by k-means on the frames [M, 8] that are voiced for six hops or more."""
        frames = octaves[voiced.sum(dim=-1) >= 6]
        self.entries.copy_(kmeans(frames, len(self.entries), iterations))
        self.refresh()


def to_octaves(hz: Tensor) -> Tensor:
    """Pitch of hops [B, T 8] in Hz -> contours [B, T, 8] in octaves, within the grid."""
    octaves = torch.log2(hz / LOWEST_HZ).clamp(0.0, TOP_OCTAVE)
    return octaves.unflatten(1, (-1, HOPS_PER_FRAME))


def to_hz(octaves: Tensor) -> Tensor:
    """Contours [B, T, 8] -> pitch of hops float64 [B, T 8] in Hz."""
    return LOWEST_HZ * torch.exp2(octaves.double()).flatten(1)
