"""Whole folders through the shipped suite: both scorers, their disagreements, and bad items."""

import io
import json

import numpy as np
import pytest
import soundfile
from rich.console import Console

import sts_eval.judges
from sts_eval.gate import parse_gate
from sts_eval.observation import Status
from sts_eval.outputs import console_table
from sts_eval.probes.full_duplex_bench_specs import BY_NAME
from sts_eval.runner import RunError
from sts_eval.target import TargetError

LENGTH_S = 7.0


def stamp(start_s, end_s):
    return [{"text": "[MARK]", "timestamp": [start_s, end_s]}]


@pytest.fixture
def no_asr(monkeypatch):
    """Fails the test when an ASR judge is asked for."""

    def refuse(name):
        raise AssertionError(f"the ASR judge {name} was asked for")

    monkeypatch.setattr(sts_eval.judges, "load_asr", refuse)


@pytest.fixture
def question(bench):
    """A user track with a question from 0.5 s on, and where the question ends."""
    speech = bench.speech(0)
    return bench.track(LENGTH_S, (0.5, speech)), 0.5 + speech.size / 24_000


def reasons(record, metric="fdb_disagreement_rate"):
    return {o.scenario_id: o.reason for o in record.observations if o.metric == metric}


def test_turn_taking_twice(bench, question, tmp_path, values, no_asr):
    user, end_s = question
    task, marks = "v1_0/candor_turn_taking", {"turn_taking": stamp(end_s, end_s + 1)}
    answer = bench.track(LENGTH_S, (end_s + 0.6, bench.speech(200)))
    said = [("Nine", end_s + 0.65, end_s + 1.0), ("is", end_s + 1.2, end_s + 1.8)]
    bench.item(f"{task}/1", user, answer, said, **marks)
    talk = bench.track(LENGTH_S, (0.0, bench.speech(200, LENGTH_S)))
    bench.item(f"{task}/2", user, talk, [("On", 0.1, 0.3), ("on", 6.0, 6.4)], **marks)
    short = bench.track(LENGTH_S, (end_s + 0.6, bench.speech(200, 0.5)))
    bench.item(f"{task}/3", user, short, [(" Nine.", end_s + 0.65, end_s + 1.0)], **marks)
    bench.item(f"{task}/4", user, bench.track(LENGTH_S), [], **marks)
    record = bench.run(tmp_path)
    name = "candor_turn_taking"
    ids = [f"{name}.{k}" for k in (1, 2, 3, 4)]
    found = values(record, f"fdb_compat/{name}/tor")
    assert [found[k] for k in ids] == [1, 1, 0, 0]
    found = values(record, f"fdb_compat/{name}/latency_s")
    assert found == {ids[0]: pytest.approx(0.65), ids[1]: 0, ids[2]: None, ids[3]: None}
    assert list(values(record, f"strict/{name}/tor").values()) == [1, 0, 1, 0]
    assert list(values(record, f"strict/{name}/already_speaking_rate").values()) == [0, 1, 0, 0]
    found = values(record, f"strict/{name}/latency_s")
    assert found[ids[0]] == found[ids[2]] == pytest.approx(0.6, abs=0.03)
    assert found[ids[1]] is found[ids[3]] is None
    # the two agree on the answer and on silence, and the others are listed with what each says
    assert list(values(record, "fdb_disagreement_rate").values()) == [0, 1, 1, 0]
    assert "took the turn after 0.00 s; strict: already speaking" in reasons(record)[ids[1]]
    assert "did not take the turn; strict: answered after +0.6" in reasons(record)[ids[2]]
    listed = next(note for note in record.notes if "disagree on 2 of 4 items" in note)
    assert ids[1] in listed
    assert ids[2] in listed
    assert ids[0] not in listed
    # every number has its interval, and tasks that are not there are not listed as unmeasured
    rate = next(e for e in record.estimates if e.key == f"strict/{name}/tor.rate")
    assert (rate.value, rate.n) == (0.5, 4)
    assert 0 < rate.lo < 0.5 < rate.hi < 1
    assert not any("icc_backchannel" in spec.name for spec in record.metrics)
    assert record.exit_code == 0


def test_pauses_twice(bench, question, tmp_path, values, no_asr):
    user, end_s = question
    marks = {"pause": stamp(1.0, 1.6)}
    words = [("So", 1.3, 1.5), ("it", 2.0, 2.6)]
    task = "synthetic_pause_handling"
    taken = bench.track(LENGTH_S, (1.2, bench.speech(200)))
    bench.item(f"{task}/taken", user, taken, words, **marks)
    later = bench.track(LENGTH_S, (end_s + 0.5, bench.speech(200)))
    bench.item(f"{task}/waited", user, later, words, **marks)
    talk = bench.track(LENGTH_S, (0.0, bench.speech(200, LENGTH_S)))
    bench.item(f"{task}/talks", user, talk, words, **marks)
    record = bench.run(tmp_path)
    assert set(values(record, f"fdb_compat/{task}/tor").values()) == {1.0}
    strict = values(record, f"strict/{task}/tor")
    assert strict == {f"{task}.taken": 1, f"{task}.waited": 0, f"{task}.talks": None}
    already = values(record, f"strict/{task}/already_speaking_rate")
    assert already == {f"{task}.taken": 0, f"{task}.waited": 0, f"{task}.talks": 1}
    apart = values(record, "fdb_disagreement_rate")
    assert apart == {f"{task}.taken": 0, f"{task}.waited": 1, f"{task}.talks": 1}


def test_interruption_yield_and_judge_words(bench, question, tmp_path, values):
    user, _ = question
    cut = bench.speech(7)
    start_s, end_s = 3.5, 3.5 + cut.size / 24_000
    user = bench.track(9.0, (0.3, bench.speech(0)), (start_s, cut))
    agent = bench.track(9.0, (2.0, bench.speech(200, 2.2)), (end_s + 0.7, bench.speech(201)))
    bench.item("synthetic_user_interruption/1", user, agent, interrupt=stamp(start_s, end_s))
    record = bench.run(tmp_path)
    task = "synthetic_user_interruption"
    # the agent speaks from 2.0 to 4.2 s; the interruption begins at 3.5 s
    [yielded] = values(record, f"strict/{task}/yield_latency_s").values()
    assert yielded == pytest.approx(0.7, abs=0.15)
    assert list(values(record, f"strict/{task}/yield_rate").values()) == [1]
    [signed] = values(record, f"strict/{task}/latency_s").values()
    assert signed == pytest.approx(0.7, abs=0.05)
    # no output.json: real words of the ASR judge, those before the interruption's end left out
    [published] = values(record, f"fdb_compat/{task}/latency_s").values()
    assert published == pytest.approx(0.7, abs=0.3)
    assert any("1 item has no output.json" in note for note in record.notes)
    assert record.scenarios[0].heard_text


def test_backchannels_twice(bench, tmp_path, values, no_asr):
    user = bench.track(8.0, (0.3, bench.speech(3, 7.2)))
    mm = bench.speech(5, 0.7)
    density = {"1": [0.0] * 10 + [1.0] * 4 + [0.0] * 26, "2": [1.0] * 40, "3": [1.0] * 40}
    task = "icc_backchannel"
    bench.item(f"{task}/1", user, bench.track(8.0, (2.0, mm)), [("mm", 2.1, 2.5)])
    bench.item(f"{task}/2", user, bench.track(8.0), [])
    long_then_short = bench.track(8.0, (0.5, bench.speech(200, 2.0)), (6.0, mm))
    bench.item(f"{task}/3", user, long_then_short, [("mm", 6.1, 6.5)])
    bench.item(f"{task}/4", user, bench.track(8.0, (2.0, mm)), [("mm", 2.1, 2.5)])
    (bench.root / "icc_gt_distribution.json").write_text(json.dumps(density))
    record = bench.run(tmp_path)
    frequency = values(record, f"fdb_compat/{task}/backchannel_freq_hz")
    assert list(frequency.values()) == [0.125, 0, 0.125, 0.125]
    published, strict = (values(record, f"{s}/{task}/jsd") for s in ("fdb_compat", "strict"))
    assert published[f"{task}.1"] < 0.3
    assert published[f"{task}.2"] == 1.0
    assert strict[f"{task}.2"] is None
    assert published[f"{task}.4"] is strict[f"{task}.4"] is None
    assert "no entry '4'" in reasons(record, f"fdb_compat/{task}/jsd")[f"{task}.4"]
    # 2 s of speech before the "mm" are forgotten by the published rule only
    assert values(record, f"fdb_compat/{task}/tor")[f"{task}.3"] == 0
    assert values(record, f"strict/{task}/tor")[f"{task}.3"] == 1
    # taken for 16 kHz, 0.7 s at 24 kHz last 1.05 s: no back-channel any more
    assumed = values(record, f"fdb_compat/{task}/tor_assumed_16k")
    assert (assumed[f"{task}.1"], assumed[f"{task}.2"]) == (1, 0)
    assert "JSD 1.0 for silence" in reasons(record)[f"{task}.2"]


def test_jsd_without_the_human_density(bench, tmp_path):
    user = bench.track(4.0, (0.3, bench.speech(3, 3.0)))
    bench.item("icc_backchannel/1", user, bench.track(4.0), [])
    found = reasons(bench.run(tmp_path), "fdb_compat/icc_backchannel/jsd")
    assert "there is no icc_gt_distribution.json" in found["icc_backchannel.1"]


def test_v15_events(bench, tmp_path, values, no_asr):
    event = bench.speech(7, 1.0)
    user = bench.track(9.0, (0.2, bench.speech(0, 1.8)), (4.0, event))
    stops = bench.track(9.0, (2.5, bench.speech(200, 2.1)), (5.8, bench.speech(201, 1.5)))
    talks = bench.track(9.0, (2.5, bench.speech(200, 6.0)))
    meta = {"timestamps": [4.0, 5.0], "context_text": "", "current_turn_text": ""}
    for task in ("user_interruption", "background_speech"):
        bench.item(f"v1_5/{task}/stops", user, stops, metadata=meta)
        bench.item(f"v1_5/{task}/talks", user, talks, metadata=meta)
    record = bench.run(tmp_path)
    for task in ("user_interruption", "background_speech"):
        found = values(record, f"fdb_compat/{task}/stop_latency_s")
        assert found[f"{task}.stops"] == pytest.approx(0.65, abs=0.2)
        # the agent that talks on is credited with the length of the user's words
        assert found[f"{task}.talks"] == pytest.approx(1.0, abs=0.2)
    strict = values(record, "strict/user_interruption/yield_rate")
    assert strict == {"user_interruption.stops": 1, "user_interruption.talks": 0}
    selective = values(record, "strict/background_speech/selectivity_rate")
    assert selective == {"background_speech.stops": 0, "background_speech.talks": 1}
    apart = values(record, "fdb_disagreement_rate")
    assert [apart[f"{t}.talks"] for t in ("user_interruption", "background_speech")] == [1, 1]
    assert [apart[f"{t}.stops"] for t in ("user_interruption", "background_speech")] == [0, 0]


BAD = {
    "not-json": ("output", "{", "output.json: not readable JSON"),
    "a-list": ("output", [], "expected an object with a list `chunks`"),
    "no-text": ("output", {"chunks": [{"timestamp": [0, 1]}]}, "`text` is not a string"),
    "one-time": ("output", {"chunks": [{"text": "a", "timestamp": [1]}]}, "expected [start, end]"),
    "words-time": ("output", {"chunks": [{"text": "a", "timestamp": ["0", 1]}]}, "not a number"),
    "nan": ("output", {"chunks": [{"text": "a", "timestamp": [float("nan"), 1]}]}, "not a number"),
    "no-list": ("turn_taking", {}, "expected a list with at least one entry"),
    "no-stamp": ("turn_taking", [3], "timestamp: expected [start, end]"),
    "no-start": ("turn_taking", stamp(None, 3), "needs a start"),
    "deep": ("output", "[" * 100_000, "not readable JSON"),
}


def test_items_of_the_wrong_shape_are_errors_and_the_run_goes_on(bench, question, tmp_path, no_asr):
    user, end_s = question
    agent = bench.track(LENGTH_S, (end_s + 0.5, bench.speech(200)))
    task = "candor_turn_taking"
    for name, (stem, body, _) in BAD.items():
        folder = bench.item(f"{task}/{name}", user, agent, [], turn_taking=stamp(end_s, end_s))
        text = body if isinstance(body, str) else json.dumps(body)
        (folder / f"{stem}.json").write_text(text)
    bench.item(f"{task}/missing", user, agent, [])
    bench.item(f"{task}/good", user, agent, [("a", 4, 4.1)], turn_taking=stamp(end_s, end_s))
    (bench.item(f"{task}/mute", user, agent, [], turn_taking=stamp(1, 1)) / "output.wav").unlink()
    record = bench.run(tmp_path)
    errors = {s.id.removeprefix(f"{task}."): s.error for s in record.scenarios}
    assert errors.pop("good") == ""
    assert "turn_taking.json: No such file" in errors.pop("missing")
    assert "no output.wav" in errors.pop("mute")
    for name, (_, _, reason) in BAD.items():
        assert reason in errors.pop(name), name
    assert not errors
    rate = next(e for e in record.estimates if e.metric == f"fdb_compat/{task}/tor")
    assert (rate.n, rate.n_error) == (1, len(BAD) + 2)
    assert record.exit_code == 4


def test_an_event_that_ends_before_it_begins(bench, question, tmp_path):
    user, _ = question
    bench.item("synthetic_user_interruption/1", user, user, [], interrupt=stamp(3, 1))
    bench.item("v1_5/talking_to_other/1", user, user, metadata={"timestamps": [1]})
    errors = [scenario.error for scenario in bench.run(tmp_path).scenarios]
    assert "interrupt.json: timestamp: [3, 1] is not an interval" in errors[0]
    assert "metadata.json: timestamps: expected [start, end]" in errors[1]


def test_folders_that_cannot_be_scored(bench, question, tmp_path):
    with pytest.raises(TargetError, match="no items"):
        bench.run(tmp_path)
    user, end_s = question
    for model in ("a", "b"):
        marks = {"turn_taking": stamp(end_s, end_s)}
        bench.item(f"{model}/candor_turn_taking/1", user, user, [], **marks)
    with pytest.raises(TargetError, match="is there twice"):
        bench.run(tmp_path)


def test_a_task_folder_itself(bench, question, tmp_path, values, no_asr):
    user, end_s = question
    bench.item("candor_turn_taking/1", user, user, [], turn_taking=stamp(end_s, end_s))
    target = f"recorded:path={bench.root / 'candor_turn_taking'}"
    record = bench.run(tmp_path, target=target)
    assert list(values(record, "fdb_compat/candor_turn_taking/tor").values()) == [0]


def test_the_user_side_drives_a_live_target(bench, question, tmp_path, values):
    user, end_s = question
    marks = {"turn_taking": stamp(end_s, end_s)}
    bench.item("candor_turn_taking/1", user, user, [("no", 0.1, 0.2)], **marks)
    bad = bench.item("candor_turn_taking/2", user, user, [], **marks)
    (bad / "turn_taking.json").write_text("{}")
    suite = tmp_path / "live.yaml"
    suite.write_text(
        "suite: live\nquestion: Does it answer?\njudges: {asr: none, vad: silero}\n"
        f"scenarios:\n  - kind: full_duplex_bench\n    folder: {bench.root}\n    listen_s: 4\n"
        "gates:\n  - strict/candor_turn_taking/tor >= 0.01\n"
    )
    record = bench.run(tmp_path, target="scripted", suite=suite)
    tor = {o.scenario_id: o for o in record.observations if o.metric.endswith("taking/tor")}
    assert tor["candor_turn_taking.2"].status is Status.ERROR
    assert "expected a list" in tor["candor_turn_taking.2"].reason
    strict = values(record, "strict/candor_turn_taking/tor")
    assert strict["candor_turn_taking.1"] == 1
    # the recorded output.json belongs to another model: without a judge there are no words
    compat = reasons(record, "fdb_compat/candor_turn_taking/tor")
    assert "no output.json, and no ASR judge" in compat["candor_turn_taking.1"]


@pytest.mark.parametrize(
    ("target", "tor", "already"),
    [("scripted", 1, 0), ("always_talking+scripted", 0, 1), ("silent+scripted", 0, 0)],
)
def test_faults_are_seen_by_the_strict_scorer(
    bench, question, tmp_path, values, target, tor, already
):
    user, end_s = question
    bench.item("candor_turn_taking/1", user, user, turn_taking=stamp(end_s, end_s))
    suite = tmp_path / "live.yaml"
    suite.write_text(
        "suite: live\nquestion: Is the fault seen?\njudges: {asr: none, vad: silero}\n"
        f"scenarios:\n  - kind: full_duplex_bench\n    folder: {bench.root}\n"
    )
    record = bench.run(tmp_path, target=target, suite=suite)
    [took] = values(record, "strict/candor_turn_taking/tor").values()
    [before] = values(record, "strict/candor_turn_taking/already_speaking_rate").values()
    assert (took, before) == (tor, already)


def test_a_live_target_needs_the_folder(bench, tmp_path):
    with pytest.raises(RunError, match="recorded:path=FOLDER, or give the block `folder:`"):
        bench.run(tmp_path, target="scripted")


def test_gates_name_metrics_with_slashes():
    gate = parse_gate("strict/candor_turn_taking/latency_s.p50 <= 800 ms", BY_NAME)
    assert (gate.metric, gate.bound) == ("strict/candor_turn_taking/latency_s", 0.8)
    gate = parse_gate("fdb_compat/icc_backchannel/tor no worse than baseline by 5 %", BY_NAME)
    assert (gate.bound, gate.baseline) == (0.05, True)


def test_no_metric_repairs_a_defect_in_silence():
    """Each published metric says what is wrong with it."""
    published = [spec for name, spec in BY_NAME.items() if name.startswith("fdb_compat/")]
    assert len(published) == 20
    assert all("Known defects, kept" in spec.limits for spec in published)
    assert all(spec.clamped for spec in published if spec.name.endswith("/latency_s"))
    assert not any(spec.clamped for name, spec in BY_NAME.items() if name.startswith("strict/"))


def test_long_names_leave_room_for_values_in_a_terminal(bench, question, tmp_path, no_asr):
    user, end_s = question
    marks = {"interrupt": stamp(2.0, end_s)}
    bench.item("synthetic_user_interruption/1", user, user, [("a", 1, 9)], **marks)
    out = Console(width=80, file=io.StringIO())
    console_table(bench.run(tmp_path), out)
    lines = out.file.getvalue().splitlines()
    row = next(k for k, line in enumerate(lines) if "fdb_compat/synthetic_user_inter" in line)
    assert "100 % [2.5," in lines[row]
    assert lines[row + 1].strip().startswith("tor.rate")


def test_any_rate_and_length_of_output(bench, question, tmp_path, values, no_asr):
    user, end_s = question
    agent = bench.track(LENGTH_S, (end_s + 0.5, bench.speech(200)))[: 24_000 * 6]
    marks = {"turn_taking": stamp(end_s, end_s)}
    folder = bench.item("candor_turn_taking/1", user, agent, [("a", 5, 6.1)], **marks)
    soundfile.write(folder / "output.wav", np.repeat(agent[::3], 6), 48_000)
    record = bench.run(tmp_path)
    [latency] = values(record, "strict/candor_turn_taking/latency_s").values()
    assert latency == pytest.approx(0.5, abs=0.05)
