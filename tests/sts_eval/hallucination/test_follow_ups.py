"""Chained turns: the user who waits for the answer, and the baseline that goes on from it."""

import numpy as np
import pytest

from sts_eval.clock import drive_lockstep, new_recording
from sts_eval.target import Emission
from sts_eval.targets.cascade.skills import SkillResponder
from sts_eval.trace import silence
from sts_eval.units import FRAME_SAMPLES
from sts_eval.user import EVENT, MISSED, Cue, ReactiveUser

SOUND = np.full(4800, 0.25, np.float32)
LOUD = np.full(24_000, 0.5, np.float32)


class Speaks:
    """Emits a second of sound at each of some pushes."""

    def __init__(self, *pushes):
        self._pushes, self._tick = pushes, -1

    def push(self, frame):
        self._tick += 1
        return Emission(LOUD if self._tick in self._pushes else silence(0))

    def close(self):
        return Emission()


def drive(session, *, frames=100, from_s=0.0):
    user = silence(frames * FRAME_SAMPLES)
    cue = Cue("follow_up", SOUND, at_s=1.0, text="And two?", when_done=True)
    react = ReactiveUser(user, [cue], from_s=from_s, room_s=1.0)
    recording = new_recording(user)
    drive_lockstep(session, user, recording, lambda: None, react.hear)
    return user, [e for e in recording.events if e.name in (EVENT, MISSED)]


def test_the_follow_up_comes_after_the_answer_and_its_silence():
    user, (event,) = drive(Speaks(9))  # sounds from 0.8 s to 1.8 s
    assert event.data["start_s"] == pytest.approx(2.8, abs=0.08)
    assert np.flatnonzero(user)[0] == round(event.data["start_s"] * 24_000)


def test_a_pause_between_two_sentences_is_no_end():
    _, (event,) = drive(Speaks(9, 30))  # 0.8-1.8 s, and again 2.48-3.48 s
    assert event.data["start_s"] == pytest.approx(4.48, abs=0.08)


def test_no_answer_no_follow_up():
    user, events = drive(Speaks())
    assert events == []
    assert not user.any()


def test_an_answer_without_end_leaves_no_room():
    _, events = drive(Speaks(9, 20, 30, 40, 50, 60, 70), frames=90)
    assert [event.name for event in events] in ([], [MISSED])


@pytest.mark.parametrize(
    ("before", "heard", "said"),
    [
        ("Seven plus two is nine. ", "And plus two more?", "Nine plus two is eleven."),
        ("Seven plus two is nine.", "Now add five.", "Nine plus five is fourteen."),
        ("One minus three is minus two.", "And take away 4?", "Minus two minus four is minus six."),
        ("Seven plus two is nine.", "And times three?", "Nine times three is twenty-seven."),
        ("Seven plus two is nine.", "What is two plus two?", "Two plus two is four."),
        ("The capital of France is Paris.", "And plus two more?", "I do not know that."),
        ("", "And plus two more?", "I do not know that."),
    ],
)
def test_the_baseline_goes_on_from_its_last_sum(before, heard, said):
    history = [("earlier", before)] if before else []
    assert "".join(SkillResponder().reply(heard, history)).strip() == said
