"""JUnit, markdown and console: right content, and nothing from outside can break them."""

import io
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from sts_eval.observation import Outcome, Verdict
from sts_eval.outputs import console_table, headline, junit_xml, summary_markdown
from sts_eval.record import RunRecord
from sts_eval.wording import number_words

MakeRecord = Callable[..., RunRecord]
HOSTILE = "<b>&]]>|`*_\x00\x1b[31m[red]\ufffe\u202eevil\n# x\r@all"


def verdict(outcome: Outcome, **fields: Any) -> Verdict:
    common: dict[str, Any] = {"gate": "delay_ms.p50 <= 800", "reason": "because"}
    return Verdict(metric="delay_ms", statistic="p50", outcome=outcome, **{**common, **fields})


@pytest.fixture
def record(make_record: MakeRecord) -> RunRecord:
    return make_record(
        {"delay_ms": [700.0] * 20 + ["no answer"] * 3 + [None], "answer_rate": [1.0] * 24},
        verdicts=[
            verdict(Outcome.PASS),
            verdict(Outcome.FAIL, gate="delay_ms.p95 <= 9", worst=("s001", "s002")),
            verdict(Outcome.INCONCLUSIVE, gate="answer_rate >= 1"),
        ],
        notes=["a note"],
    )


def hostile(make_record: MakeRecord, text: str) -> RunRecord:
    made = make_record(
        {"delay_ms": [700.0] * 20 + [None]},
        suite={"suite": text},
        target={"name": text},
        run_id=text,
        notes=[text],
        verdicts=[verdict(Outcome.FAIL, gate=text, reason=text, worst=(text,))],
    )
    made.scenarios[-1].id = text
    made.scenarios[-1].error = text
    return made


def test_junit(record: RunRecord) -> None:
    root = ET.fromstring(junit_xml(record))
    gates, scenarios = root.findall("testsuite")
    assert gates.attrib["tests"] == "3"
    assert (gates.attrib["failures"], gates.attrib["errors"]) == ("1", "1")
    passed, failed, open_ = gates.findall("testcase")
    assert [child.tag for child in passed] == ["system-out"]
    assert failed.find("failure").attrib == {"type": "gate", "message": "because"}
    assert "worst scenarios: s001, s002" in failed.findtext("failure")
    assert open_.find("error").attrib["type"] == "inconclusive"
    assert len(scenarios.findall("testcase")) == 24
    assert scenarios.attrib["errors"] == "1"
    assert scenarios.find("testcase[@name='s023']/error").text == "target died"


def test_markdown(record: RunRecord) -> None:
    text = summary_markdown(record)
    lines = text.splitlines()
    assert lines[0] == "## latency on echo"
    assert lines[2] == "**1 of 3 gates failed. 1 of 24 scenarios ended in an error.**"
    assert [line[2] for line in lines if line[:2] == "- "][:3] == ["❌", "❔", "✅"]
    assert "  - look at `s001`, `s002`" in lines
    assert "| `delay_ms.p50` | 700 ms | 700 ms to 700 ms | 20 | 3 | 1 |" in lines
    assert any(line.startswith("| `answer_rate.rate` | 100 % | 85.75 % to 100 %") for line in lines)
    assert "- `s023`: target died" in lines
    assert "- a note" in lines


def test_every_table_row_has_all_columns(record: RunRecord, make_record: MakeRecord) -> None:
    for item in (record, hostile(make_record, HOSTILE)):
        rows = [line for line in summary_markdown(item).splitlines() if line.startswith("|")]
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}


@pytest.mark.parametrize(
    ("outcomes", "state", "said"),
    [
        ([], "complete", "24 scenarios were measured; the suite has no gates."),
        ([Outcome.PASS], "complete", "The gate passed."),
        ([Outcome.PASS] * 2, "complete", "All 2 gates passed."),
        ([Outcome.PASS, Outcome.INCONCLUSIVE], "complete", "1 of 2 gates could not be decided"),
        ([Outcome.PASS], "partial", "The run is not complete."),
    ],
)
def test_headline(outcomes: list[Outcome], state: str, said: str, record: RunRecord) -> None:
    verdicts = [verdict(item) for item in outcomes]
    assert said in headline(record.model_copy(update={"verdicts": verdicts, "state": state}))


def test_headline_when_nothing_ran(make_record: MakeRecord) -> None:
    assert headline(make_record({"delay_ms": [None] * 4})).startswith("Nothing could be measured")


def test_console(record: RunRecord) -> None:
    out = io.StringIO()
    console_table(record, Console(file=out, width=120))
    text = out.getvalue()
    assert "delay_ms.p50" in text
    assert re.search(r"FAIL +delay_ms.p95 <= 9\n +because\n +look at: s001, s002", text)
    assert "1 of 3 gates failed" in text


def test_hostile_text_is_only_text(make_record: MakeRecord) -> None:
    made = hostile(make_record, HOSTILE)
    root = ET.fromstring(junit_xml(made))
    name = root.find("testsuite/testcase").attrib["name"]
    assert name.startswith("<b>&]]>|`*_\ufffd\ufffd[31m")
    markdown = summary_markdown(made)
    assert "<b>" not in markdown.replace("`<b>&]]>", "")  # inside backticks it is text
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", markdown)
    assert "\n# x" not in markdown
    outside_code = re.sub("`[^`]*`", "", re.sub(r"\\.", "", markdown))
    assert "@all" not in outside_code
    assert "&#64;all" in outside_code
    out = io.StringIO()
    console_table(made, Console(file=out, width=200, force_terminal=False))
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", out.getvalue())
    assert "[red]" in out.getvalue()


@settings(deadline=None)
@given(text=st.text(st.characters(), max_size=30))
def test_junit_can_always_be_parsed(text: str, make_record: MakeRecord) -> None:
    made = hostile(make_record, text)
    xml = junit_xml(made)
    assert ET.fromstring(xml.encode("utf-8")).tag == "testsuites"
    summary_markdown(made).encode("utf-8")


@pytest.mark.parametrize(
    ("value", "text"), [(1.02e-16, "0"), (0.0, "0"), (2e-9, "2e-09"), (0.00123, "0.00123")]
)
def test_the_rounding_of_a_zero_is_a_zero(value: float, text: str) -> None:
    assert number_words(value) == text
