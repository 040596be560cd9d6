"""Faults of what is said: wrong sums, invented facts, a voice that departs from its text, babble.

Each waits for the target's answer and says another one in hibari's voice. What is right stands in
the scenario's script (kind: hallucination); tasks that a fault does not touch pass unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from sts_eval.audio import rms_dbfs
from sts_eval.target import Emission, Samples, Session, SessionSetup, Target, TargetError
from sts_eval.targets.answering import SOUND_DBFS, nonsense, sum_sentence
from sts_eval.targets.cascade.parts import Voice
from sts_eval.targets.faults import Fault, _Wrapped
from sts_eval.trace import silence

_SUMS: Final = ("sum", "chain")
_UNKNOWABLE: Final = ("unanswerable", "false_premise")
INVENTIONS: Final = (
    "It was a small green one with seven buttons.",
    "Your aunt Martha, at half past four.",
    "There were exactly nineteen of them.",
    "It happened in spring, just behind the old station.",
    "Blueberry pancakes with a little cinnamon.",
)
WRONG_KEYS: Final = ("the kitchen door", "Iceland", "a purple teapot", "ninety-one", "my uncle")


@dataclass(frozen=True)
class Said:
    """What is said in place of an answer. text: what the text stream claims; None leaves the
    target's own."""

    audio: str
    text: str | None = None


class SpokenFault(Fault):
    """Base: `instead` tells what is said in place of the answer to the user's n-th turn."""

    def wrap(self, session: Session, setup: SessionSetup) -> Session:
        """Replace the answers."""
        turns = 2 if setup.scenario.get("conditions", {}).get("task") == "chain" else 1
        said = [self.instead(setup, turn) for turn in range(turns)]
        return _SaysSession(session, said, setup.seed)

    def instead(self, setup: SessionSetup, turn: int) -> Said | None:
        """None: the target's own answer stands."""
        raise TypeError(f"{type(self).__name__} does not say what it says")


class _SaysSession(_Wrapped):
    def __init__(self, inner: Session, said: list[Said | None], seed: int) -> None:
        super().__init__(inner)
        self._said, self._seed = said, seed
        self._voice = Voice(1.0)
        self._turn = -1  # the answer that is being given
        self._user_spoke = False

    def alter(self, emission: Emission, frame: Samples) -> Emission:
        if rms_dbfs(frame) > SOUND_DBFS:
            self._user_spoke = True
        # a target that gives every frame back is silent until it answers
        begins = self._user_spoke and rms_dbfs(emission.audio) > SOUND_DBFS
        if begins:
            self._turn, self._user_spoke = self._turn + 1, False
        if self._turn < 0 or self._turn >= len(self._said):
            return emission
        instead = self._said[self._turn]
        if instead is None:
            return emission
        text = emission.text
        if instead.text is not None:
            text = f"{instead.text} " if begins else ""
        audio = self._voice.speak(instead.audio, self._seed) if begins else silence(0)
        return replace(emission, audio=audio, text=text)


class WrongSums(SpokenFault):
    """Miscalculates: says another number than the right one, in its text as well."""

    fault = "wrong_sums"

    def instead(self, setup: SessionSetup, turn: int) -> Said | None:
        """A number that is off by 1 to 9."""
        wrong = _wrong_sum(setup, turn)
        return None if wrong is None else Said(wrong, wrong)


class InventsFacts(SpokenFault):
    """Answers what nobody can know, and goes along with false premises."""

    fault = "invents_facts"

    def instead(self, setup: SessionSetup, turn: int) -> Said | None:
        """An invention, where the question has no answer."""
        if setup.scenario.get("conditions", {}).get("task") not in _UNKNOWABLE:
            return None
        invented = INVENTIONS[setup.seed % len(INVENTIONS)]
        return Said(invented, invented)


class Misspeaks(SpokenFault):
    """Its text is right and its voice says something else, in `share` of the sums and facts."""

    fault = "misspeaks"

    def __init__(self, inner: Target, share: float = 0.5) -> None:
        super().__init__(inner)
        if not 0 < share <= 1:
            raise TargetError("misspeaks: share must be above 0 and at most 1")
        self.share = float(share)

    def instead(self, setup: SessionSetup, turn: int) -> Said | None:
        """Another number or word, in the audio alone; in a chain in the second turn."""
        if np.random.default_rng([setup.seed, 77]).random() >= self.share:
            return None
        task = setup.scenario.get("conditions", {}).get("task")
        if task == "fact":
            return Said(f"That is {WRONG_KEYS[setup.seed % len(WRONG_KEYS)]}.")
        wrong = _wrong_sum(setup, turn)
        return None if wrong is None or (task == "chain" and turn == 0) else Said(wrong)


class Babbles(SpokenFault):
    """Its voice makes syllables without words; its text goes on as if nothing were wrong."""

    fault = "babbles"

    def instead(self, setup: SessionSetup, turn: int) -> Said | None:
        """Made-up words."""
        return Said(nonsense(setup.seed + turn))


def _wrong_sum(setup: SessionSetup, turn: int) -> str | None:
    """A sentence with another number than the right one; None where the task is no sum."""
    scenario: Mapping[str, Any] = setup.scenario
    task = scenario.get("conditions", {}).get("task")
    if task not in _SUMS:
        return None
    expected = scenario["expected"]
    if task == "chain" and turn == 0:
        expected = expected["first"]
    off = 1 + setup.seed % 9
    return sum_sentence(round(expected["answer"] + off, 6), expected.get("unit", ""))
