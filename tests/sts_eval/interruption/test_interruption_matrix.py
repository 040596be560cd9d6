"""The interruption suite end to end: planning, rendering, scoring, and the detection matrix."""

import pytest

from sts_eval.planning import RunOptions
from sts_eval.runner import Progress, score_run, start_run
from sts_eval.selftest import HEALTHY, run_selftest
from sts_eval.suite import load_suite
from sts_eval.yamlfile import SuiteErrors

SUITE = """\
suite: interruptions
question: Does it yield to barge-ins, and to nothing else?
seed: 5
target: scripted_duplex
judges: {asr: none, vad: silero}
cold_starts: 0
slices: [event]
scenarios:
  - kind: interruption
    event: barge_in
    pick: {kind: long, per_voice: 2}
    at_s: [0.6, 2.0]
    listen_s: 4
  - kind: interruption
    event: stop
    pick: {kind: long, per_voice: 2}
    at_s: [0.6]
    listen_s: 3
  - kind: interruption
    event: backchannel
    pick: {kind: long, per_voice: 2}
    at_s: [0.6]
    listen_s: 2.5
  - kind: interruption
    event: background_speech
    agent: silent
    pick: {kind: long, per_voice: 1}
    at_s: [0.6]
    listen_s: 2.5
  - kind: interruption
    event: vocal_tic
    pick: {kind: long, per_voice: 1}
    at_s: [0.6]
    listen_s: 2.5
gates:
  - yield_within_1s_rate >= 0.7
  - selectivity_rate >= 0.7
"""


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "interruptions.yaml"
    path.write_text(SUITE)
    return path


def test_each_fault_is_caught_by_its_own_metric_alone(suite):
    matrix = run_selftest((suite,), "scripted_duplex", None, Progress())
    assert {row.fault for row in matrix.rows} == {HEALTHY, "never_yields", "yields_to_everything"}
    for row in matrix.rows:
        assert row.alarms == row.expected, (row.fault, row.outcomes)
    healthy = next(row for row in matrix.rows if row.fault == HEALTHY)
    assert set(healthy.outcomes.values()) == {"PASS"}


def test_a_silent_target_leaves_its_events_unmeasured_with_the_reason(suite, tmp_path):
    options = RunOptions(suite=suite, target="silent", limit=6, out=tmp_path)
    record = score_run(start_run(options, Progress()), Progress(), judge_reports=False)
    yields = [o for o in record.observations if o.metric == "yield_within_1s_rate"]
    assert yields
    assert {(o.status.value, o.reason) for o in yields} == {("unmeasured", "the agent never spoke")}
    estimate = next(e for e in record.estimates if e.metric == "yield_latency_ms")
    assert estimate.value is None


def test_the_event_is_drawn_where_it_was_played(suite, tmp_path):
    options = RunOptions(suite=suite, limit=2, out=tmp_path)
    record = score_run(start_run(options, Progress()), Progress(), judge_reports=False)
    for scenario in record.scenarios:
        (mark,) = [m for m in scenario.marks if m.label in ("barge in", "stop", "backchannel")]
        asked_s = scenario.user_spans[0].end_s
        assert asked_s < mark.start_s < mark.end_s
        assert any(s.start_s < mark.start_s < s.end_s for s in scenario.agent_spans)


def test_a_barge_in_out_of_silence_is_refused_with_its_line(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(SUITE.replace("event: barge_in", "event: barge_in\n    agent: silent"))
    with pytest.raises(SuiteErrors, match="no interruption"):
        load_suite(path)


PAUSES = """\
suite: pauses
question: Does it wait while the user pauses?
seed: 5
target: scripted_duplex
judges: {asr: none, vad: silero}
cold_starts: 0
slices: [event, pause_s]
scenarios:
  - kind: interruption
    event: pause
    agent: silent
    pick: {kind: fact, per_voice: 3}
    pause_s: [0.4, 1.0]
    listen_s: 2.5
gates:
  - takeover_in_pause_rate <= 0.5
  - agent_interruption_rate <= 0.5
"""


def test_who_takes_pauses_is_caught_and_who_cuts_in_is_told_from_it(tmp_path):
    path = tmp_path / "pauses.yaml"
    path.write_text(PAUSES)
    matrix = run_selftest((path,), None, None, Progress())
    assert {row.fault for row in matrix.rows} == {HEALTHY, "takes_pauses", "cuts_user_off"}
    for row in matrix.rows:
        assert row.alarms == row.expected, (row.fault, row.outcomes)
    assert set(matrix.rows[0].outcomes.values()) == {"PASS"}


def test_a_pause_lies_inside_the_turn_and_its_lengths_are_dealt_round(tmp_path):
    path = tmp_path / "pauses.yaml"
    path.write_text(PAUSES)
    options = RunOptions(suite=path, out=tmp_path)
    record = score_run(start_run(options, Progress()), Progress(), judge_reports=False)
    lengths = [scenario.conditions["pause_s"] for scenario in record.scenarios]
    assert lengths.count("0.4") == lengths.count("1") == 6
    for scenario in record.scenarios:
        before, after = scenario.user_spans
        (mark,) = [mark for mark in scenario.marks if mark.kind == "pause"]
        assert (mark.start_s, mark.end_s) == (before.end_s, after.start_s)
        assert after.start_s - before.end_s == pytest.approx(
            float(scenario.conditions["pause_s"]), abs=0.02
        )
        answered_s = scenario.agent_spans[0].start_s
        assert 0.2 <= answered_s - after.end_s <= 0.5  # it answers the end, not the pause


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    agent: silent\n", "", "listens while the user pauses"),
        ("pause_s: [0.4, 1.0]", "at_s: [0.4]", "pause needs pause_s, and takes no at_s"),
        ("event: pause", "event: vocal_tic", "vocal_tic needs at_s, and takes no pause_s"),
    ],
)
def test_a_pause_that_cannot_be_made_is_refused(tmp_path, old, new, message):
    path = tmp_path / "wrong.yaml"
    path.write_text(PAUSES.replace(old, new))
    with pytest.raises(SuiteErrors, match=message):
        load_suite(path)
