"""The contract between the harness and any speech-to-speech system.

    Target.open(setup) -> Session;  Session.push(frame) -> Emission;  Session.close() -> Emission

A session hears the user one frame (80 ms, 1920 float32 samples at 24 kHz) at a time and may answer
each push with any amount of audio: none, one frame, or a whole sentence at once. Padding, queueing
and playout are the clock's work (`sts_eval.clock`), never the target's.

Two kinds of target:

- **lockstep** (`clock = "lockstep"`): push returns when the model has finished with the frame. It
  may be stepped faster than real time. What push k returns is queued and sounds from tick k+1 on:
  frame k is complete at (k+1) x 80 ms, so nothing computed from it can be heard earlier.
- **paced** (`clock = "paced"`): the target runs on its own clock (a remote server). The harness
  pushes one frame per 80 ms of real time; `poll()` returns what has arrived since, each chunk with
  its arrival time.

(A third clock kind, "recorded", marks traces whose two tracks came as files: there is no session.)

A target that cannot go on raises `TargetError`; any exception it raises makes that scenario an
`error` observation with the reason, and the run goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
ClockKind = Literal["lockstep", "paced", "recorded"]


class TargetError(Exception):
    """The target failed (raised, exited, hung, sent garbage). The message is shown in the
    report."""


class UnsupportedOptionError(TargetError):
    """The scenario asks for an option that the target does not have (`sts_eval.options`); the
    scenario is not measured, and the message is the reason."""


class MissingDependencyError(TargetError):
    """An optional package is not installed; the message holds the install line."""


@dataclass(frozen=True)
class TargetEvent:
    """Something the target reports about itself.

    name: dotted, e.g. "stage.asr", "text", "heard", "endpoint".
    data: JSON-serialisable; stage events hold `compute_ms` (wall) and,
        where the stage waits for audio as an end-pointer does, `wait_ms` (audio clock).
    """

    name: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Emission:
    """What a session gives back for one push.

    audio: float32 [N], any N >= 0, 24 kHz; queued behind what is still to be played.
    text: what the agent says, as its own text stream tells it ("" where it has none).
    events: see `TargetEvent`.
    flush: True drops everything that is queued but not yet played *before* `audio` is queued
        (the agent falls silent at once: a barge-in).
    arrived_s: paced targets only: seconds since the session's first push at which the audio
    arrived.
    """

    audio: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    text: str = ""
    events: tuple[TargetEvent, ...] = ()
    flush: bool = False
    arrived_s: float | None = None


@dataclass(frozen=True)
class SessionSetup:
    """What a session is opened with.

    seed: every random choice of the target must follow from it.
    scenario_id: for the target's logs only.
    scenario: what the harness knows of the scenario (user spans, expected answer), for the scripted
        fake and the fault wrappers alone. A real target must not read it; it is never sent over a
        wire.
    options: what the scenario asks of the target, e.g. its temperature (`sts_eval.options`); only
        options that the target says it honours ever get here.
    """

    seed: int = 0
    scenario_id: str = ""
    scenario: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


class Session(Protocol):
    """One conversation. All its state lives here; two sessions of a target share nothing
    mutable."""

    def push(self, frame: Samples) -> Emission:
        """Hear one frame, float32 [1920]; return what became ready."""
        ...

    def close(self) -> Emission:
        """End the conversation and return what is left (usually nothing). Called exactly once."""
        ...


@runtime_checkable
class PacedSession(Session, Protocol):
    """A session on its own clock: `push` sends and returns at once, `poll` collects arrivals."""

    def poll(self) -> list[Emission]:
        """Everything that arrived since the last poll, each with `arrived_s` set."""
        ...


@runtime_checkable
class Target(Protocol):
    """A speech-to-speech system under test.

    A target that honours options (`sts_eval.options`) also has `options: frozenset[str]`.
    """

    name: str
    clock: ClockKind

    def describe(self) -> dict[str, Any]:
        """Name, version and settings, JSON-serialisable, written into run.json."""
        ...

    def open(self, setup: SessionSetup) -> Session:
        """Start a conversation. The first call may load models (its time is the cold start)."""
        ...

    def shutdown(self) -> None:
        """Free processes, sockets and models. Called once after the last session."""
        ...


@runtime_checkable
class BatchTarget(Target, Protocol):
    """A lockstep target that can step n independent sessions together (the fast path)."""

    def open_batch(self, setups: list[SessionSetup]) -> BatchSession:
        """Start n conversations that are stepped in one call.

        The setups of a batch ask for the same options, but for `voice`; an `agent_prefix` is of
        the same number of frames in all of them.
        """
        ...


class BatchSession(Protocol):
    """n conversations in one. Row i gives what the single session with the same setup gives, as
    far as the target's arithmetic rounds alike: what is in the other rows makes no difference."""

    def push(self, frames: Samples) -> list[Emission]:
        """Hear frames float32 [n, 1920]; return one emission per row.

        A row that has been closed hears silence; what it answers is dropped.
        """
        ...

    def close(self, row: int) -> Emission:
        """End the conversation of a row and return what is left of it. Called once for each row
        that gets to its end; when it has been called for all, or one of them has failed and no
        push follows, the session is dropped."""
        ...


def steps_together(target: Target) -> bool:
    """Whether a target offers batches."""
    return target.clock == "lockstep" and isinstance(target, BatchTarget)
