"""The reactive user: when its event is played, and what the trace says of it."""

import numpy as np

from sts_eval.clock import drive_lockstep, drive_paced, new_recording
from sts_eval.target import Emission
from sts_eval.trace import silence
from sts_eval.units import FRAME_SAMPLES
from sts_eval.user import EVENT, MISSED, Cue, ReactiveUser

SOUND = np.full(3000, 0.25, np.float32)


class SpeaksAt:
    """Emits `samples` of sound with one push, and keeps what it hears."""

    def __init__(self, push, samples=24_000):
        self._at, self._samples = push, samples
        self.heard = []

    def push(self, frame):
        self.heard.append(frame.copy())
        loud = len(self.heard) - 1 == self._at
        return Emission(np.full(self._samples if loud else 0, 0.5, np.float32))

    def poll(self):
        return []

    def close(self):
        return Emission()


def drive(session, *cues, frames=50, from_s=0.0, room_s=0.5, drive_with=drive_lockstep):
    user = silence(frames * FRAME_SAMPLES)
    recording = new_recording(user)
    react = ReactiveUser(user, cues, from_s=from_s, room_s=room_s)
    drive_with(session, user, recording, lambda: None, react.hear)
    return user, [event for event in recording.events if event.name in (EVENT, MISSED)]


def test_the_event_begins_to_the_sample_after_the_agents_first_sound():
    session = SpeaksAt(push=9)  # sounds from tick 10 on: 0.8 s
    user, events = drive(session, Cue("stop", SOUND, at_s=0.7, text="Wait."))
    assert np.flatnonzero(user)[0] == 36_000
    assert np.count_nonzero(user) == SOUND.size
    (event,) = events
    assert (event.name, event.t_s) == (EVENT, 1.5)
    assert event.data == {"event": "stop", "text": "Wait.", "start_s": 1.5, "end_s": 1.625}
    assert np.array_equal(np.concatenate(session.heard), user)  # what was pushed is what is saved


def test_a_user_cannot_speak_before_the_frame_after_the_one_it_heard():
    user, _ = drive(SpeaksAt(push=9), Cue("stop", SOUND, at_s=0.0))
    assert np.flatnonzero(user)[0] == 11 * FRAME_SAMPLES


def test_what_the_agent_said_before_from_s_is_no_answer():
    user, events = drive(SpeaksAt(push=1, samples=4800), Cue("stop", SOUND, at_s=0.5), from_s=1.0)
    assert not user.any()
    assert events == []


def test_a_silent_agent_is_not_interrupted():
    user, events = drive(SpeaksAt(push=-1), Cue("stop", SOUND, at_s=0.5))
    assert not user.any()
    assert events == []


def test_an_agent_that_begins_too_late_leaves_no_room_and_says_so():
    user, events = drive(SpeaksAt(push=40), Cue("stop", SOUND, at_s=0.5))
    assert not user.any()
    assert [event.name for event in events] == [MISSED]
    assert "too late" in events[0].data["reason"]


def test_without_an_agent_the_event_comes_at_its_time():
    cue = Cue("vocal_tic", SOUND, at_s=1.0, after_agent=False)
    user, events = drive(SpeaksAt(push=-1), cue)
    assert np.flatnonzero(user)[0] == 24_000
    assert events[0].data["start_s"] == 1.0


def test_a_paced_target_is_heard_as_its_audio_arrives():
    cue = Cue("stop", SOUND, at_s=0.4)
    user, events = drive(SpeaksAt(push=3), cue, frames=20, drive_with=drive_paced)
    (event,) = events
    start = np.flatnonzero(user)[0]
    assert start == round(event.data["start_s"] * 24_000)
    # push 3 leaves at 0.32 s and its audio is there at once; 0.4 s later is 0.72 s
    assert start >= round(0.72 * 24_000)


def test_a_second_event_waits_for_the_agents_next_sound():
    first, second = Cue("barge_in", SOUND, at_s=0.2), Cue("barge_in", SOUND, at_s=0.3)
    # sounds from 0.80 to 1.60 s: the first event lies at 1.0 s and ends at 1.125 s; the agent is
    # still audible in the block that begins then, so the second one comes 0.3 s later
    user, events = drive(SpeaksAt(push=9, samples=19_200), first, second)
    assert [e.data["start_s"] for e in events] == [1.0, 1.43]
    assert np.count_nonzero(user) == 2 * SOUND.size


def test_after_a_missed_event_none_comes():
    cues = [Cue("barge_in", SOUND, at_s=0.5), Cue("barge_in", SOUND, at_s=0.5)]
    _, events = drive(SpeaksAt(push=9), *cues, frames=25)  # 2 s: room for the first alone
    assert [event.name for event in events] == [EVENT, MISSED]
