"""The streaming contract: `step(x, state) -> (y, state)`, and state is always an argument.

A streaming layer maps a sequence [B, N, C] to a sequence, left to right. Its memory of the past is
a value (`State`: tensors in nested tuples) that `initial_state` makes and `step` takes and returns;
the layer itself remembers nothing, so two streams can never mix and forgetting the state is a
TypeError. `forward(x)` is one step from the initial state, which makes training and streaming the
same code.

Every layer keeps four promises, checked by one test for all of them: any split into steps gives
the result of the whole; a second session equals the first; rows of a batch are independent; and
what comes later (even NaN) leaves earlier output unchanged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from torch import Tensor, nn

State = Any  # Tensor | tuple[State, ...]; opaque to everyone but the layer that made it

S = TypeVar("S")


class StreamingLayer(nn.Module, ABC, Generic[S]):
    """A causal layer with explicit state of type S. Time is dimension 1."""

    @abstractmethod
    def initial_state(self, batch: int) -> S:
        """The state before anything was heard, for a batch of streams."""

    @abstractmethod
    def step(self, x: Tensor, state: S) -> tuple[Tensor, S]:
        """The output for the next piece [B, N, C] of the streams, and the state after it."""

    def forward(self, x: Tensor) -> Tensor:
        """The output for whole streams [B, N, C], from the initial state."""
        return self.step(x, self.initial_state(x.shape[0]))[0]


class Chain(StreamingLayer[tuple[State, ...]]):
    """Streaming layers one after the other."""

    def __init__(self, *layers: StreamingLayer[Any]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def initial_state(self, batch: int) -> tuple[State, ...]:
        return tuple(layer.initial_state(batch) for layer in self.layers)  # type: ignore[operator]

    def step(self, x: Tensor, state: tuple[State, ...]) -> tuple[Tensor, tuple[State, ...]]:
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            x, new = layer.step(x, before)  # type: ignore[operator]
            after.append(new)
        return x, tuple(after)
