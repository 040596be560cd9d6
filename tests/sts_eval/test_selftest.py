"""The detection matrix: each timing fault is caught by its own metric, and by no other."""

from pathlib import Path

import pytest

from sts_eval import runner
from sts_eval.planning import RunError
from sts_eval.runner import Progress
from sts_eval.selftest import (
    EXPECTED,
    HEALTHY,
    Matrix,
    Row,
    console_matrix,
    control_of,
    run_selftest,
)
from sts_eval.suite import load_suite
from sts_eval.targets import TARGETS

SUITES = sorted((Path(__file__).parents[2] / "suites").glob("*.yaml"))

SUITE = """\
suite: faults
question: Does each metric catch its own fault?
seed: 11
target: scripted
judges: {asr: none, vad: silero}
cold_starts: 0
scenarios:
  - kind: question
    pick: {kind: fact, per_voice: 3}
    conditions: {snr_db: [null, 10], noise: [street]}
    lead_s: [0.4, 0.6]
    listen_s: 2
  - kind: question_with_pause
    pick: {kind: fact, per_voice: 3}
    pause_s: [0.8]
    lead_s: [0.4, 0.6]
    listen_s: 2
gates:
  - response_rate >= 0.7
  - response_onset_audio_ms.p50 <= 600
  - already_speaking_rate <= 0.3
  - agent_interruption_rate <= 0.3
  - takeover_in_pause_rate <= 0.5
  - dropout_rate <= 0.3
  - echo_rate <= 0.3
  - missed_deadline_ratio <= 0.05
"""


def test_every_fault_is_caught_by_its_own_metric_alone(tmp_path):
    path = tmp_path / "faults.yaml"
    path.write_text(SUITE)
    matrix = run_selftest((path,), None, None, Progress())
    assert {row.target for row in matrix.rows} == {"scripted"}
    gated = set(matrix.rows[0].outcomes)
    of_suite = {fault for fault, metrics in EXPECTED.items() if metrics & gated}
    assert len(of_suite) == 9
    assert {row.fault for row in matrix.rows} == {HEALTHY, *of_suite}
    for row in matrix.rows:
        assert row.alarms == row.expected, (row.fault, row.outcomes)
    assert matrix.ok


@pytest.mark.parametrize(
    ("outcomes", "ok"),
    [
        ({"echo_rate": "FAIL", "response_rate": "INCONCLUSIVE"}, True),
        ({"echo_rate": "PASS", "response_rate": "PASS"}, False),
        ({"echo_rate": "FAIL", "response_rate": "FAIL"}, False),
        ({"echo_rate": "INCONCLUSIVE", "response_rate": "PASS"}, False),
    ],
)
def test_missed_and_false_alarms_are_not_ok(outcomes, ok):
    row = Row("s", "scripted", "echo", outcomes, frozenset({"echo_rate"}))
    assert row.ok is ok
    assert Matrix([row]).ok is ok
    assert not Matrix().ok


@pytest.mark.parametrize("path", [path for path in SUITES if load_suite(path).gates], ids=str)
def test_every_packaged_suite_has_a_healthy_target_and_faults(path):
    suite = load_suite(path)
    assert control_of(suite) in TARGETS.entries()
    gated = {gate.metric for gate in suite.gates}
    assert any(metrics & gated for metrics in EXPECTED.values())


def test_the_profile_of_a_suite_says_how_many_scenarios_decide(tmp_path, monkeypatch):
    path = tmp_path / "faults.yaml"
    path.write_text(SUITE + "profiles:\n  selftest: {limit: 3, min_n: 2}\n")
    planned = []

    def start(options, progress):
        planned.append((options.limit, options.profile))
        raise RunError("planned")

    monkeypatch.setattr(runner, "start_run", start)
    for limit in (None, 5):
        with pytest.raises(RunError, match="planned"):
            run_selftest((path,), None, limit, Progress())
    assert planned == [(None, "selftest"), (5, None)]


MIXED = """\
suite: mixed
question: Which target is healthy here?
scenarios:
  - {kind: question, pick: {kind: fact, per_voice: 1}}
  - {kind: hallucination, task: fact, pick: {kind: fact, per_voice: 1}}
gates:
  - response_rate >= 0.5
"""


def test_kinds_that_do_not_agree_need_a_named_target(tmp_path):
    path = tmp_path / "mixed.yaml"
    path.write_text(MIXED)
    with pytest.raises(RunError, match=r"\(answering, scripted\): name one with --target"):
        run_selftest((path,), None, None, Progress())


def test_a_suite_without_gates_is_named_and_does_not_pass(tmp_path, capsys):
    path = tmp_path / "open.yaml"
    path.write_text(MIXED.partition("gates:")[0])
    matrix = run_selftest((path,), None, None, Progress())
    assert (matrix.rows, matrix.skipped, matrix.ok) == ([], ["mixed"], False)
    console_matrix(matrix)
    assert "mixed has no gate" in capsys.readouterr().out


def test_the_last_table_names_what_was_missed_and_what_was_false(capsys):
    own = frozenset({"echo_rate"})
    rows = [
        Row("s", "scripted", "echo", {"echo_rate": "FAIL", "response_rate": "PASS"}, own),
        Row("t", "scripted", "echo", {"echo_rate": "PASS", "response_rate": "FAIL"}, own),
    ]
    console_matrix(Matrix(rows))
    last = capsys.readouterr().out.partition("All faults")[2]
    found = [line.split("│")[1:-1] for line in last.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in line] for line in found] == [
        ["s", "echo", "echo_rate", "-", "-", "yes"],
        ["t", "echo", "-", "echo_rate", "response_rate", "NO"],
    ]
