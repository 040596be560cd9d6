"""The clocks: where audio lands on the track, and what garbage does."""

import time

import numpy as np
import pytest

from sts_eval.clock import MAX_AHEAD_S, drive_lockstep, drive_paced, new_recording
from sts_eval.target import Emission, SessionSetup, TargetError, TargetEvent
from sts_eval.targets.fakes import EchoTarget, ScriptedTarget, SilentTarget
from sts_eval.trace import TraceMeta, heard_frame_s, silence
from sts_eval.units import FRAME_SAMPLES


class Says:
    """A session that returns prepared emissions."""

    def __init__(self, emissions):
        self._emissions = dict(emissions)
        self._push = -1

    def push(self, frame):
        self._push += 1
        return self._emissions.get(self._push, Emission())

    def close(self):
        return Emission()


def lockstep(session, frames=10):
    user = silence(frames * FRAME_SAMPLES)
    recording = new_recording(user)
    drive_lockstep(session, user, recording, lambda: None)
    return recording


def test_what_push_k_returns_sounds_from_tick_k_plus_1():
    ones = np.ones(FRAME_SAMPLES, np.float32)
    recording = lockstep(Says({2: Emission(ones)}))
    assert np.flatnonzero(recording.agent)[0] == 3 * FRAME_SAMPLES
    assert recording.agent.sum() == FRAME_SAMPLES
    assert recording.frame_push == [-1, -1, -1, 2, -1, -1, -1, -1, -1, -1]


def test_long_emissions_queue_and_flush_drops_what_was_not_played():
    half = np.full(5 * FRAME_SAMPLES, 0.5, np.float32)
    quarter = np.full(100, 0.25, np.float32)
    recording = lockstep(Says({0: Emission(half), 2: Emission(quarter, flush=True)}))
    frames = recording.agent.reshape(-1, FRAME_SAMPLES)
    assert frames.max(axis=1).tolist() == [0, 0.5, 0.5, 0.25, 0, 0, 0, 0, 0, 0]
    assert np.count_nonzero(frames[3]) == 100


def test_small_chunks_join_without_gaps():
    chunks = {k: Emission(np.full(700, k + 1, np.float32) / 10) for k in range(5)}
    recording = lockstep(Says(chunks))
    played = recording.agent[recording.agent > 0]
    # chunks 0, 1, 2 ... were each there when their tick was played, so each frame is cut short
    assert played.size == 3500


def test_audio_left_at_the_end_is_noted():
    recording = lockstep(Says({9: Emission(np.ones(2400, np.float32))}))
    assert [event.name for event in recording.events] == ["cut_by_end"]
    assert recording.events[0].data == {"queued_s": 0.1}


def test_silence_left_at_the_end_cuts_nothing_off():
    every_frame = {k: Emission(np.zeros(FRAME_SAMPLES, np.float32)) for k in range(10)}
    assert lockstep(Says(every_frame)).events == []
    half_played = {8: Emission(np.r_[np.ones(1920), np.zeros(900)].astype(np.float32))}
    assert lockstep(Says(half_played)).events == []
    sounds = {8: Emission(np.r_[np.ones(3000), np.zeros(900)].astype(np.float32))}
    (event,) = lockstep(Says(sounds)).events
    assert event.data == {"queued_s": round((3900 - 1920) / 24_000, 3)}


@pytest.mark.parametrize(
    ("emission", "message"),
    [
        (Emission(np.array([np.nan], np.float32)), "NaN"),
        (Emission(np.array([np.inf], np.float32)), "infinite"),
        (Emission(np.zeros((2, 3), np.float32)), "shape"),
        (Emission("audio"), "not an array of numbers"),
        (Emission(np.zeros(int((MAX_AHEAD_S + 1) * 24_000), np.float32)), "waits to be played"),
        ("hello", "not an Emission"),
        (None, "not an Emission"),
    ],
)
def test_garbage_is_refused_with_the_reason(emission, message):
    with pytest.raises(TargetError, match=message):
        lockstep(Says({1: emission}))


def test_too_loud_is_clipped_and_counted():
    recording = lockstep(Says({0: Emission(np.array([2.0, -3.0, 0.5]))}))
    assert recording.clipped_samples == 2
    assert recording.agent[FRAME_SAMPLES : FRAME_SAMPLES + 3].tolist() == [1.0, -1.0, 0.5]


def test_text_and_events_carry_the_time_they_became_known():
    emission = Emission(text="hi", events=(TargetEvent("stage.asr", {"compute_ms": 3.0}),))
    events = lockstep(Says({4: emission})).events
    assert [(e.name, e.t_s) for e in events] == [("text", 0.4), ("stage.asr", 0.4)]


def test_echo_is_exactly_one_frame_late(rng):
    user = rng.uniform(-0.5, 0.5, 20 * FRAME_SAMPLES).astype(np.float32)
    recording = new_recording(user)
    drive_lockstep(EchoTarget().open(SessionSetup()), user, recording, lambda: None)
    np.testing.assert_array_equal(recording.agent[FRAME_SAMPLES:], user[:-FRAME_SAMPLES])
    assert not lockstep(SilentTarget().open(SessionSetup())).agent.any()


def test_scripted_starts_at_its_sample():
    setup = SessionSetup(scenario={"turn_end_s": 1.0})
    recording = lockstep(ScriptedTarget(delay_ms=333).open(setup), frames=40)
    first = np.flatnonzero(np.abs(recording.agent) > 0)[0]
    assert first == pytest.approx(1.333 * 24_000, abs=30)


def meta(walls_ms, frame_push, clock="lockstep"):
    return TraceMeta(
        schema="sts-eval/trace/1",
        scenario={},
        clock=clock,
        seed=0,
        seconds=len(frame_push) * 0.08,
        push_wall_ms=walls_ms,
        frame_push=frame_push,
    )


def test_heard_time_of_a_fast_target_is_the_audio_clock_plus_its_compute():
    # push 0 is complete at 80 ms and takes 10 ms: tick 1 cannot sound before 90 ms
    assert heard_frame_s(meta([10, 10, 10], [-1, 0, 1]))[1:] == pytest.approx([0.09, 0.17])


def test_heard_time_of_one_slow_push_delays_what_follows():
    heard = heard_frame_s(meta([10, 200, 10, 10], [-1, 0, 1, 2]))
    # push 1 ends at 0.16 + 0.2 = 0.36; push 2 starts then: 0.37; its frame follows 80 ms later
    assert heard[1:] == pytest.approx([0.09, 0.36, 0.44])


def test_heard_time_of_a_recording_is_its_own():
    assert heard_frame_s(meta([], [-1, -1], clock="paced")) == pytest.approx([0.0, 0.08])


class Arrives:
    """A paced session with prepared arrivals by push."""

    def __init__(self, arrivals):
        self._arrivals = arrivals
        self._push = -1

    def push(self, frame):
        self._push += 1
        return Emission()

    def poll(self):
        return self._arrivals.get(self._push, [])

    def close(self):
        return Emission()


def test_paced_audio_lies_where_it_arrived_and_bursts_queue():
    user = silence(6 * FRAME_SAMPLES)
    recording = new_recording(user)
    chunk = np.full(1200, 0.5, np.float32)
    burst = [Emission(chunk, arrived_s=0.2), Emission(chunk, arrived_s=0.2)]
    started = time.monotonic()
    drive_paced(Arrives({3: burst}), user, recording, lambda: None)
    assert time.monotonic() - started >= 0.47  # it is paced: six frames are 0.48 s
    sounding = np.flatnonzero(recording.agent)
    assert (sounding[0], sounding[-1] + 1) == (4800, 7200)


def test_paced_flush_cuts_what_has_not_been_played():
    user = silence(6 * FRAME_SAMPLES)
    recording = new_recording(user)
    long = Emission(np.full(9600, 0.5, np.float32), arrived_s=0.05)
    drive_paced(
        Arrives({1: [long], 3: [Emission(flush=True, arrived_s=0.25)]}),
        user,
        recording,
        lambda: None,
    )
    sounding = np.flatnonzero(recording.agent)
    assert (sounding[0], sounding[-1] + 1) == (1200, 6000)
