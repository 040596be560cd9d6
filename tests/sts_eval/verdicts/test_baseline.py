"""Baselines: what is accepted and refused, what the file says, how it is read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sts_eval.baseline import (
    MOST_VALUES,
    accept,
    baseline_observations,
    load_baseline,
    save_baseline,
)
from sts_eval.observation import Observation, Outcome, Status, Verdict
from sts_eval.record import RecordError, RunRecord

MakeRecord = Callable[..., RunRecord]
DELAYS = [float(500 + i) for i in range(40)]


def test_round_trip(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record({"delay_ms": DELAYS, "answer_rate": [1.0] * 40})
    baseline = accept(record)
    save_baseline(baseline, tmp_path / "latency.json")
    assert load_baseline(tmp_path / "latency.json") == json.loads(json.dumps(baseline))
    assert baseline["suite"] == "latency"
    assert baseline["metrics"]["delay_ms"] == {"version": 1, "unit": "ms"}
    assert baseline["values"]["delay_ms"]["s003"] == [503.0]
    assert baseline["replaced"] is None


def test_it_is_small_and_has_a_line_per_scenario(make_record: MakeRecord, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    save_baseline(accept(make_record({"delay_ms": DELAYS})), path)
    lines = path.read_text().splitlines()
    assert '   "s003": [503.0],' in lines
    assert len(lines) < 80
    assert max(map(len, lines)) < 220


def test_values_come_back_as_observations(make_record: MakeRecord) -> None:
    record = make_record({"delay_ms": [1.0, "no answer", 3.0]}, conditions=lambda i: {"n": str(i)})
    staged = Observation(
        metric="delay_ms",
        scenario_id="s002",
        status=Status.MEASURED,
        value=9.0,
        slices={"n": "2", "stage": "asr"},
    )
    record.observations.append(staged)
    baseline = accept(record)
    assert baseline["values"]["delay_ms"]["s002"] == [3.0, {"stage": "asr", "value": 9.0}]
    found = baseline_observations(baseline, record, "delay_ms")
    assert [(o.scenario_id, o.value, o.slices) for o in found] == [
        ("s000", 1.0, {"n": "0"}),
        ("s002", 3.0, {"n": "2"}),
        ("s002", 9.0, {"n": "2", "stage": "asr"}),
    ]
    assert baseline_observations(baseline, record, "other_ms") == []


def test_a_metric_of_every_frame_keeps_its_estimates_only(make_record: MakeRecord) -> None:
    record = make_record({"delay_ms": DELAYS})
    frame = Observation(
        metric="delay_ms", scenario_id="s001", status=Status.MEASURED, value=9.0, slices={}
    )
    record.observations += [frame] * (MOST_VALUES - 1)
    assert len(accept(record)["values"]["delay_ms"]["s001"]) == MOST_VALUES
    record.observations.append(frame)
    baseline = accept(record)
    assert "delay_ms" not in baseline["values"]
    assert baseline["estimates"]


def test_replacing_records_what_moved(make_record: MakeRecord, tmp_path: Path) -> None:
    path = tmp_path / "latency.json"
    save_baseline(accept(make_record({"delay_ms": DELAYS}, run_id="old")), path)
    gated = Verdict(
        gate="delay_ms.p50 <= 900",
        metric="delay_ms",
        statistic="p50",
        outcome=Outcome.PASS,
        reason="r",
    )
    moved = [value + 7 for value in DELAYS]
    new = accept(make_record({"delay_ms": moved}, run_id="new", verdicts=[gated]), replaces=path)
    assert new["replaced"]["run_id"] == "old"
    by_key = {item["key"]: item for item in new["replaced"]["moved"]}
    assert by_key["delay_ms.p50"] == {
        "key": "delay_ms.p50",
        "before": 519.5,
        "after": 526.5,
        "gated": True,
    }
    assert by_key["delay_ms.mean"]["gated"] is False


@pytest.mark.parametrize(
    ("values", "fields", "message"),
    [
        (DELAYS, {"state": "partial"}, "partial: finish it with --resume"),
        ([*DELAYS, None], {}, r"1 of 41 scenarios failed \(s040\)"),
        (["no answer"] * 5, {}, "it measured nothing"),
        ([], {}, "it measured nothing"),
    ],
)
def test_unfit_runs_are_refused(
    values: list[Any], fields: dict[str, Any], message: str, make_record: MakeRecord
) -> None:
    with pytest.raises(RecordError, match=message):
        accept(make_record({"delay_ms": values}, **fields))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[1]", "schema None"),
        ('{"schema": "sts-eval/run/1"}', "schema 'sts-eval/run/1', this version reads"),
        ('{"schema": "sts-eval/baseline/1"}', "suite: Field required"),
        ("\xff\xfe", "not JSON"),
    ],
)
def test_damaged_files_are_explained(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RecordError, match=message):
        load_baseline(path)


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"none\.json: No such file"):
        load_baseline(tmp_path / "none.json")


@pytest.mark.parametrize("value", ['"fast"', "[1]", "null", "true", '[{"stage": "asr"}]'])
def test_values_are_checked_when_loaded(
    value: str, make_record: MakeRecord, tmp_path: Path
) -> None:
    path = tmp_path / "b.json"
    baseline = accept(make_record({"delay_ms": DELAYS}))
    baseline["values"]["delay_ms"]["s000"] = json.loads(value)
    path.write_text(json.dumps(baseline))
    if value == "[1]":
        assert load_baseline(path)["values"]["delay_ms"]["s000"] == [1]
    else:
        with pytest.raises(RecordError, match=r"values\.delay_ms\.s000"):
            load_baseline(path)
