"""`scripted_empath`: hears the tone of voice and replies to it: the base of the emotion suite.

Which tone it is it hears for itself, by the loudness of the user's turn against that at which the
packaged voices speak neutrally (NEUTRAL_DBFS; every clip has it, and the vocoder keeps it):

    softer by more than 2.5 dB                sad
    louder by more than 4 dB                  angry
    louder by more than 0.65 dB               happy
    else                                      neutral

It hears nothing of the words, so it follows the voice in sarcasm. It says the first of the
reference's replies to the tone in hibari's voice, and with `follows` in the user's tone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np

from sts_eval.audio import active_level_dbfs, rms_dbfs
from sts_eval.target import Emission, Samples, SessionSetup, TargetEvent
from sts_eval.targets.answering import QUIET_FRAMES, SOUND_DBFS
from sts_eval.targets.cascade.parts import Voice

NEUTRAL_DBFS: Final = -23.0


def tone_heard(speech: Samples) -> str:
    """The tone of a turn float32 [S] at 24 kHz, by its active level (see the module)."""
    louder_db = active_level_dbfs(speech) - NEUTRAL_DBFS
    if louder_db < -2.5:
        return "sad"
    if louder_db > 4.0:
        return "angry"
    return "happy" if louder_db > 0.65 else "neutral"


class ScriptedEmpathTarget:
    """See the module. follows: whether its own voice takes the tone, too."""

    clock = "lockstep"
    name = "scripted_empath"

    def __init__(self, follows: bool = True) -> None:
        self._follows = bool(follows)

    def describe(self) -> dict[str, Any]:
        """Its name and setting."""
        return {"name": self.name, "follows": self._follows}

    def open(self, setup: SessionSetup) -> EmpathSession:
        """A session; the scenario's script is not looked at."""
        return EmpathSession(self._follows)

    def shutdown(self) -> None:
        """The voice is shared by the process and stays."""


class EmpathSession:
    """Hears a turn end by its silence, and replies to how it was said."""

    def __init__(self, follows: bool) -> None:
        self._follows = follows
        self._turn: list[Samples] = []
        self._quiet = 0

    def push(self, frame: Samples) -> Emission:
        """Hear one frame, float32 [1920]."""
        sound = rms_dbfs(frame) > SOUND_DBFS
        if sound or self._turn:
            self._turn.append(np.array(frame))
        self._quiet = 0 if sound else self._quiet + 1
        if not self._turn or self._quiet < QUIET_FRAMES:
            return Emission()
        tone = tone_heard(np.concatenate(self._turn))
        self._turn = []
        text, speech = _reply(tone, self._follows)
        return Emission(speech, f"{text} ", (TargetEvent("tone", {"tone": tone}),))

    def close(self) -> Emission:
        """Nothing is left to say."""
        return Emission()


@lru_cache(maxsize=16)
def _reply(tone: str, follows: bool) -> tuple[str, Samples]:
    """What is said to a tone: text, and speech float32 [S]."""
    from sts_eval.targets.core import apply_tone, tone_replies

    text = tone_replies()[tone][0]
    speech = Voice(1.0).speak(text, 0)
    return text, apply_tone(speech, tone, np.random.default_rng(0)) if follows else speech
