"""The streaming contract, for every streaming layer of the core: one test, no exemptions.

Any split equals the whole; a second session equals the first; rows of a batch are independent; NaN
in the future leaves the past unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sts_core.codec.config import CodecConfig
from sts_core.codec.features import Analysis
from sts_core.codec.network import Decoder, Encoder, Latents
from sts_core.lm.transformer import Transformer
from sts_core.nn.layers import ConvNeXtBlock, DepthwiseConv, Merge, Pointwise, Split, blocks
from sts_core.semantic.student import LogMel, StridedConv
from sts_core.streaming import Chain, State, StreamingLayer

SMALL = CodecConfig(
    fast_dim=12,
    estimator_dim=8,
    semantic_dim=12,
    semantic_blocks=1,
    acoustic_dim=12,
    acoustic_blocks=1,
    latent_dim=8,
    decoder_dim=12,
    decoder_blocks=1,
    fine_dim=10,
    fine_blocks=1,
    head_dim=8,
    codebook_size=16,
)


class WholeEncoder(StreamingLayer[State]):
    """All outputs of the encoder, side by side, one row a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(SMALL)

    def initial_state(self, batch: int) -> State:
        return self.encoder.initial_state(batch)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        heard, state = self.encoder.step(x, state)
        logits = heard.pitch_logits.unflatten(1, (-1, 8)).flatten(2)
        return torch.cat([heard.semantic, heard.acoustic, logits], dim=-1), state


class WholeDecoder(StreamingLayer[State]):
    """Latents and pitch contour, concatenated, to audio."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = Decoder(SMALL)
        # a fresh decoder is nearly silent: louder, so that the tolerance means something
        nn.init.constant_(self.decoder.body.layers[-1].module.bias, -1.0)

    def initial_state(self, batch: int) -> State:
        return self.decoder.initial_state(batch)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        semantic, acoustic, octaves = x.split(8, dim=-1)
        return self.decoder.step(Latents(semantic, acoustic, octaves.clamp(0.0, 3.0)), state)


class Case(NamedTuple):
    """A layer, its input width (0: audio without channels) and the smallest piece it takes.

    future: what must not reach the past. Attention weighs what it masks with zero, and zero times
    NaN is NaN: it is given large numbers.
    """

    make: Callable[[], StreamingLayer[Any]]
    width: int
    unit: int
    future: float = float("nan")


def mixed_chain() -> Chain:
    norm = Pointwise(nn.LayerNorm(6))
    return Chain(Merge(6, 6, 2), *blocks(6, 2, 5, 2), norm, Split(6, 3, 4))


CASES = {
    "depthwise": Case(lambda: DepthwiseConv(6, 7), 6, 1),
    "block": Case(lambda: ConvNeXtBlock(6), 6, 1),
    "merge": Case(lambda: Merge(6, 4, 4), 6, 4),
    "split": Case(lambda: Split(6, 4, 4), 6, 1),
    "pointwise": Case(lambda: Pointwise(nn.Linear(6, 5)), 6, 1),
    "chain": Case(mixed_chain, 6, 2),
    "analysis": Case(Analysis, 1, 240),
    "encoder": Case(WholeEncoder, 1, 1920),
    "decoder": Case(WholeDecoder, 24, 1),
    "log-mel": Case(lambda: LogMel(20, 600, 1024), 0, 240),
    "strided": Case(lambda: StridedConv(6, 4), 6, 2),
    "transformer": Case(lambda: Transformer(12, 2, 2, window=4), 12, 1, future=1e4),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[StreamingLayer[Any], Case]:
    torch.manual_seed(0)
    chosen = CASES[request.param]
    return chosen.make().eval(), chosen


def noise(chosen: Case, batch: int, units: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, units * chosen.unit) + ((chosen.width,) if chosen.width else ())
    return torch.randn(shape, generator=generator)


@given(splits=st.lists(st.integers(1, 5), min_size=1, max_size=6), seed=st.integers(0, 99))
@settings(max_examples=12, deadline=None)
def test_any_split_equals_the_whole(
    case: tuple[StreamingLayer[Any], Case], splits: list[int], seed: int
) -> None:
    layer, chosen = case
    x = noise(chosen, 2, sum(splits), seed)
    with torch.inference_mode():
        whole = layer(x)
        state, parts = layer.initial_state(2), []
        for piece in x.split([n * chosen.unit for n in splits], dim=1):
            y, state = layer.step(piece, state)
            parts.append(y)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-4, rtol=1e-4)


def test_sessions_and_rows_are_independent(case: tuple[StreamingLayer[Any], Case]) -> None:
    layer, chosen = case
    x = noise(chosen, 3, 4, seed=1)
    with torch.inference_mode():
        first = layer(x)
        layer.step(noise(chosen, 2, 3, seed=2), layer.initial_state(2))  # someone else's session
        torch.testing.assert_close(layer(x), first, atol=0, rtol=0)
        torch.testing.assert_close(layer(x[1:2]), first[1:2], atol=1e-5, rtol=1e-4)


def test_the_future_cannot_touch_the_past(case: tuple[StreamingLayer[Any], Case]) -> None:
    layer, chosen = case
    x = noise(chosen, 2, 6, seed=3)
    broken = x.clone()
    broken[:, 4 * chosen.unit :] = chosen.future
    with torch.inference_mode():
        whole, cut = layer(x), layer(broken)
    known = whole.shape[1] * 4 // 6
    torch.testing.assert_close(cut[:, :known], whole[:, :known])
    assert not torch.equal(cut[:, known:], whole[:, known:])  # it did reach the layer
