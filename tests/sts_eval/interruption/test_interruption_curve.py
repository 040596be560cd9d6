"""The operating curve on hand-made traces, and the fault that takes dropped replies up again."""

import numpy as np
import pytest

from sts_eval.clock import drive_lockstep, new_recording
from sts_eval.metrics.interruption import audible_stretches
from sts_eval.observation import Observation, Status
from sts_eval.probes import PoolItem
from sts_eval.probes.interruption_curve import DETECTORS, NEEDED_MS, level_spans, operating_section
from sts_eval.record import ScenarioResult
from sts_eval.scenario import Scenario
from sts_eval.target import SessionSetup
from sts_eval.targets import make_target
from sts_eval.trace import SCHEMA, Span, Trace, TraceEvent, TraceMeta, save_trace, silence
from sts_eval.units import SAMPLE_RATE_HZ

S = SAMPLE_RATE_HZ


def item(folder, index, metric, value, sound_s):
    """One event at 2.0 s: a tone of `sound_s`, to which the agent reacted as `value` says."""
    user = silence(4 * S)
    user[2 * S : 2 * S + round(sound_s * S)] = 0.3
    event = "barge_in" if metric.startswith("yield") else "backchannel"
    name = f"s{index:02d}"
    times = {"event": event, "text": "", "start_s": 2.0, "end_s": 2.0 + sound_s}
    scenario = Scenario(
        id=name,
        kind="interruption",
        title=name,
        conditions={"event": event, "agent": "speaking"},
        cluster=name,
        user_spans=[Span(start_s=0.5, end_s=1.0)],
        turn_end_s=1.0,
        listen_s=1.0,
    )
    meta = TraceMeta(
        schema=SCHEMA,
        scenario=scenario.model_dump(mode="json"),
        clock="lockstep",
        seed=0,
        seconds=4.0,
        events=[TraceEvent(t_s=2.0, name="user_event", source="harness", data=times)],
    )
    save_trace(Trace(meta=meta, user=user, agent=silence(4 * S)), folder, name)
    observation = Observation(
        metric=metric,
        scenario_id=name,
        status=Status.MEASURED,
        value=value,
        cluster=name,
        span_s=(2.0, 2.5),
        slices=scenario.conditions,
    )
    result = ScenarioResult(
        id=name, kind="interruption", title=name, status="ok", trace=f"traces/{name}", seconds=4.0
    )
    return PoolItem(scenario, folder / f"{name}.json", result, [observation])


@pytest.fixture
def level_only(monkeypatch):
    monkeypatch.delitem(DETECTORS, "end-pointer on Silero")


def test_level_spans_close_short_gaps():
    user = silence(S)
    user[2400:4800] = 0.1  # 0.1 to 0.2 s
    user[6000:7200] = 0.1  # 50 ms later, to 0.3 s
    user[12_000:14_400] = 0.1  # 0.2 s later
    assert [(s.start_s, s.end_s) for s in level_spans(user)] == [
        (pytest.approx(0.1), pytest.approx(0.3)),
        (pytest.approx(0.5), pytest.approx(0.6)),
    ]
    assert level_spans(silence(S)) == []


def test_the_curve_of_barge_ins_of_one_second_and_other_sounds_of_half_a_second(
    tmp_path, level_only
):
    made = [item(tmp_path, n, "yield_within_1s_rate", 1.0, 1.0) for n in range(10)]
    made += [item(tmp_path, 10 + n, "selectivity_rate", float(n < 8), 0.5) for n in range(10)]
    section = operating_section(made, seed=1)
    curve, own = section.charts[0].series
    found = {int(point.label.split()[0]): (point.x, point.y) for point in curve.points}
    # an end-pointer of up to 0.5 s takes every sound for a barge-in, a slower one none of 0.5 s
    assert found == {ms: (1.0, 0.0 if ms <= 500 else 1.0) for ms in NEEDED_MS}
    (point,) = own.points
    assert (point.x, point.y) == (1.0, 0.8)
    assert point.lo < 0.8 < point.hi
    assert len(section.tables[0].rows) == len(NEEDED_MS) + 1


def test_with_few_events_nothing_is_drawn(tmp_path, level_only):
    made = [item(tmp_path, n, "yield_within_1s_rate", 1.0, 1.0) for n in range(10)]
    section = operating_section(made, seed=1)
    assert section.charts == []
    assert "0 for not thrown off" in section.paragraphs[0]
    assert operating_section([], seed=1).charts == []


def test_the_fault_plays_the_dropped_reply_after_the_answer():
    user = silence(14 * S // 1920 * 1920)
    user[S // 2 : S] = 0.2
    user[3 * S : 4 * S] = 0.2  # the barge-in
    setup = SessionSetup(
        scenario={
            "conditions": {"event": "barge_in"},
            "user_spans": [{"start_s": 0.5, "end_s": 1.0}],
            "turn_end_s": 1.0,
        }
    )
    tracks = {}
    for spec in ("scripted_duplex:speech_s=5", "resumes_dropped+scripted_duplex:speech_s=5"):
        recording = new_recording(user)
        drive_lockstep(make_target(spec).open(setup), user, recording, lambda: None)
        tracks[spec[:8]] = recording.agent
    healthy, broken = tracks["scripted"], tracks["resumes_"]
    reply, _ = audible_stretches(healthy)
    assert reply.end_s == pytest.approx(3.1, abs=0.15)
    resumed = audible_stretches(broken)
    assert len(resumed) == 3
    whole = make_target("scripted_duplex:speech_s=5").open(setup)._said.reply
    heard = silence(0)
    for stretch in (resumed[0], resumed[2]):
        heard = np.concatenate(
            [heard, broken[round(stretch.start_s * S) : round(stretch.end_s * S)]]
        )
    # what was heard before and after the answer is the whole reply, but for the frames at the cut
    assert heard.size == pytest.approx(whole.size, abs=0.3 * S)
    tail = whole[-S : -S // 2]  # half a second that the healthy agent never says
    begins = np.flatnonzero(broken == tail[0])
    assert any(np.array_equal(broken[k : k + tail.size], tail) for k in begins if k > 4 * S)
    assert not any(np.array_equal(healthy[k : k + tail.size], tail) for k in begins)
