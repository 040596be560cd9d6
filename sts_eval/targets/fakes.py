"""Fakes with known answers: what the harness must say of them is known before it is run.

- `silent` never speaks. `echo` plays the user back after a fixed delay.
- `scripted_duplex` answers at length and yields to true barge-ins, and to nothing else.
- `scripted` knows the scenario and starts to speak exactly `delay_ms` after the user's turn, waits
  through pauses, and needs no model. It is the healthy base of the self-test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sts_eval.target import Emission, Samples, SessionSetup, TargetError, TargetEvent
from sts_eval.trace import silence
from sts_eval.units import FRAME_MS, FRAME_S, FRAME_SAMPLES, frames_for, seconds_to_samples

AUDIBLE = 10 ** (-50 / 20)  # -50 dBFS


class SilentTarget:
    """Never says anything."""

    clock = "lockstep"
    name = "silent"

    def describe(self) -> dict[str, Any]:
        """Its name."""
        return {"name": self.name}

    def open(self, setup: SessionSetup) -> _SilentSession:
        """A session without state."""
        return _SilentSession()

    def shutdown(self) -> None:
        """Nothing to free."""


class _SilentSession:
    def push(self, frame: Samples) -> Emission:
        return Emission()

    def close(self) -> Emission:
        return Emission()


class EchoTarget:
    """Plays the user back `delay_ms` later (a multiple of 80; one frame is the least possible)."""

    clock = "lockstep"
    name = "echo"

    def __init__(self, delay_ms: int = FRAME_MS) -> None:
        if delay_ms < FRAME_MS or delay_ms % FRAME_MS:
            raise TargetError(f"echo: delay_ms must be a positive multiple of {FRAME_MS}")
        self._frames = delay_ms // FRAME_MS - 1
        self._delay_ms = delay_ms

    def describe(self) -> dict[str, Any]:
        """Its name and delay."""
        return {"name": self.name, "delay_ms": self._delay_ms}

    def open(self, setup: SessionSetup) -> _EchoSession:
        """A session with its own delay line."""
        return _EchoSession(self._frames)

    def shutdown(self) -> None:
        """Nothing to free."""


class _EchoSession:
    def __init__(self, delay_frames: int) -> None:
        self._waiting = [silence(FRAME_SAMPLES) for _ in range(delay_frames)]

    def push(self, frame: Samples) -> Emission:
        self._waiting.append(frame)
        return Emission(self._waiting.pop(0))

    def close(self) -> Emission:
        return Emission()


class ScriptedTarget:
    """Answers a known time after the user's turn, from the script of the scenario.

    delay_ms: from the end of the user's turn to the first sample of the answer; placed to the
    sample.
    speech_s: length of the answer. say: what its text stream claims.
    """

    clock = "lockstep"
    name = "scripted"

    def __init__(self, delay_ms: float = 320.0, speech_s: float = 1.2, say: str = "") -> None:
        if delay_ms < 2 * FRAME_MS:
            raise TargetError(f"scripted: delay_ms must be at least {2 * FRAME_MS}")
        self._delay_ms, self._speech_s, self._say = float(delay_ms), float(speech_s), say

    def describe(self) -> dict[str, Any]:
        """Its name and script."""
        return {"name": self.name, "delay_ms": self._delay_ms, "speech_s": self._speech_s}

    def open(self, setup: SessionSetup) -> _ScriptedSession:
        """Needs `setup.scenario` with `turn_end_s`. Raises TargetError without it."""
        if "turn_end_s" not in setup.scenario:
            raise TargetError("scripted needs a scenario with a known end of the user's turn")
        onset_s = float(setup.scenario["turn_end_s"]) + self._delay_ms / 1000
        return _ScriptedSession(onset_s, reply_audio(self._speech_s, setup.seed), self._say)

    def shutdown(self) -> None:
        """Nothing to free."""


class _ScriptedSession:
    def __init__(self, onset_s: float, reply: Samples, text: str) -> None:
        first = int(onset_s / FRAME_S)
        self._push = first - 1  # what push k returns sounds at tick k+1
        lead = seconds_to_samples(onset_s) - first * FRAME_SAMPLES
        self._reply = np.concatenate([silence(lead), reply])
        self._text = text
        self._tick = 0

    def push(self, frame: Samples) -> Emission:
        tick, self._tick = self._tick, self._tick + 1
        if tick != self._push:
            return Emission()
        stage = TargetEvent("stage.responder", {"compute_ms": 0.0})
        return Emission(self._reply, self._text, (stage,))

    def close(self) -> Emission:
        return Emission()


class ScriptedDuplexTarget:
    """Answers each request at length and yields to true barge-ins only, from the scenario's script.

    The script says whether the user's event is meant for the agent; when it happens the target
    hears for itself: the first user frame above -50 dBFS while it speaks.

    delay_ms: from the end of a request to the answer. speech_s: length of the first answer; one
    after a barge-in lasts 1.2 s.
    """

    clock = "lockstep"
    name = "scripted_duplex"

    def __init__(self, delay_ms: float = 320.0, speech_s: float = 9.0) -> None:
        if delay_ms < 2 * FRAME_MS:
            raise TargetError(f"scripted_duplex: delay_ms must be at least {2 * FRAME_MS}")
        self._delay_ms, self._speech_s = float(delay_ms), float(speech_s)

    def describe(self) -> dict[str, Any]:
        """Its name and script."""
        return {"name": self.name, "delay_ms": self._delay_ms, "speech_s": self._speech_s}

    def open(self, setup: SessionSetup) -> _DuplexSession:
        """Needs a scenario with a known event. Raises TargetError without it."""
        event = setup.scenario.get("conditions", {}).get("event")
        if event is None:
            raise TargetError("scripted_duplex needs a scenario with an event (kind: interruption)")
        asked_s = setup.scenario["turn_end_s"] if setup.scenario["user_spans"] else None
        said = told(self._speech_s, setup.seed)
        quiet_frames = round(self._delay_ms / FRAME_MS)
        return _DuplexSession(
            asked_s, said, quiet_frames, event in ("barge_in", "stop", "correction")
        )

    def shutdown(self) -> None:
        """Nothing to free."""


@dataclass(frozen=True)
class Told:
    """What a scripted agent says: a long reply, and a short answer of other words.

    reply, answer: float32 [N] each, with their texts.
    """

    reply: Samples
    reply_text: str
    answer: Samples
    answer_text: str


def told(seconds: float, seed: int) -> Told:
    """A reply of sentences that do not recur, in one voice of the packaged stimuli."""
    from sts_eval.stimuli import Stimuli

    items = [item for item in Stimuli.load().items if item.kind == "emotional"]
    voices = sorted({item.voice for item in items})
    own = sorted((i for i in items if i.voice == voices[seed % len(voices)]), key=lambda i: i.id)
    start = seed // len(voices) % len(own)
    order = [*own[start:], *own[:start]]
    parts: list[Samples] = []
    texts: list[str] = []
    while order and sum(part.size for part in parts) < seconds_to_samples(seconds):
        item = order.pop(0)
        parts += [item.speech(), silence(seconds_to_samples(0.12))]
        texts.append(item.text)
    if not order:
        raise TargetError(f"there are not {seconds:g} s of sentences to say")
    answer = order[-1].speech()[: seconds_to_samples(1.2)]
    reply = np.concatenate(parts)[: seconds_to_samples(seconds)]
    return Told(reply, " ".join(texts), answer, order[-1].text)


class _DuplexSession:
    def __init__(self, asked_s: float | None, said: Told, quiet_frames: int, yields: bool) -> None:
        # what push k returns sounds at tick k+1
        self._reply_at = None if asked_s is None else int(asked_s / FRAME_S) + quiet_frames - 1
        self._said, self._quiet_frames, self._yields = said, quiet_frames, yields
        self._tick = 0
        self._queued = 0  # frames that are still to be played
        self._quiet: int | None = None  # frames since the user's barge-in was last heard

    def push(self, frame: Samples) -> Emission:
        tick, self._tick = self._tick, self._tick + 1
        self._queued = max(0, self._queued - 1)
        sound = float(np.sqrt(np.mean(frame**2))) > AUDIBLE
        if sound and self._yields and (self._queued or self._quiet is not None):
            flush, self._queued, self._quiet = self._queued > 0, 0, 0
            return Emission(flush=flush)
        if self._quiet is not None:
            self._quiet += 1
            if self._quiet == self._quiet_frames:
                self._quiet = None
                return self._say(self._said.answer, self._said.answer_text)
        if tick == self._reply_at:
            return self._say(self._said.reply, self._said.reply_text)
        return Emission()

    def close(self) -> Emission:
        return Emission()

    def _say(self, speech: Samples, text: str) -> Emission:
        self._queued = frames_for(speech.size)
        return Emission(speech, text + " ")


def reply_audio(seconds: float, seed: int) -> Samples:
    """Speech of the packaged stimuli with a sharp start, float32, `seconds` long.

    The VAD must hear it as speech from its first 10 ms on, so that the true onset is known.
    """
    from sts_eval.stimuli import Stimuli

    longest = sorted(Stimuli.load().items, key=lambda item: (-item.seconds, item.id))[:8]
    item = longest[seed % len(longest)]
    audio = item.speech()
    wanted = seconds_to_samples(seconds)
    return np.tile(audio, -(-wanted // audio.size))[:wanted].astype(np.float32)
