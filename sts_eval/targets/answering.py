"""A target that knows every right answer and says it aloud: the healthy base of the hallucination
suite's self-test, and what the faults of `spoken_faults` say in its place.

Which answers are due stands in the scenario's script (`SessionSetup.scenario`); when to give them
the session hears for itself: after each turn of the user, `QUIET_FRAMES` of silence later. Its
voice is hibari's, its text stream and its `heard` events are true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from num2words import num2words

from sts_eval.audio import rms_dbfs
from sts_eval.target import Emission, Samples, SessionSetup, TargetError, TargetEvent
from sts_eval.targets.cascade.parts import Voice

QUIET_FRAMES: Final = 9  # 720 ms: longer than any pause inside the packaged questions
SOUND_DBFS: Final = -50.0
UNKNOWN: Final = "I do not know that."
LONG: Final = (
    "Let me tell you about it. It began on a cold morning, when the river was still and the road to"
    " the village lay under fresh snow. By noon the sun had come out, and everybody went home."
)


class AnsweringTarget:
    """Says the right answer of the scenario's script, in speech and in text."""

    clock = "lockstep"
    name = "answering"

    def describe(self) -> dict[str, Any]:
        """Its name."""
        return {"name": self.name}

    def open(self, setup: SessionSetup) -> AnsweringSession:
        """Needs a scenario of the kind hallucination. Raises TargetError without it."""
        return AnsweringSession(replies(setup.scenario), setup.scenario.get("text", ""), setup.seed)

    def shutdown(self) -> None:
        """The voice is shared by the process and stays."""


class AnsweringSession:
    """Hears turns by their sound and answers each with the next reply."""

    def __init__(self, said: Sequence[str], asked: str, seed: int) -> None:
        self._replies, self._seed = list(said), seed
        self._asked = asked.split(" / ")
        self._voice = Voice(1.0)
        self._turn = 0
        self._quiet: int | None = None  # frames since the user was last heard; None: nothing heard

    def push(self, frame: Samples) -> Emission:
        """Hear one frame, float32 [1920]."""
        if rms_dbfs(frame) > SOUND_DBFS:
            self._quiet = 0
            return Emission()
        if self._quiet is None:
            return Emission()
        self._quiet += 1
        if self._quiet < QUIET_FRAMES or self._turn >= len(self._replies):
            return Emission()
        turn, self._turn, self._quiet = self._turn, self._turn + 1, None
        text = self._replies[turn]
        heard = TargetEvent("heard", {"text": self._asked[min(turn, len(self._asked) - 1)]})
        return Emission(self._voice.speak(text, self._seed), f"{text} ", (heard,))

    def close(self) -> Emission:
        """Nothing is left to say."""
        return Emission()


def number_words(value: float) -> str:
    """-3.5 -> "minus three point five"."""
    return str(num2words(value)).replace(" and ", " ").replace(",", "")


def sum_sentence(value: float, unit: str = "") -> str:
    """ "That is nine." """
    many = "s" if unit and value != 1 else ""
    return f"That is {number_words(value)} {unit}{many}".strip() + "."


def replies(scenario: Mapping[str, Any]) -> list[str]:
    """The right answers of a scenario, one for each turn. Raises TargetError without a task."""
    task = scenario.get("conditions", {}).get("task")
    expected = scenario.get("expected", {})
    if task in ("sum", "chain"):
        turns = [expected["first"], expected] if task == "chain" else [expected]
        return [sum_sentence(turn["answer"], turn.get("unit", "")) for turn in turns]
    if task == "fact":
        return [f"The answer is {expected['key']}."]
    if task in ("unanswerable", "false_premise"):
        return [UNKNOWN]
    if task == "repeat":
        return [f"{expected['word']}.".capitalize()]
    if task == "long":
        return [LONG]
    raise TargetError("answering needs a scenario with a task (kind: hallucination)")


def nonsense(seed: int, words: int = 12) -> str:
    """Made-up words of two or three syllables: speech without sense."""
    rng = np.random.default_rng(seed)
    consonants, vowels = list("bdgmnlwzv"), list("aoeui")

    def word() -> str:
        pairs = int(rng.integers(2, 4))
        return "".join(str(rng.choice(consonants)) + str(rng.choice(vowels)) for _ in range(pairs))

    return " ".join(word() for _ in range(words)).capitalize() + "."
