"""Faults of the voice: the agent becomes the user (`user_voice`), or somebody else (`voice_swap`).

Both keep the rhythm of the target: each frame in which it speaks is replaced by a frame of another
speaker's speech at the same level. `user_voice` plays the user's own earlier words, as a codec
language model does that continues the user's stream; it comes over the agent by and by.
"""

from __future__ import annotations

import numpy as np

from sts_eval.audio import rms_dbfs
from sts_eval.target import Samples, Session, SessionSetup, Target
from sts_eval.targets.fake_voice import other_voice, speech_of
from sts_eval.targets.faults import Fault, _Framewise
from sts_eval.trace import silence
from sts_eval.units import FRAME_S, FRAME_SAMPLES

AUDIBLE_DBFS = -45.0
FADE = np.linspace(0.0, 1.0, 120, dtype=np.float32)  # 5 ms: no click between two speakers


class _Possessed(_Framewise):
    """A share of the frames of its speech is another speaker's; the share depends on how much it
    has said."""

    def __init__(self, inner: Session, from_s: float, full_s: float) -> None:
        super().__init__(inner)
        self._from, self._full = from_s / FRAME_S, full_s / FRAME_S
        self._spoken = 0  # audible frames so far
        self._owed = 0.0
        self._run = 0  # frames that the other speaker goes on for
        self._taken = 0  # frames taken of the other speaker

    def other(self, taken: int) -> Samples | None:
        """The other speaker's frame number `taken`, float32 [1920]; None: there is none yet."""
        raise NotImplementedError

    def heard(self, frame: Samples) -> None:
        """The user's frame of this tick."""

    def next_frame(self, frame: Samples) -> Samples:
        self.heard(frame)
        due = self.pop()
        if due is None:
            return silence(0)
        level = rms_dbfs(due)
        if level <= AUDIBLE_DBFS:
            return due
        self._spoken += 1
        share = (self._spoken - self._from) / max(1.0, self._full - self._from)
        self._owed += min(1.0, max(0.0, share))
        if self._run == 0 and self._owed < RUN_FRAMES and share < 1.0:
            return due
        self._run = RUN_FRAMES if self._run == 0 else self._run
        other = self.other(self._taken)
        if other is None:
            return due
        self._run -= 1
        self._owed = max(0.0, self._owed - 1.0)
        self._taken += 1
        gain = 10 ** ((level - rms_dbfs(other)) / 20)
        spoken = np.clip(other * np.float32(min(gain, 8.0)), -1.0, 1.0)
        edges = np.ones(FRAME_SAMPLES, np.float32)
        edges[: FADE.size] = FADE
        return (spoken * edges + due * (1 - edges)).astype(np.float32)


RUN_FRAMES = 13  # about a second at a time: words, not single frames


class UserVoice(Fault):
    """Drifts into the user's voice: from `from_s` of its speech on, all of it at `full_s`."""

    fault = "user_voice"

    def __init__(self, inner: Target, from_s: float = 5.0, full_s: float = 15.0) -> None:
        super().__init__(inner)
        self.from_s, self.full_s = float(from_s), float(full_s)

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Say the user's words."""
        return _UserSession(session, self.from_s, self.full_s)


class _UserSession(_Possessed):
    def __init__(self, inner: Session, from_s: float, full_s: float) -> None:
        super().__init__(inner, from_s, full_s)
        self._said: list[Samples] = []

    def heard(self, frame: Samples) -> None:
        if rms_dbfs(frame) > AUDIBLE_DBFS:
            self._said.append(frame.copy())

    def other(self, taken: int) -> Samples | None:
        return self._said[taken % len(self._said)] if self._said else None


class VoiceSwap(Fault):
    """Has another voice, which is not the user's, from `from_s` of its speech on."""

    fault = "voice_swap"

    def __init__(self, inner: Target, from_s: float = 8.0) -> None:
        super().__init__(inner)
        self.from_s = float(from_s)

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Speak with a third voice."""
        user = setup.scenario.get("conditions", {}).get("voice", "")
        speech = speech_of(other_voice(user, 3), 40.0, setup.seed)
        return _SwapSession(session, self.from_s, speech)


class _SwapSession(_Possessed):
    def __init__(self, inner: Session, from_s: float, speech: Samples) -> None:
        super().__init__(inner, from_s, from_s)
        frames = speech[: speech.size // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
        self._frames = [frame for frame in frames if rms_dbfs(frame) > AUDIBLE_DBFS]

    def other(self, taken: int) -> Samples | None:
        return self._frames[taken % len(self._frames)]
