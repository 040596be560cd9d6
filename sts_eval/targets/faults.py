"""Faults: wrappers that break exactly one thing in any lockstep target.

They measure the measurer: `sts-eval selftest` runs a suite on a healthy target and on each fault,
and each fault must be caught by its own metric while the others stay quiet. Faults that act at a
point of the user's turn read it from the scenario's script (`SessionSetup.scenario`).
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np

from sts_eval.audio import rms_dbfs
from sts_eval.options import honoured_by
from sts_eval.target import Emission, Samples, Session, SessionSetup, Target, TargetError
from sts_eval.targets.fakes import reply_audio
from sts_eval.trace import silence
from sts_eval.units import FRAME_MS, FRAME_S, FRAME_SAMPLES, seconds_to_samples


class Fault:
    """Base of all faults: the same target with each session wrapped."""

    clock = "lockstep"
    fault = ""

    def __init__(self, inner: Target) -> None:
        if inner.clock != "lockstep":
            raise TargetError(f"the fault {self.fault!r} needs a lockstep target")
        self.inner = inner
        self.name = f"{self.fault}+{inner.name}"

    @property
    def options(self) -> frozenset[str] | None:
        """Those of the inner target."""
        return honoured_by(self.inner)

    def describe(self) -> dict[str, Any]:
        """The inner target's description and the fault's name and settings."""
        settings = {k: v for k, v in vars(self).items() if k not in ("inner", "name")}
        return {**self.inner.describe(), "name": self.name, "fault": settings}

    def open(self, setup: SessionSetup) -> Session:
        """The wrapped session."""
        return self.wrap(self.inner.open(setup), setup)

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Break the session."""
        raise TypeError(f"{type(self).__name__} does not say what it breaks")

    def shutdown(self) -> None:
        """Shut the inner target down."""
        self.inner.shutdown()


class _Wrapped:
    """A session whose emissions pass through `alter`."""

    def __init__(self, inner: Session) -> None:
        self.inner = inner
        self.tick = 0

    def push(self, frame: Samples) -> Emission:
        emission = self.alter(self.inner.push(frame), frame)
        self.tick += 1
        return emission

    def alter(self, emission: Emission, frame: Samples) -> Emission:
        """What the harness sees in place of the emission."""
        return emission

    def close(self) -> Emission:
        return self.inner.close()


class _Framewise(_Wrapped):
    """Queues the inner target's audio and hands it out frame by frame, so that frames can be hurt.

    The frame that goes out with push k is the one that would have been played at tick k+1 anyway.
    """

    def __init__(self, inner: Session) -> None:
        super().__init__(inner)
        self._queue: deque[Samples] = deque()
        self._rest = silence(0)

    def alter(self, emission: Emission, frame: Samples) -> Emission:
        if emission.flush:
            self._queue.clear()
            self._rest = silence(0)
        audio = np.concatenate([self._rest, emission.audio])
        whole = audio.size // FRAME_SAMPLES * FRAME_SAMPLES
        self._queue.extend(audio[:whole].reshape(-1, FRAME_SAMPLES))
        self._rest = audio[whole:]
        if not self._queue and self._rest.size:
            padded = silence(FRAME_SAMPLES)
            padded[: self._rest.size] = self._rest
            self._queue.append(padded)
            self._rest = silence(0)
        return replace(emission, audio=self.next_frame(frame), flush=False)

    def pop(self) -> Samples | None:
        """The frame that is due, float32 [1920], or None when nothing is queued."""
        return self._queue.popleft() if self._queue else None

    def next_frame(self, frame: Samples) -> Samples:
        """The frame that goes out; `frame` is the user's."""
        due = self.pop()
        return silence(0) if due is None else due


class Late(Fault):
    """Answers `ms` later than the target would (whole frames)."""

    fault = "late"

    def __init__(self, inner: Target, ms: int = 640) -> None:
        super().__init__(inner)
        if ms <= 0 or ms % FRAME_MS:
            raise TargetError(f"late: ms must be a positive multiple of {FRAME_MS}")
        self.ms = ms

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Delay every emission."""
        return _LateSession(session, self.ms // FRAME_MS)


class _LateSession(_Wrapped):
    def __init__(self, inner: Session, frames: int) -> None:
        super().__init__(inner)
        self._line = deque([Emission()] * frames)

    def alter(self, emission: Emission, frame: Samples) -> Emission:
        self._line.append(emission)
        return self._line.popleft()


class Jitter(Fault):
    """Frames of its speech come late at random, so that the speech stutters."""

    fault = "jitter"

    def __init__(self, inner: Target, share: float = 0.15) -> None:
        super().__init__(inner)
        self.share = float(share)

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Hold frames back at random."""
        return _JitterSession(session, self.share, np.random.default_rng(setup.seed))


class _JitterSession(_Framewise):
    def __init__(self, inner: Session, share: float, rng: np.random.Generator) -> None:
        super().__init__(inner)
        self._share, self._rng = share, rng
        self._speaking = False

    def next_frame(self, frame: Samples) -> Samples:
        # the first frame of a turn comes in time: this fault is about evenness, not about latency
        if self._speaking and self._queue and self._rng.random() < self._share:
            return silence(FRAME_SAMPLES)
        due = self.pop()
        self._speaking = due is not None
        return silence(0) if due is None else due


class DropsFrames(Fault):
    """A share of the frames of its speech is lost (silence in their place)."""

    fault = "drops_frames"

    def __init__(self, inner: Target, share: float = 0.15) -> None:
        super().__init__(inner)
        self.share = float(share)

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Lose frames at random."""
        return _DropsSession(session, self.share, np.random.default_rng(setup.seed))


class _DropsSession(_Framewise):
    def __init__(self, inner: Session, share: float, rng: np.random.Generator) -> None:
        super().__init__(inner)
        self._share, self._rng = share, rng
        self._speaking = False

    def next_frame(self, frame: Samples) -> Samples:
        due = self.pop()
        first, self._speaking = not self._speaking, due is not None
        if due is None:
            return silence(0)
        lost = not first and self._rng.random() < self._share
        return silence(FRAME_SAMPLES) if lost else due


class Silenced(Fault):
    """The answer is never heard."""

    fault = "silent"

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Drop all audio, keep text and events."""
        return _SilencedSession(session)


class _SilencedSession(_Wrapped):
    def alter(self, emission: Emission, frame: Samples) -> Emission:
        return replace(emission, audio=silence(0))


class AlwaysTalking(Fault):
    """Speaks from the first frame on and never stops."""

    fault = "always_talking"

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Replace the answer with endless speech."""
        return _AlwaysSession(session, _without_pauses(reply_audio(4.0, setup.seed)))


def _without_pauses(speech: Samples) -> Samples:
    """The speech without its quiet 10 ms blocks, so that it never sounds like a turn's end."""
    blocks = speech[: speech.size // 240 * 240].reshape(-1, 240)
    loud = np.abs(blocks).max(axis=1) > 0.02
    return np.ascontiguousarray(blocks[loud].reshape(-1))


class _AlwaysSession(_Wrapped):
    def __init__(self, inner: Session, speech: Samples) -> None:
        super().__init__(inner)
        self._speech = speech

    def alter(self, emission: Emission, frame: Samples) -> Emission:
        start = np.arange(FRAME_SAMPLES) + self.tick * FRAME_SAMPLES
        return replace(emission, audio=self._speech[start % self._speech.size], flush=False)


class Echo(Fault):
    """The user's voice leaks into its output, one frame later, `gain_db` louder."""

    fault = "echo"

    def __init__(self, inner: Target, gain_db: float = -6.0) -> None:
        super().__init__(inner)
        self.gain_db = float(gain_db)

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Mix the user in."""
        return _EchoSession(session, 10 ** (self.gain_db / 20))


class _EchoSession(_Framewise):
    def __init__(self, inner: Session, gain: float) -> None:
        super().__init__(inner)
        self._gain = np.float32(gain)

    def next_frame(self, frame: Samples) -> Samples:
        due = self.pop()
        leaked = frame * self._gain
        return leaked if due is None else np.clip(due + leaked, -1.0, 1.0)


class _Interjects(_Framewise):
    """Speaks at given times on top of what the target does."""

    def __init__(self, inner: Session, at_s: list[float], speech: Samples) -> None:
        super().__init__(inner)
        self._track: dict[int, Samples] = {}
        for moment_s in at_s:
            first = max(0, round(moment_s / FRAME_S) - 1)
            for index, part in enumerate(speech.reshape(-1, FRAME_SAMPLES)):
                self._track[first + index] = part

    def next_frame(self, frame: Samples) -> Samples:
        due, extra = self.pop(), self._track.get(self.tick)
        if extra is None:
            return silence(0) if due is None else due
        return extra if due is None else np.clip(due + extra, -1.0, 1.0)


def _interjection(seed: int, seconds: float = 0.48) -> Samples:
    """Speech of a whole number of frames."""
    return reply_audio(round(seconds / FRAME_S) * FRAME_S, seed)[
        : seconds_to_samples(seconds) // FRAME_SAMPLES * FRAME_SAMPLES
    ]


class CutsUserOff(Fault):
    """Starts to speak in the middle of the user's turn, for half a second."""

    fault = "cuts_user_off"

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Interject 40 % into the first speech span of the turn."""
        spans = setup.scenario.get("user_spans") or []
        at = [s["start_s"] + 0.4 * (s["end_s"] - s["start_s"]) - 0.2 for s in spans[:1]]
        return _Interjects(session, at, _interjection(setup.seed))


class TakesPauses(Fault):
    """Takes the turn in each pause of the user."""

    fault = "takes_pauses"

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Interject 80 ms into each pause."""
        at = [pause["start_s"] + FRAME_S for pause in setup.scenario.get("pauses") or []]
        return _Interjects(session, at, _interjection(setup.seed))


class NeverYields(Fault):
    """Does not stop when the user interrupts: what was queued is played to its end."""

    fault = "never_yields"

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Drop the flush."""
        return _NeverYieldsSession(session)


class _NeverYieldsSession(_Wrapped):
    def alter(self, emission: Emission, frame: Samples) -> Emission:
        return replace(emission, flush=False)


class YieldsToEverything(Fault):
    """Falls silent on any sound of the user while it speaks, and does not take its reply up again.

    A frame above `threshold_dbfs` is a sound.
    """

    fault = "yields_to_everything"

    def __init__(self, inner: Target, threshold_dbfs: float = -50.0) -> None:
        super().__init__(inner)
        self.threshold_dbfs = float(threshold_dbfs)

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Drop what is queued at each sound."""
        return _YieldsSession(session, self.threshold_dbfs)


class _YieldsSession(_Framewise):
    def __init__(self, inner: Session, threshold_dbfs: float) -> None:
        super().__init__(inner)
        self._threshold_dbfs = threshold_dbfs

    def next_frame(self, frame: Samples) -> Samples:
        if rms_dbfs(frame) > self._threshold_dbfs:
            self._queue.clear()
            self._rest = silence(0)
        return super().next_frame(frame)


class Slow(Fault):
    """A share of the pushes takes `ms` of real time longer."""

    fault = "slow"

    def __init__(self, inner: Target, ms: float = 90.0, share: float = 0.1) -> None:
        super().__init__(inner)
        self.ms, self.share = float(ms), float(share)

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Sleep in a share of the pushes."""
        return _SlowSession(session, self.ms, self.share)


class _SlowSession(_Wrapped):
    def __init__(self, inner: Session, ms: float, share: float) -> None:
        super().__init__(inner)
        self._ms, self._every = ms, max(1, round(1 / share))

    def alter(self, emission: Emission, frame: Samples) -> Emission:
        if self.tick % self._every == 0:
            time.sleep(self._ms / 1000)
        return emission
