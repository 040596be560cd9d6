"""End-pointing: from speech probabilities to turns. A pure state machine, all state explicit.

A turn begins with `START_CHUNKS` chunks (32 ms each) in a row at p >= `threshold`, counted from the
first of them, and ends when p has stayed below `threshold - HYSTERESIS` for `endpoint_ms`. While
the agent talks, `barge_in_ms` of speech in the turn is a barge-in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sts_eval.judges.vad import CHUNK_S, SileroStream, StreamState
from sts_eval.target import Samples

START_CHUNKS: Final = 3
HYSTERESIS: Final = 0.15
MAX_TURN_S: Final = 30.0


@dataclass(frozen=True)
class EndpointSettings:
    """Thresholds, see the module's text."""

    endpoint_ms: float = 500.0
    barge_in_ms: float = 240.0
    threshold: float = 0.5


@dataclass(frozen=True)
class TurnState:
    """Where the listener is; times in seconds since the session's first sample.

    rising: chunks in a row above the threshold while no turn is open; start_s: begin of the open
    turn, None between turns; speech_s: speech in it; last_speech_s: end of its last speech.
    """

    chunks: int = 0
    rising: int = 0
    start_s: float | None = None
    speech_s: float = 0.0
    last_speech_s: float = 0.0


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
        return turn.start_s is not None and turn.speech_s * 1000 >= self.settings.barge_in_ms


def follow(
    probabilities: Sequence[float], state: TurnState, settings: EndpointSettings
) -> tuple[Heard, TurnState]:
    """Advance by some chunks; at most one turn begins and one ends in a frame."""
    heard = Heard()
    for p in probabilities:
        now_s = (state.chunks + 1) * CHUNK_S
        state = replace(state, chunks=state.chunks + 1)
        start_s = state.start_s
        if start_s is None:
            rising = state.rising + 1 if p >= settings.threshold else 0
            state = replace(state, rising=rising)
            if rising == START_CHUNKS:
                speech_s = rising * CHUNK_S
                state = replace(
                    state, start_s=now_s - speech_s, speech_s=speech_s, last_speech_s=now_s
                )
                heard = replace(heard, began_s=state.start_s)
            continue
        if p >= settings.threshold - HYSTERESIS:
            state = replace(state, speech_s=state.speech_s + CHUNK_S, last_speech_s=now_s)
        silent_ms = 1000 * (now_s - state.last_speech_s)
        if silent_ms >= settings.endpoint_ms or now_s - start_s >= MAX_TURN_S:
            turn = Turn(start_s, state.last_speech_s, now_s, state.speech_s)
            heard = replace(heard, ended=turn)
            state = TurnState(chunks=state.chunks)
    return heard, state
