"""The hallucination suite end to end: a healthy target passes, each fault is caught by its own
metric alone, and what cannot be measured says why."""

import pytest

from sts_eval.planning import RunOptions
from sts_eval.runner import Progress, score_run, start_run
from sts_eval.selftest import HEALTHY, run_selftest

FAULTS = {"wrong_sums", "invents_facts", "misspeaks", "babbles"}
SUITE = """\
suite: answers
question: Does it say what is right, and admit what it cannot know?
seed: 5
target: answering
judges: {{asr: {asr}, vad: silero, second: {second}}}
cold_starts: 0
slices: [task, op]
scenarios:
  - kind: hallucination
    task: sum
    pick: {{kind: arithmetic, per_voice: {many}}}
    listen_s: 3
  - kind: hallucination
    task: chain
    pick: {{kind: arithmetic, per_voice: 1}}
    patience_s: 3
    listen_s: 3
  - kind: hallucination
    task: fact
    pick: {{kind: fact, per_voice: {many}}}
    listen_s: 3
  - kind: hallucination
    task: false_premise
    pick: {{kind: false_premise, per_voice: 2}}
    listen_s: 3
  - kind: hallucination
    task: unanswerable
    pick: {{kind: unanswerable, per_voice: 2}}
    listen_s: 3
  - kind: hallucination
    task: repeat
    pick: {{kind: dictation, per_voice: 1}}
    listen_s: 4
gates:
  - number_accuracy_rate >= 0.4
  - fact_accuracy_rate >= 0.3
  - fabrication_rate <= 0.3
  - text_voice_gap_ratio <= 0.15
  - repeat_word_error_ratio <= 0.5
  - degenerate_rate <= 0.2
"""


def suite_at(folder, *, asr="moonshine", second="none", many=4):
    path = folder / "answers.yaml"
    path.write_text(SUITE.format(asr=asr, second=second, many=many))
    return path


def run(suite, folder, target, limit=None):
    options = RunOptions(suite=suite, target=target, limit=limit, out=folder)
    return score_run(start_run(options, Progress()), Progress(), judge_reports=False)


def test_each_fault_is_caught_by_its_own_metric_alone(tmp_path):
    matrix = run_selftest((suite_at(tmp_path),), "answering", None, Progress())
    assert {row.fault for row in matrix.rows} == {HEALTHY, *FAULTS}
    for row in matrix.rows:
        assert row.alarms == row.expected, (row.fault, row.outcomes)


def test_a_misspoken_answer_is_blamed_on_the_voice(tmp_path):
    suite = suite_at(tmp_path, second="pocketsphinx_numbers", many=3)
    record = run(suite, tmp_path, "misspeaks:share=1+answering", limit=16)
    blamed = [o for o in record.observations if o.metric == "number_accuracy_rate"]
    assert blamed
    assert {o.slices["blame"] for o in blamed} <= {"speaking", "judge", "right"}
    assert sum(o.slices["blame"] == "speaking" for o in blamed) >= len(blamed) / 2
    titles = [section.id for section in record.sections]
    assert titles == ["sums", "claims", "degenerate"]
    assert record.failures == []


def test_without_judges_the_text_and_the_loops_are_still_measured(tmp_path):
    record = run(suite_at(tmp_path, asr="none"), tmp_path, "answering", limit=6)
    by_metric = {}
    for each in record.observations:
        by_metric.setdefault(each.metric, []).append(each)
    assert {o.reason for o in by_metric["number_accuracy_rate"]} == {"no ASR judge was asked for"}
    assert all(o.value == 1.0 for o in by_metric["number_accuracy_text_rate"])
    assert all(o.value == 0.0 for o in by_metric["loop_rate"])
    corrected = next(
        e for e in record.estimates if e.metric == "number_accuracy_corrected_rate" and not e.slice
    )
    assert corrected.value is None
    assert corrected.reason == "no ASR judge was asked for"


def test_a_judge_that_is_missing_is_a_reason_and_no_number(tmp_path):
    suite = suite_at(tmp_path, asr="endpoint:url=http://127.0.0.1:9/v1")
    record = run(suite, tmp_path, "answering", limit=4)
    reasons = {o.reason for o in record.observations if o.metric == "number_accuracy_rate"}
    assert reasons
    assert all("endpoint" in reason for reason in reasons)


def test_silence_is_degenerate_and_leaves_the_rest_unmeasured(tmp_path):
    record = run(suite_at(tmp_path, asr="none"), tmp_path, "silent", limit=6)
    found = {o.metric: o for o in record.observations}
    assert found["degenerate_rate"].value == 1.0
    assert found["silent_answer_rate"].value == 1.0
    content = [o for o in record.observations if "accuracy" in o.metric or "ratio" in o.metric]
    assert {o.reason for o in content} == {"degenerate output: silence"}


def test_a_target_that_fails_is_an_error_everywhere(tmp_path):
    record = run(suite_at(tmp_path, asr="none"), tmp_path, "scripted_duplex", limit=2)
    assert {o.status.value for o in record.observations} == {"error"}
    assert record.exit_code == 4


@pytest.mark.parametrize("task", ["sum", "chain", "fact", "repeat"])
def test_a_stimulus_without_the_answer_is_refused_at_once(tmp_path, task):
    from sts_eval.planning import RunError

    text = SUITE.format(asr="none", second="none", many=1)
    path = tmp_path / "wrong.yaml"
    path.write_text(text.replace("task: unanswerable", f"task: {task}"))
    with pytest.raises(RunError, match=f"cannot be a {task}"):
        start_run(RunOptions(suite=path, out=tmp_path), Progress())
