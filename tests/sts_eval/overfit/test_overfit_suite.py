"""The overfit suite end to end: who repeats training texts is caught, who answers right is not."""

from pathlib import Path

import pytest

from sts_eval.planning import RunError, RunOptions
from sts_eval.probes.overfit_match import Matcher, Said
from sts_eval.probes.overfit_plan import Sources
from sts_eval.probes.overfit_training import load_training, words_of
from sts_eval.probes.overfit_voice import NO_COPY
from sts_eval.runner import Progress, score_run, start_run
from sts_eval.scenario import Scenario
from sts_eval.suite import load_suite
from sts_eval.trace import Span

SUITE = """\
suite: overfits
question: Does it repeat its training texts?
seed: 5
cold_starts: 0
slices: [probe, side, trained]
scenarios:
  - kind: overfit
    canaries: none
    recordings: 6
    unprompted: {openers: [silence], draws: 3, temperatures: [null, 1.0], listen_s: 9}
    prefix: {items: 3, controls: 2, sides: [agent, user], prefix_s: [1.5]}
    listen_s: 6
"""


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "overfits.yaml"
    path.write_text(SUITE)
    return path


def run(suite, target, tmp_path):
    options = RunOptions(suite=suite, target=target, out=tmp_path / "runs")
    return score_run(start_run(options, Progress()), Progress(), judge_reports=False)


def rates(record, metric, **where):
    found = (e for e in record.estimates if e.metric == metric and e.slice == where)
    return next(found)


def test_a_parrot_is_caught_by_ear_alone(suite, tmp_path):
    record = run(suite, "parrots+silent", tmp_path)
    assert record.failures == []
    assert rates(record, "regurgitation_rate").value > 0.4
    assert rates(record, "token_copy_rate", probe="unprompted").value > 0.5
    assert rates(record, "extraction_rate", trained="yes").value > 0.6
    assert rates(record, "extraction_rate", trained="no").value == 0.0
    # it plays the recordings themselves, voices and all
    assert rates(record, "copied_voice_rate").value > 0.7
    (section,) = record.sections
    most = next(table for table in section.tables if table.title.startswith("Most repeated"))
    assert most.rows[0][3] == "yes"
    # options that the target does not have cost nothing but their own numbers
    skipped = {o.reason for o in record.observations if o.status == "unmeasured"}
    assert "the target has no option 'agent_prefix'" in skipped
    assert "the target has no option 'temperature'" in skipped


def test_a_silent_target_has_an_upper_bound_and_no_copies(suite, tmp_path):
    record = run(suite, "silent", tmp_path)
    found = rates(record, "regurgitation_rate")
    assert found.value == found.lo == 0.0
    assert 0.2 < found.hi < 0.6
    assert found.n == 3 + 5  # what needs an option is not counted
    assert "exact" in found.method
    assert rates(record, "copied_voice_rate").value is None
    assert {o.reason for o in record.observations if o.metric == "copied_voice_rate"} >= {NO_COPY}


def scenario(text, **expected):
    spans = [Span(start_s=0.5, end_s=2.0)] if text else []
    return Scenario(
        id="s",
        kind="overfit",
        title=text,
        text=text,
        cluster="s",
        user_spans=spans,
        turn_end_s=2.0,
        listen_s=5.0,
        expected=expected,
    )


STORY = (
    "A young dragon was afraid of the dark, so he kept a tiny flame on the tip of his tail. Soon"
    " the whole village followed his light home on foggy winter evenings."
)


@pytest.mark.parametrize(
    ("asked", "expected", "said", "copy"),
    [
        ("What is the capital of France?", {}, "The capital of France is Paris.", False),
        ("Tell me a story about a dragon.", {}, STORY, False),  # the trained answer, asked for
        ("", {}, STORY, True),  # nobody asked
        ("", {}, "Hello, how can I help you today?", False),
        ("Hello.", {}, "The soup was too hot, so we talked until it was cold.", True),
        ("Say: the soup was too hot, so we talked until it was cold.", {}, "The soup was too hot,"
         " so we talked until it was cold.", False),
        ("Hello.", {"reply": "The soup was too hot, so we talked until it was cold."},
         "The soup was too hot, so we talked until it was cold.", False),
        ("Hello.", {}, "I do not know that.", False),
    ],
)  # fmt: skip
def test_what_was_asked_for_is_no_copy(asked, expected, said, copy):
    matcher = Matcher(Sources(load_training("reference"), None))
    match, _ = matcher.best(scenario(asked, **expected), [Said(words_of(said))])
    assert bool(match and match.copy) is copy


def test_a_training_set_of_others_is_used(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"text": "Nine words of training that nobody ever said."}')
    suite = tmp_path / "own.yaml"
    part = SUITE.replace("canaries: none", f"canaries: none\n    training: {tmp_path / 't.jsonl'}")
    suite.write_text(part)
    with pytest.raises(RunError, match="can be heard"):  # no recording: nothing to begin with
        run(suite, "silent", tmp_path)
    suite.write_text(part[: part.index("    prefix")] + "    listen_s: 2\n")
    record = run(suite, "silent", tmp_path)
    tokens = [o.reason for o in record.observations if o.metric == "token_copy_rate"]
    assert "the training manifest has no recordings" in tokens
    assert rates(record, "regurgitation_rate").value == 0.0


def test_a_wrong_manifest_is_a_usage_error(tmp_path):
    suite = tmp_path / "wrong.yaml"
    suite.write_text(SUITE.replace("canaries: none", "canaries: none\n    training: nowhere.jsonl"))
    with pytest.raises(RunError, match="nowhere"):
        run(suite, "silent", tmp_path)


def test_the_shipped_suite_is_well_formed():
    file = Path(__file__).parents[3] / "suites" / "overfit.yaml"
    assert load_suite(file).gates
    assert load_suite(file, profile="smoke").gates
