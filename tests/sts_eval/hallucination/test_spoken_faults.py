"""Spoken faults wait for the answer: also of a target that gives every frame back."""

import numpy as np
import pytest

from sts_eval.target import Emission, SessionSetup
from sts_eval.targets.answering import AnsweringTarget
from sts_eval.targets.spoken_faults import Misspeaks, WrongSums
from sts_eval.units import FRAME_SAMPLES

ASKED, ANSWERED, FRAMES = range(2, 10), range(14, 20), 30
SUM = {"conditions": {"task": "sum"}, "expected": {"answer": 9, "op": "plus"}}


class Streams:
    """Silence, frame by frame, and from `ANSWERED` on a sound with its text."""

    def __init__(self):
        self.tick = -1

    def push(self, frame):
        self.tick += 1
        speaks = self.tick in ANSWERED
        audio = np.full(FRAME_SAMPLES, 0.1 if speaks else 0.0, np.float32)
        return Emission(audio, " nine" if self.tick == ANSWERED[0] else "")

    def close(self):
        return Emission()


def said(fault):
    session = fault.wrap(Streams(), SessionSetup(seed=3, scenario=SUM))
    user = np.zeros((FRAMES, FRAME_SAMPLES), np.float32)
    user[ASKED] = 0.1
    return [session.push(frame) for frame in user]


@pytest.mark.parametrize("fault", [WrongSums, Misspeaks])
def test_the_wrong_answer_stands_in_place_of_the_right_one(fault):
    share = {"share": 1.0} if fault is Misspeaks else {}
    emissions = said(fault(AnsweringTarget(), **share))
    sounds = [k for k, emission in enumerate(emissions) if np.any(emission.audio)]
    assert sounds == [ANSWERED[0]]  # all of it at once; nothing over the user's question
    assert emissions[ANSWERED[0]].audio.size > 5 * FRAME_SAMPLES
    text = "".join(emission.text for emission in emissions)
    assert ("nine" in text) is (fault is Misspeaks)
