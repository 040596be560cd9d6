"""Comparing runs: what is paired, what is called better or worse, what is refused."""

import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from rich.console import Console

from sts_eval.compare import Comparison, ComparisonRow, compare, console_comparison
from sts_eval.record import RunRecord

MakeRecord = Callable[..., RunRecord]
DELAYS = list(np.random.default_rng(7).normal(700, 80, 80))


def row(comparison: Comparison, key: str) -> ComparisonRow:
    return next(item for item in comparison.rows if item.key == key)


def test_better_worse_and_changed(make_record: MakeRecord) -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 5, 80)
    answers = [1.0] * 60 + [0.0] * 20
    a = make_record({"delay_ms": DELAYS, "answer_rate": answers, "pitch_hz": DELAYS})
    b = make_record(
        {
            "delay_ms": list(DELAYS + noise - 60),
            "answer_rate": [0.0] * 30 + [1.0] * 30 + [0.0] * 20,
            "pitch_hz": list(DELAYS + noise + 60),
        }
    )
    found = compare(a, b)
    assert row(found, "delay_ms.mean").change == "better"
    assert row(found, "delay_ms.mean").difference == pytest.approx(-60, abs=2)
    assert row(found, "answer_rate.rate").change == "worse"
    assert row(found, "answer_rate.rate").difference == pytest.approx(-30 / 80)
    assert row(found, "pitch_hz.mean").change == "changed"
    maximum = row(found, "delay_ms.max")
    assert (maximum.change, maximum.reason) == ("not comparable", "a maximum has no interval")


def test_the_other_way_round_is_the_opposite(make_record: MakeRecord) -> None:
    a, b = make_record({"delay_ms": DELAYS}), make_record({"delay_ms": [v + 90 for v in DELAYS]})
    assert row(compare(a, b), "delay_ms.p50").change == "worse"
    assert row(compare(b, a), "delay_ms.p50").change == "better"


def test_a_run_against_itself(make_record: MakeRecord) -> None:
    run = make_record({"delay_ms": DELAYS, "answer_rate": [1.0] * 80})
    found = compare(run, run)
    changes = {item.key: item.change for item in found.rows if item.statistic != "max"}
    assert set(changes.values()) == {"no difference shown"}
    assert found.notes == ()
    assert row(found, "delay_ms.p50").largest == ()
    assert row(found, "answer_rate.rate").detectable > 0.04


def test_noise_is_not_called_a_change(make_record: MakeRecord) -> None:
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(20):
        a = make_record({"delay_ms": list(rng.normal(700, 80, 40))})
        b = make_record({"delay_ms": list(rng.normal(700, 80, 40))})
        wrong += any(item.change in ("better", "worse") for item in compare(a, b).rows)
    assert wrong <= 3


def test_counts_of_pairs(make_record: MakeRecord) -> None:
    a = make_record({"delay_ms": [*DELAYS[:40], "no answer", *DELAYS[:9]]})
    b = make_record({"delay_ms": [*DELAYS[:30], *["no answer"] * 10, *DELAYS[:20]]})
    found = row(compare(a, b), "delay_ms.p50")
    assert (found.n_paired, found.n_only_a, found.n_only_b) == (39, 10, 11)
    assert found.a is not None
    assert found.a.n == 49


def test_largest_changes_are_the_worse_ones_first(make_record: MakeRecord) -> None:
    after = list(DELAYS)
    after[4] += 10
    after[8] += 200
    after[6] -= 900
    a, b = make_record({"delay_ms": DELAYS}), make_record({"delay_ms": after})
    largest = row(compare(a, b), "delay_ms.mean").largest
    assert [item.scenario_id for item in largest] == ["s008", "s004", "s006"]


def test_unequal_versions_are_refused(make_record: MakeRecord) -> None:
    a = make_record({"delay_ms": DELAYS})
    b = make_record({"delay_ms": DELAYS}, versions={"delay_ms": 2})
    found = row(compare(a, b), "delay_ms.p50")
    assert (found.change, found.difference, found.p_value) == ("not comparable", None, None)
    assert found.reason == "the metric is version 1 in A and 2 in B"


def test_a_metric_of_one_run_only(make_record: MakeRecord) -> None:
    a = make_record({"delay_ms": DELAYS})
    b = make_record({"delay_ms": DELAYS, "pitch_hz": DELAYS})
    found = row(compare(a, b), "pitch_hz.mean")
    assert found.reason == "only run B has this metric"
    assert (found.a, found.b is not None) == (None, True)
    assert row(compare(b, a), "pitch_hz.mean").reason == "only run A has this metric"


def test_notes_say_what_differs(make_record: MakeRecord) -> None:
    a = make_record({"delay_ms": DELAYS})
    b = make_record({"delay_ms": [None, *DELAYS]}, suite_sha256="b" * 64, seed=9, state="partial")
    notes = " ".join(compare(a, b).notes)
    assert "suites differ in content" in notes
    assert "seeds differ (1 and 9)" in notes
    assert "Run B: 1 of 81 scenarios failed" in notes
    assert "Run B is not complete" in notes


def test_nothing_in_common(make_record: MakeRecord) -> None:
    found = compare(make_record({"delay_ms": DELAYS}), make_record({"delay_ms": []}))
    assert "no scenario in common" in found.notes[0]
    assert all(item.change == "not comparable" for item in found.rows)


def test_it_repeats_and_survives_json(make_record: MakeRecord) -> None:
    a, b = make_record({"delay_ms": DELAYS}), make_record({"delay_ms": DELAYS[::-1]})
    text = compare(a, b).model_dump_json()
    assert compare(a, b).model_dump_json() == text
    assert Comparison.model_validate_json(text) == compare(a, b)


def test_console(make_record: MakeRecord) -> None:
    a = make_record({"delay_ms": DELAYS, "answer_rate": [1.0] * 80}, target={"name": "[red]x"})
    b = make_record({"delay_ms": [v + 90 for v in DELAYS], "answer_rate": [1.0] * 80})
    out = io.StringIO()
    console_comparison(compare(a, b), Console(file=out, width=140))
    text = out.getvalue()
    assert "A: [red]x, run run-1" in text
    assert "+90 [+90, +90]" in text
    assert "worse" in text
    assert re.search(r"answer_rate.rate +100 % +100 % +0 \[-4.58\d, \+4.58\d\]", text)


def test_runs_without_a_common_scenario_are_compared_whole(make_record: MakeRecord) -> None:
    shift = make_record({"delay_ms": [v + 150 for v in DELAYS], "answer_rate": [0.0, 1.0] * 40})
    a = make_record({"delay_ms": DELAYS, "answer_rate": [1.0] * 79 + [0.0]})
    b = renamed(shift)
    assert {item.change for item in compare(a, b).rows} == {"not comparable"}
    assert "--unpaired" in compare(a, b).notes[0]
    found = compare(a, b, paired=False)
    assert (found.paired, found.notes[0][:8]) == (False, "Unpaired")
    assert row(found, "delay_ms.mean").change == "worse"
    assert row(found, "answer_rate.rate").change == "worse"
    assert row(found, "delay_ms.max").reason.startswith("no interval in A")
    assert row(found, "delay_ms.mean").n_paired == 0
    out = io.StringIO()
    console_comparison(found, Console(file=out, width=140))
    assert "80 / 80" in out.getvalue()
    assert Comparison.model_validate_json(found.model_dump_json()) == found


def test_pooled_metrics_are_compared_by_their_intervals(make_record: MakeRecord) -> None:
    a = make_record({"delay_ms": DELAYS}, pooled=["delay_ms"])
    b = make_record({"delay_ms": [v + 150 for v in DELAYS]}, pooled=["delay_ms"])
    assert "--unpaired" in row(compare(a, b), "delay_ms.mean").reason
    found = row(compare(a, b, paired=False), "delay_ms.mean")
    assert (found.change, found.method) == ("worse", "both intervals, by squares")


def renamed(run: RunRecord) -> RunRecord:
    """The run with other scenario ids."""
    return run.model_copy(
        update={
            "scenarios": [s.model_copy(update={"id": f"other-{s.id}"}) for s in run.scenarios],
            "observations": [
                o.model_copy(update={"scenario_id": f"other-{o.scenario_id}"})
                for o in run.observations
            ],
        }
    )
