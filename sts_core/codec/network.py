"""The two halves of the reference codec: Encoder (audio -> latents), Decoder (latents -> audio).

    audio 24 kHz -> mel + lag features 100 Hz -> /2 -> blocks 50 Hz -> /4 -> semantic branch 12.5 Hz
                            |                                            -> acoustic branch 12.5 Hz
                            -> pitch estimator 100 Hz

    semantic + acoustic latents + pitch contour 12.5 Hz -> blocks -> x4 -> blocks 50 Hz
        -> x2 -> block 100 Hz -> filters of the synthesis; the contour itself drives its pulses

Everything is causal; the newest sample that output frame t depends on is the last of input frame t.
The algorithmic latency is one frame, 80 ms.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sts_core.codec.config import CodecConfig
from sts_core.codec.contour import NEUTRAL_OCTAVE, to_hz
from sts_core.codec.features import FEATURES, FINE_LAGS, Analysis
from sts_core.codec.synthesis import NOISE_BANDS, PULSE_BANDS, Synthesis, SynthesisState
from sts_core.nn.layers import Merge, Pointwise, Split, blocks
from sts_core.streaming import Chain, State
from sts_core.units import HOPS_PER_FRAME


class Heard(NamedTuple):
    """What the encoder says about its input."""

    semantic: Tensor  # [B, T, D]
    acoustic: Tensor  # [B, T, D]
    pitch_logits: Tensor  # [B, T 8, 129]: 128 pitches of the grid, then voicing


class Latents(NamedTuple):
    """What the decoder needs."""

    semantic: Tensor  # [B, T, D]
    acoustic: Tensor  # [B, T, D]
    octaves: Tensor  # [B, T, 8], pitch contour


class Encoder(nn.Module):
    """Audio [B, S, 1], S in whole frames -> Heard."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        c = config
        self.analysis = Analysis()
        self.fast = Chain(
            Merge(FEATURES, c.fast_dim, 2),
            *blocks(c.fast_dim, c.fast_blocks, c.kernel, c.expansion),
        )
        self.estimator = Chain(
            Pointwise(nn.Linear(FINE_LAGS, c.estimator_dim)),
            *blocks(c.estimator_dim, 1, c.kernel, c.expansion),
            Pointwise(nn.LayerNorm(c.estimator_dim)),
            Pointwise(nn.Linear(c.estimator_dim, FINE_LAGS + 1)),
        )
        self.semantic = _branch(c, c.semantic_dim, c.semantic_blocks)
        self.acoustic = _branch(c, c.acoustic_dim, c.acoustic_blocks)

    def initial_state(self, batch: int) -> tuple[State, ...]:
        """The state of streams of which nothing was heard yet."""
        parts = (self.analysis, self.fast, self.estimator, self.semantic, self.acoustic)
        return tuple(part.initial_state(batch) for part in parts)

    def step(self, audio: Tensor, state: tuple[State, ...]) -> tuple[Heard, tuple[State, ...]]:
        """What the next whole frames of the streams say, and the state after them."""
        with torch.autocast(audio.device.type, enabled=False):
            features, analysis = self.analysis.step(audio.float(), state[0])
        fast, fast_state = self.fast.step(features[..., :FEATURES], state[1])
        logits, estimator = self.estimator.step(features[..., FEATURES:], state[2])
        semantic, semantic_state = self.semantic.step(fast, state[3])
        acoustic, acoustic_state = self.acoustic.step(fast, state[4])
        heard = Heard(semantic.float(), acoustic.float(), logits.float())
        return heard, (analysis, fast_state, estimator, semantic_state, acoustic_state)

    def forward(self, audio: Tensor) -> Heard:
        """What whole streams say."""
        return self.step(audio, self.initial_state(len(audio)))[0]


def _branch(c: CodecConfig, dim: int, count: int) -> Chain:
    return Chain(
        Merge(c.fast_dim, dim, 4),
        *blocks(dim, count, c.kernel, c.expansion),
        Pointwise(nn.LayerNorm(dim)),
        Pointwise(nn.Linear(dim, c.latent_dim)),
    )


class DecoderState(NamedTuple):
    """State of both parts of the decoder."""

    body: State
    synthesis: SynthesisState


class Decoder(nn.Module):
    """Latents -> filters -> audio."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        c = config
        self.semantic_in = nn.Linear(c.latent_dim, c.decoder_dim)
        self.acoustic_in = nn.Linear(c.latent_dim, c.decoder_dim, bias=False)
        self.pitch_in = nn.Linear(HOPS_PER_FRAME, c.decoder_dim, bias=False)
        head = nn.Linear(c.head_dim, PULSE_BANDS + NOISE_BANDS)
        nn.init.normal_(head.weight, std=0.02)
        nn.init.constant_(head.bias, -5.0)  # speech at -23 dBFS lies about here
        self.body = Chain(
            *blocks(c.decoder_dim, c.decoder_blocks, c.kernel, c.expansion),
            Split(c.decoder_dim, c.fine_dim, 4),
            *blocks(c.fine_dim, c.fine_blocks, c.kernel, c.expansion),
            Split(c.fine_dim, c.head_dim, 2),
            *blocks(c.head_dim, 1, c.kernel, c.expansion),
            Pointwise(nn.LayerNorm(c.head_dim)),
            Pointwise(head),
        )
        self.synthesis = Synthesis()

    def initial_state(self, batch: int) -> DecoderState:
        """The state of streams of which nothing was said yet."""
        return DecoderState(self.body.initial_state(batch), self.synthesis.initial_state(batch))

    def bands(self, latents: Latents, state: State) -> tuple[Tensor, State]:
        """Log magnitudes of both filters of every hop: [B, T 8, 80 + 48], and the body's state."""
        x = self.semantic_in(latents.semantic) + self.acoustic_in(latents.acoustic)
        x = x + self.pitch_in(latents.octaves - NEUTRAL_OCTAVE)
        bands, state = self.body.step(x, state)
        return bands.float(), state

    def step(self, latents: Latents, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Audio [B, T 1920] of the next frames, and the state after them."""
        bands, body = self.bands(latents, state.body)
        audio, synthesis = self.synthesis.step(to_hz(latents.octaves), bands, state.synthesis)
        return audio, DecoderState(body, synthesis)
