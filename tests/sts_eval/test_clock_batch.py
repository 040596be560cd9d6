"""Conversations stepped together are those that would have been stepped alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sts_eval.clock import Lane, drive_batch, drive_lockstep, new_recording
from sts_eval.target import Emission, TargetError, TargetEvent
from sts_eval.trace import silence
from sts_eval.units import FRAME_SAMPLES
from sts_eval.user import EVENT, Cue, ReactiveUser


class Speaks:
    """Says its own samples at its own pushes, mixed with what it hears; keeps what it heard."""

    def __init__(self, script):
        self._script, self.heard = script, []

    def push(self, frame):
        push = len(self.heard)
        self.heard.append(frame.copy())
        size, flush = self._script.get(push, (0, False))
        audio = np.full(size, 0.1 + 0.01 * push + frame[0], np.float32)
        return Emission(audio, "a" * (size % 3), (TargetEvent("heard", {"k": push}),), flush)

    def close(self):
        return Emission(text=f" end after {len(self.heard)}")


class Together:
    """A batch of single sessions; `spoil` may replace what the session returns."""

    def __init__(self, sessions, spoil=lambda push, emissions: emissions):
        self._sessions, self._spoil, self.closed, self.pushes = sessions, spoil, [], 0
        self.frames = []

    def push(self, frames):
        self.frames.append(frames)
        pairs = zip(self._sessions, frames, strict=True)
        emissions = [session.push(frame) for session, frame in pairs]
        self.pushes += 1
        return self._spoil(self.pushes - 1, emissions)

    def close(self, row):
        self.closed.append(row)
        return self._sessions[row].close()


def lanes_of(tracks, hears=None):
    hears = hears or [None] * len(tracks)
    return [Lane(user, new_recording(user), hear) for user, hear in zip(tracks, hears, strict=True)]


def play(session, lanes):
    """Drive a batch; {row: what it failed of}, in the order they ended."""
    ended = {}
    drive_batch(session, lanes, lambda: None, lambda row, error: ended.update({row: error}))
    return ended


def alone(session, user, hear=None):
    recording = new_recording(user)
    drive_lockstep(session, user, recording, lambda: None, hear)
    return recording


def ramp(frames):
    return np.linspace(0, 0.3, frames * FRAME_SAMPLES, dtype=np.float32)


script = st.dictionaries(
    st.integers(0, 12), st.tuples(st.integers(0, 9000), st.booleans()), max_size=5
)


@given(rows=st.lists(st.tuples(st.integers(1, 12), script), min_size=1, max_size=4))
def test_a_row_is_the_conversation_it_would_be_alone(rows):
    lanes = lanes_of([ramp(frames) for frames, _ in rows])
    ended = play(Together([Speaks(script) for _, script in rows]), lanes)
    assert ended == dict.fromkeys(range(len(rows)))
    assert [rows[row][0] for row in ended] == sorted(frames for frames, _ in rows)
    for lane, (frames, script) in zip(lanes, rows, strict=True):
        single = alone(Speaks(script), ramp(frames))
        np.testing.assert_array_equal(lane.recording.agent, single.agent)
        assert lane.recording.frame_push == single.frame_push
        assert lane.recording.events == single.events
        assert lane.recording.push_wall_ms == []  # it has none of its own


def test_rows_that_have_ended_hear_silence_and_are_closed_once():
    sessions = [Speaks({}), Speaks({})]
    batch = Together(sessions)
    play(batch, lanes_of([ramp(2), ramp(5)]))
    assert batch.closed == [0, 1]
    assert [bool(frame.any()) for frame in sessions[0].heard] == [True] * 2 + [False] * 3
    np.testing.assert_array_equal(np.concatenate(sessions[1].heard), ramp(5))
    first = batch.frames[0]
    assert all(first is not later for later in batch.frames[1:])  # a session may keep a frame


def test_each_user_reacts_to_its_own_agent():
    """Agents that begin at different times are interrupted at different times, as alone."""

    def users():
        tracks = [silence(40 * FRAME_SAMPLES) for _ in range(3)]
        cue = Cue("stop", np.full(3000, 0.25, np.float32), at_s=0.4, text="Wait.")
        return tracks, [ReactiveUser(t, [cue], from_s=0.0, room_s=0.2).hear for t in tracks]

    scripts = [{9: (24_000, False)}, {14: (24_000, False)}, {}]
    tracks, hears = users()
    lanes = lanes_of(tracks, hears)
    play(Together([Speaks(script) for script in scripts]), lanes)
    again, hears = users()
    for lane, user, hear, script in zip(lanes, again, hears, scripts, strict=True):
        single = alone(Speaks(script), user, hear)
        np.testing.assert_array_equal(lane.user, user)
        assert lane.recording.events == single.events
    starts = [[e.t_s for e in lane.recording.events if e.name == EVENT] for lane in lanes]
    assert [[round(s, 9) for s in row] for row in starts] == [[1.2], [1.6], []]


def test_garbage_of_one_row_ends_that_row_alone():
    def spoil(push, emissions):
        if push == 2:
            emissions[1] = Emission(np.array([np.nan], np.float32))
        return emissions

    lanes = lanes_of([ramp(6), ramp(6), ramp(6)])
    ended = play(Together([Speaks({0: (500, False)}) for _ in lanes], spoil), lanes)
    assert [row for row, error in ended.items() if error is None] == [0, 2]
    assert isinstance(ended[1], TargetError)
    assert "NaN" in str(ended[1])
    np.testing.assert_array_equal(lanes[0].recording.agent, lanes[2].recording.agent)
    assert len(lanes[1].recording.frame_push) == 3  # what was recorded until then stays


def test_an_error_of_a_user_is_its_rows():
    def bad(tick, frame):
        raise KeyError("user")

    lanes = lanes_of([ramp(3), ramp(3)], [bad, None])
    ended = play(Together([Speaks({}), Speaks({})]), lanes)
    assert [type(ended[row]).__name__ for row in (0, 1)] == ["KeyError", "NoneType"]


def test_another_number_of_emissions_is_nobodys_row():
    ended = {}
    session = Together([Speaks({}), Speaks({})], lambda push, emissions: emissions[: 2 - push // 3])
    with pytest.raises(TargetError, match="1 emissions for a batch of 2"):
        drive_batch(session, lanes_of([ramp(2), ramp(5)]), lambda: None, ended.__setitem__)
    assert ended == {0: None}  # it had ended before
