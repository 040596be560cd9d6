"""One conversation with the cascade. All its state is here.

The session knows what is still to be played: what it emits is queued by the clock and played one
frame a push, from the next tick on. It speaks sentence by sentence: each push makes at most one
sentence, and no sooner than the speech before it is about to run out. When the user talks over it
for `barge_in_ms`, it falls silent at once. When the user goes on within `RESUME_S` after a turn was
taken for finished (a pause), both parts are heard as one turn.

Events: `speech_start`, `stage.endpoint`, `stage.asr`, `heard`, `stage.responder`, `stage.tts`,
`barge_in`. Stage events hold `compute_ms` (wall); the end-pointer's also `wait_ms`, the silence it
waited for (audio clock); the recogniser's and the voice's `audio_ms`, the length of the turn and of
the sentence.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from sts_eval.target import Emission, Samples, TargetEvent
from sts_eval.targets.cascade.endpoint import Listener, Turn
from sts_eval.targets.cascade.parts import Recogniser, Responder, Voice
from sts_eval.trace import silence
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, seconds_to_samples

PRE_ROLL_S: Final = 0.3
POST_ROLL_S: Final = 0.2
KEEP_S: Final = 60.0
RESUME_S: Final = 1.5
LOOK_AHEAD_S: Final = 0.4
MAX_HISTORY: Final = 20

Result = TypeVar("Result")


@dataclass(frozen=True)
class Parts:
    """What the sessions of one target share; none of it changes."""

    listener: Listener
    recogniser: Recogniser
    responder: Responder
    voice: Voice


class CascadeSession:
    """Listens, and answers turn by turn."""

    def __init__(self, parts: Parts, seed: int) -> None:
        self._parts, self._seed = parts, seed
        self._state = parts.listener.start()
        self._heard: deque[Samples] = deque()  # the last KEEP_S of frames
        self._dropped = 0  # frames that have left `_heard`
        self._tick = 0
        self._queued = 0  # samples emitted and not yet played
        self._sentences: Iterator[str] | None = None
        self._spoken = 0  # sentences so far: the seed of each
        self._said = ""
        self._turn: Turn | None = None  # the last turn that was answered
        self._resumes_from_s: float | None = None
        self._history: list[tuple[str, str]] = []
        self._vad_ms = 0.0

    def push(self, frame: Samples) -> Emission:
        """Hear one frame, float32 [1920]."""
        self._queued = max(0, self._queued - FRAME_SAMPLES)
        self._tick += 1
        self._remember(frame)
        (heard, self._state), ms = _timed(lambda: self._parts.listener.step(frame, self._state))
        self._vad_ms += ms
        events: list[TargetEvent] = []
        if heard.began_s is not None:
            events.append(TargetEvent("speech_start", {"at_s": round(heard.began_s, 3)}))
        flush = False
        if self._talking() and self._parts.listener.barges_in(self._state):
            flush = True
            events.append(self._yield())
        if heard.ended is not None and self._takes(heard.ended):
            events += self._answer(heard.ended)
        said, audio, spoken = self._speak()
        return Emission(audio, said, (*events, *spoken), flush)

    def close(self) -> Emission:
        """End the conversation; an unfinished answer is dropped."""
        self._sentences = None
        self._heard.clear()
        return Emission()

    def _talking(self) -> bool:
        return self._queued > 0 or self._sentences is not None

    def _takes(self, turn: Turn) -> bool:
        """Whether a finished turn is to be answered: not what was murmured while it spoke."""
        barge_in_ms = self._parts.listener.settings.barge_in_ms
        return not self._talking() or turn.speech_s * 1000 >= barge_in_ms

    def _yield(self) -> TargetEvent:
        """Fall silent; a user who goes on soon after the turn's end had only paused."""
        start_s = self._state.turn.start_s
        turn = self._turn
        if turn is not None and start_s is not None and start_s - turn.end_s <= RESUME_S:
            self._resumes_from_s = turn.start_s
        dropped_ms = 1000 * self._queued / SAMPLE_RATE_HZ
        self._queued, self._sentences = 0, None
        if self._history:
            self._history[-1] = (self._history[-1][0], self._said)
        return TargetEvent("barge_in", {"dropped_ms": round(dropped_ms, 1)})

    def _answer(self, turn: Turn) -> list[TargetEvent]:
        """Recognise a finished turn and begin to answer it."""
        start_s = turn.start_s
        if self._resumes_from_s is not None:
            start_s, self._resumes_from_s = self._resumes_from_s, None
            self._history = self._history[:-1]
        audio = self._recall(start_s - PRE_ROLL_S, turn.end_s + POST_ROLL_S)
        text, asr_ms = _timed(lambda: self._parts.recogniser(audio))
        events = [
            _stage("endpoint", self._vad_ms, wait_ms=1000 * (turn.decided_s - turn.end_s)),
            _stage("asr", asr_ms, audio_ms=1000 * len(audio) / SAMPLE_RATE_HZ),
            TargetEvent("heard", {"text": text}),
        ]
        self._vad_ms = 0.0
        self._turn = Turn(start_s, turn.end_s, turn.decided_s, turn.speech_s)
        if text:
            self._sentences = self._parts.responder.reply(text, self._history[-MAX_HISTORY:])
            self._history.append((text, ""))
            self._said = ""
        return events

    def _speak(self) -> tuple[str, Samples, list[TargetEvent]]:
        """The next sentence when it is due: (text, audio, stage events)."""
        if self._sentences is None or self._queued > LOOK_AHEAD_S * SAMPLE_RATE_HZ:
            return "", silence(0), []
        first = not self._said
        sentences = self._sentences
        sentence, responder_ms = _timed(lambda: next(sentences, None))
        events = [_stage("responder", responder_ms)] if first else []
        if sentence is None or not sentence.strip():
            self._sentences = None if sentence is None else self._sentences
            if sentence is None and self._history:
                self._history[-1] = (self._history[-1][0], self._said)
            return "", silence(0), events
        seed = self._seed * 1_000_003 + self._spoken
        audio, tts_ms = _timed(lambda: self._parts.voice.speak(sentence, seed))
        self._spoken += 1
        self._queued += len(audio)
        said = sentence.strip() + " "
        self._said += said
        return (
            said,
            audio,
            [*events, _stage("tts", tts_ms, audio_ms=1000 * len(audio) / SAMPLE_RATE_HZ)],
        )

    def _remember(self, frame: Samples) -> None:
        self._heard.append(np.array(frame, np.float32))
        if len(self._heard) * FRAME_SAMPLES > KEEP_S * SAMPLE_RATE_HZ:
            self._heard.popleft()
            self._dropped += 1

    def _recall(self, start_s: float, end_s: float) -> Samples:
        """What was heard between two times, float32 [S]."""
        track = np.concatenate(list(self._heard))
        origin = self._dropped * FRAME_SAMPLES
        first = max(0, seconds_to_samples(start_s) - origin)
        return track[first : max(first, seconds_to_samples(end_s) - origin)]


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """A result and the wall time it took, ms."""
    begin = time.perf_counter()
    result = work()
    return result, 1000 * (time.perf_counter() - begin)


def _stage(name: str, compute_ms: float, **times_ms: float) -> TargetEvent:
    times = {key: round(value, 1) for key, value in times_ms.items()}
    return TargetEvent(f"stage.{name}", {"compute_ms": round(compute_ms, 3), **times})
