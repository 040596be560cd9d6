"""End-pointing: from speech probabilities to turns. A pure state machine, all state explicit.

A turn begins with `START_CHUNKS` chunks (32 ms each) in a row at p >= `threshold`, counted from the
first of them, and ends when p has stayed below `threshold - HYSTERESIS` for `endpoint_ms`. While
the agent talks, `barge_in_ms` of speech in the turn is a barge-in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sts_eval.judges.vad import CHUNK_S, SileroStream, StreamState
from sts_eval.target import Samples

START_CHUNKS: Final = 3
HYSTERESIS: Final = 0.15
MAX_TURN_S: Final = 30.0
MAX_TURN_CHUNKS: Final = round(MAX_TURN_S / CHUNK_S)


@dataclass(frozen=True)
class EndpointSettings:
    """Thresholds, see the module's text."""

    endpoint_ms: float = 500.0
    barge_in_ms: float = 240.0
    threshold: float = 0.5


@dataclass(frozen=True)
class TurnState:
    """Where the listener is, counted in chunks of 32 ms since the session's first sample.

    rising: chunks in a row above the threshold while no turn is open; start: first chunk of the
    open turn, None between turns; speech: chunks of speech in it; quiet_from: the chunk after its
    last speech.
    """

    chunks: int = 0
    rising: int = 0
    start: int | None = None
    speech: int = 0
    quiet_from: int = 0

    @property
    def start_s(self) -> float | None:
        """Begin of the open turn, seconds."""
        return None if self.start is None else self.start * CHUNK_S


@dataclass(frozen=True)
class Turn:
    """A finished turn: speech from start_s to end_s, decided at decided_s."""

    start_s: float
    end_s: float
    decided_s: float
    speech_s: float


@dataclass(frozen=True)
class Heard:
    """What one frame brought: a turn that began (its start), one that ended, and the open one."""

    began_s: float | None = None
    ended: Turn | None = None


@dataclass(frozen=True)
class ListenerState:
    """Everything the listener remembers."""

    stream: StreamState
    turn: TurnState


class Listener:
    """Silero and the turn rules. Holds settings only."""

    def __init__(self, settings: EndpointSettings) -> None:
        self.settings = settings
        self._vad = SileroStream()

    def start(self) -> ListenerState:
        """The state before the first frame."""
        return ListenerState(self._vad.start(), TurnState())

    def step(self, frame: Samples, state: ListenerState) -> tuple[Heard, ListenerState]:
        """Hear one frame, float32 [1920]."""
        probabilities, stream = self._vad.step(frame, state.stream)
        heard, turn = follow(probabilities, state.turn, self.settings)
        return heard, ListenerState(stream, turn)

    def barges_in(self, state: ListenerState) -> bool:
        """Whether the open turn holds enough speech to stop the agent."""
        turn = state.turn
        return turn.start is not None and 1000 * CHUNK_S * turn.speech >= self.settings.barge_in_ms


def follow(
    probabilities: Sequence[float], state: TurnState, settings: EndpointSettings
) -> tuple[Heard, TurnState]:
    """Advance by some chunks; at most one turn begins and one ends in a frame."""
    heard = Heard()
    silence_chunks = math.ceil(settings.endpoint_ms / 1000 / CHUNK_S)
    for p in probabilities:
        now = state.chunks + 1
        state = replace(state, chunks=now)
        start = state.start
        if start is None:
            rising = state.rising + 1 if p >= settings.threshold else 0
            state = replace(state, rising=rising)
            if rising == START_CHUNKS:
                state = replace(state, start=now - rising, speech=rising, quiet_from=now)
                heard = replace(heard, began_s=state.start_s)
            continue
        if p >= settings.threshold - HYSTERESIS:
            state = replace(state, speech=state.speech + 1, quiet_from=now)
        if now - state.quiet_from >= silence_chunks or now - start >= MAX_TURN_CHUNKS:
            turn = Turn(*(n * CHUNK_S for n in (start, state.quiet_from, now, state.speech)))
            heard = replace(heard, ended=turn)
            state = TurnState(chunks=now)
    return heard, state
