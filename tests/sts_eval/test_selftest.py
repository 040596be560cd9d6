"""The detection matrix: each timing fault is caught by its own metric, and by no other."""

import pytest

from sts_eval.runner import Progress
from sts_eval.selftest import EXPECTED, HEALTHY, Matrix, Row, run_selftest

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
    matrix = run_selftest((path,), "scripted", None, Progress())
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
    row = Row("s", "echo", outcomes, frozenset({"echo_rate"}))
    assert row.ok is ok
    assert Matrix([row]).ok is ok
    assert not Matrix().ok
