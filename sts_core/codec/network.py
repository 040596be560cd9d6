"""The two halves of the reference codec: Encoder (audio -> latents), Decoder (latents -> audio).

    audio 24 kHz -> mel + lag features 100 Hz -> /2 -> blocks 50 Hz -> /4 -> semantic branch 12.5 Hz
                                                                    \\-> acoustic branch 12.5 Hz
    semantic + acoustic latents 12.5 Hz -> blocks -> x4 -> blocks 50 Hz -> x2 -> block 100 Hz
        -> filters of the synthesis;          concatenated latents -> pitch branch -> pitch, 100 Hz

Everything is causal; the newest sample that output frame t depends on is the last of input frame t.
The algorithmic latency is one frame, 80 ms.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sts_core.codec.config import CodecConfig
from sts_core.codec.features import FEATURES, Analysis
from sts_core.codec.synthesis import (
    LOWEST_LOG,
    NOISE_BANDS,
    PULSE_BANDS,
    Synthesis,
    SynthesisState,
)
from sts_core.nn.layers import Merge, Pointwise, Split, blocks
from sts_core.streaming import Chain, State, StreamingLayer
from sts_core.units import HOPS_PER_FRAME

LOWEST_HZ, HIGHEST_HZ = 55.0, 600.0


class Latents(NamedTuple):
    """What the encoder says about each frame: two vectors [B, T, D]."""

    semantic: Tensor
    acoustic: Tensor


class Controls(NamedTuple):
    """What drives the synthesis, one row a hop."""

    hz: Tensor  # [B, N], pitch
    pulse_bands: Tensor  # [B, N, 80], log magnitudes
    noise_bands: Tensor  # [B, N, 48]


class Encoder(nn.Module):
    """Audio [B, S, 1], S in whole frames -> Latents [B, S / 1920, D]."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        c = config
        self.analysis = Analysis()
        self.fast = Chain(
            Merge(FEATURES, c.fast_dim, 2),
            *blocks(c.fast_dim, c.fast_blocks, c.kernel, c.expansion),
        )
        self.semantic = _branch(c, c.semantic_dim, c.semantic_blocks)
        self.acoustic = _branch(c, c.acoustic_dim, c.acoustic_blocks)

    def initial_state(self, batch: int) -> tuple[State, ...]:
        parts = (self.analysis, self.fast, self.semantic, self.acoustic)
        return tuple(part.initial_state(batch) for part in parts)

    def step(self, audio: Tensor, state: tuple[State, ...]) -> tuple[Latents, tuple[State, ...]]:
        with torch.autocast(audio.device.type, enabled=False):
            features, analysis = self.analysis.step(audio.float(), state[0])
        fast, fast_state = self.fast.step(features, state[1])
        semantic, semantic_state = self.semantic.step(fast, state[2])
        acoustic, acoustic_state = self.acoustic.step(fast, state[3])
        latents = Latents(semantic.float(), acoustic.float())
        return latents, (analysis, fast_state, semantic_state, acoustic_state)

    def forward(self, audio: Tensor) -> Latents:
        return self.step(audio, self.initial_state(len(audio)))[0]


def _branch(c: CodecConfig, dim: int, count: int) -> Chain:
    return Chain(
        Merge(c.fast_dim, dim, 4),
        *blocks(dim, count, c.kernel, c.expansion),
        Pointwise(nn.LayerNorm(dim)),
        Pointwise(nn.Linear(dim, c.latent_dim)),
    )


class DecoderState(NamedTuple):
    """State of all parts of the decoder."""

    body: State
    pitch: State
    synthesis: SynthesisState


class Decoder(nn.Module):
    """Latents -> Controls -> audio."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        c = config
        self.semantic_in = nn.Linear(c.latent_dim, c.decoder_dim)
        self.acoustic_in = nn.Linear(c.latent_dim, c.decoder_dim, bias=False)
        slow = blocks(c.decoder_dim, c.decoder_blocks, c.kernel, c.expansion)
        fine = blocks(c.fine_dim, c.fine_blocks, c.kernel, c.expansion)
        head = nn.Linear(c.head_dim, PULSE_BANDS + NOISE_BANDS)
        nn.init.normal_(head.weight, std=0.02)
        nn.init.constant_(head.bias, -5.0)
        self.body = Chain(
            *slow,
            Split(c.decoder_dim, c.fine_dim, 4),
            *fine,
            Split(c.fine_dim, c.head_dim, 2),
            *blocks(c.head_dim, 1, c.kernel, c.expansion),
            Pointwise(nn.LayerNorm(c.head_dim)),
            Pointwise(head),
        )
        self.pitch = PitchBranch(c)
        self.synthesis = Synthesis()

    def initial_state(self, batch: int) -> DecoderState:
        parts: list[Any] = [self.body, self.pitch, self.synthesis]
        return DecoderState(*(part.initial_state(batch) for part in parts))

    def controls(self, latents: Latents, state: DecoderState) -> tuple[Controls, DecoderState]:
        """What the tokens say the voice does: pitch and filters of every hop."""
        x = self.semantic_in(latents.semantic) + self.acoustic_in(latents.acoustic)
        bands, body = self.body.step(x, state.body)
        with torch.autocast(x.device.type, enabled=False):
            hz, pitch = self.pitch.step(torch.cat(latents, dim=-1), state.pitch)
        bands = bands.float().clamp(min=LOWEST_LOG)
        controls = Controls(hz, bands[..., :PULSE_BANDS], bands[..., PULSE_BANDS:])
        return controls, state._replace(body=body, pitch=pitch)

    def step(self, latents: Latents, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Audio [B, T 1920] of latents [B, T, D]."""
        controls, state = self.controls(latents, state)
        audio, synthesis = self.synthesis.step(*controls, state.synthesis)
        return audio, state._replace(synthesis=synthesis)


class PitchBranch(StreamingLayer[State]):
    """Concatenated latents [B, T, 2 D] -> pitch in Hz [B, T 8].

    Pitch is integrated to phase over the whole stream, so `precise()` turns this small branch to
    float64 for inference; then streaming and offline decoding agree for hours.
    """

    def __init__(self, c: CodecConfig) -> None:
        super().__init__()
        self.chain = Chain(
            Pointwise(nn.Linear(2 * c.latent_dim, c.pitch_dim)),
            *blocks(c.pitch_dim, c.pitch_blocks, c.kernel, c.expansion),
            Pointwise(nn.LayerNorm(c.pitch_dim)),
            Split(c.pitch_dim, 1, HOPS_PER_FRAME),
        )

    def initial_state(self, batch: int) -> State:
        return self.chain.initial_state(batch)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        dtype = next(self.parameters()).dtype
        y, state = self.chain.step(x.to(dtype), state)  # [B, T 8, 1]
        octaves = torch.sigmoid(y[..., 0]) * math.log2(HIGHEST_HZ / LOWEST_HZ)
        return LOWEST_HZ * torch.exp2(octaves), state
