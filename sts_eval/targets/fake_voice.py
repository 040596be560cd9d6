"""`scripted_voice`: answers every turn of a conversation in one packaged voice, never the user's.

It is the healthy base of the voice-clone self-test: real speech of a known speaker. The script
(`SessionSetup.scenario`) says when the user's turns end and which voice the user has.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sts_eval.target import Emission, Samples, SessionSetup, TargetError
from sts_eval.trace import silence
from sts_eval.units import FRAME_MS, FRAME_S, seconds_to_samples

GAP_S = 0.12


def other_voice(user_voice: str, place: int) -> str:
    """A packaged voice that is not the user's: the `place`-th one behind it, in a circle.

    The packaged voices alternate between women and men, so that odd places are of the other sex.
    """
    from sts_eval.stimuli import Stimuli

    voices = sorted({item.voice for item in Stimuli.load().items})
    at = voices.index(user_voice) if user_voice in voices else 0
    return voices[(at + place) % len(voices)]


def speech_of(voice: str, seconds: float, seed: int) -> Samples:
    """Different sentences of a packaged voice, one after the other, float32 [N]."""
    from sts_eval.stimuli import Stimuli

    items = sorted((i for i in Stimuli.load().items if i.voice == voice), key=lambda i: i.id)
    long_ones = [item for item in items if item.seconds >= 1.5]
    rng = np.random.default_rng(seed)
    parts: list[Samples] = []
    wanted = seconds_to_samples(seconds)
    for index in rng.permutation(len(long_ones)):
        parts += [long_ones[index].speech(), silence(seconds_to_samples(GAP_S))]
        if sum(part.size for part in parts) >= wanted:
            break
    return np.concatenate(parts)[:wanted]


class ScriptedVoiceTarget:
    """Answers each of the user's turns for `speech_s` in one voice, `delay_ms` after its end."""

    clock = "lockstep"
    name = "scripted_voice"

    def __init__(self, delay_ms: float = 320.0, speech_s: float = 6.0) -> None:
        if delay_ms < 2 * FRAME_MS:
            raise TargetError(f"scripted_voice: delay_ms must be at least {2 * FRAME_MS}")
        self._delay_ms, self._speech_s = float(delay_ms), float(speech_s)

    def describe(self) -> dict[str, Any]:
        """Its name and script."""
        return {"name": self.name, "delay_ms": self._delay_ms, "speech_s": self._speech_s}

    def open(self, setup: SessionSetup) -> _VoiceSession:
        """Needs the user's spans. Raises TargetError without them."""
        spans = setup.scenario.get("user_spans")
        if not spans:
            raise TargetError("scripted_voice needs a scenario with the user's turns")
        voice = other_voice(setup.scenario.get("conditions", {}).get("voice", ""), 1)
        answers = {}
        for nth, span in enumerate(spans):
            push = int((span["end_s"] + self._delay_ms / 1000) / FRAME_S) - 1
            answers[push] = speech_of(voice, self._speech_s, setup.seed + nth)
        return _VoiceSession(answers)

    def shutdown(self) -> None:
        """Nothing to free."""


class _VoiceSession:
    def __init__(self, answers: dict[int, Samples]) -> None:
        self._answers = answers
        self._tick = 0

    def push(self, frame: Samples) -> Emission:
        tick, self._tick = self._tick, self._tick + 1
        answer = self._answers.get(tick)
        return Emission() if answer is None else Emission(answer)

    def close(self) -> Emission:
        return Emission()
