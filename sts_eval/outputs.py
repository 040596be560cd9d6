"""A run for machines and CI pages: junit.xml, a markdown summary, a table for the terminal.

JUnit. One test case per gate: PASS is a passed case, FAIL a `<failure>`, INCONCLUSIVE an `<error>`.
CI systems turn red on both, as exit codes 1 and 3 do, and show them apart: a failure says "it got
worse", an error "this could not be decided". (`<skipped>` would be green, and a gate that decided
nothing must not look as if it had passed.) One more case per scenario: `<error>` where the target
failed on it, so that the reason is in the CI page.

Everything that comes from outside (names, reasons, transcripts) is escaped: characters that XML 1.0
forbids become U+FFFD, markdown's and HTML's own characters are quoted, terminal control is dropped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from sts_eval.observation import Estimate, Outcome, Verdict
from sts_eval.record import RunRecord
from sts_eval.stats.summary import quantity
from sts_eval.wording import interval_brackets, interval_words, quantity_words

if TYPE_CHECKING:
    from rich.console import Console

_XML_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# C0, DEL and C1 controls, and the marks that turn the direction of text around.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_MARKDOWN = re.compile(r"([\\`*_\[\]|~#])")
_MARKS = {Outcome.PASS: "✅", Outcome.FAIL: "❌", Outcome.INCONCLUSIVE: "❔"}
_COLOURS = {Outcome.PASS: "green", Outcome.FAIL: "red", Outcome.INCONCLUSIVE: "yellow"}
_COLUMNS = ("metric", "value", "95 % interval", "n", "not measured", "errors")
MOST_ERRORS = 10


def junit_xml(record: RunRecord) -> str:
    """junit.xml: a suite of gates, one of scenarios, and one of the harness where it failed."""
    gates = [_gate_case(record, verdict) for verdict in record.verdicts]
    scenarios = []
    for item in record.scenarios:
        case = ET.Element("testcase", classname=f"{_suite(record)}.scenarios", name=_xml(item.id))
        case.set("time", f"{item.seconds:.3f}")
        if item.status == "error":
            _child(case, "error", item.error, type="target")
        if item.status == "skipped":
            _child(case, "skipped", item.error, type="option")
        scenarios.append(case)
    harness = []
    for index, failure in enumerate(record.failures):
        case = ET.Element("testcase", classname=f"{_suite(record)}.harness", name=f"pooled-{index}")
        _child(case, "error", failure, type="harness")
        harness.append(case)
    suites = [
        ("gates", gates),
        ("scenarios", scenarios),
        *([("harness", harness)] if harness else []),
    ]
    root = ET.Element("testsuites", name="sts-eval")
    for name, cases in suites:
        suite = ET.SubElement(
            root,
            "testsuite",
            name=f"{_suite(record)}.{name}",
            timestamp=_xml(record.created),
            tests=str(len(cases)),
            failures=str(sum(case.find("failure") is not None for case in cases)),
            errors=str(sum(case.find("error") is not None for case in cases)),
            skipped=str(sum(case.find("skipped") is not None for case in cases)),
        )
        suite.extend(cases)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _gate_case(record: RunRecord, verdict: Verdict) -> ET.Element:
    case = ET.Element("testcase", classname=f"{_suite(record)}.gates", name=_xml(verdict.gate))
    if verdict.outcome is Outcome.FAIL:
        _child(case, "failure", _reason_and_worst(verdict), type="gate")
    elif verdict.outcome is Outcome.INCONCLUSIVE:
        _child(case, "error", _reason_and_worst(verdict), type="inconclusive")
    else:
        ET.SubElement(case, "system-out").text = _xml(verdict.reason)
    return case


def _child(case: ET.Element, tag: str, text: str, *, type: str) -> None:
    shown = _xml(text)
    first = shown.strip().splitlines()[0] if shown.strip() else "no reason given"
    ET.SubElement(case, tag, type=type, message=first).text = shown


def _reason_and_worst(verdict: Verdict) -> str:
    worst = f"\nworst scenarios: {', '.join(verdict.worst)}" if verdict.worst else ""
    return verdict.reason + worst


def _suite(record: RunRecord) -> str:
    return _xml(str(record.suite.get("suite", "unnamed")))


def _xml(text: str) -> str:
    return _XML_ILLEGAL.sub("\ufffd", text)


def summary_markdown(record: RunRecord) -> str:
    """The run for a CI page: the verdict in words, the gates, the numbers, what failed."""
    lines = [f"## {_md(_title(record))}", "", f"**{_md(headline(record))}**", ""]
    lines += _gate_lines(record)
    lines += _estimate_lines(record)
    lines += _error_lines(record)
    lines += [f"- {_md(note)}" for note in (*map(failure_words, record.failures), *record.notes)]
    lines += [
        "",
        f"Run `{_code(record.run_id)}`, seed {record.seed}. Intervals are two-sided 95 %.",
    ]
    return "\n".join(lines) + "\n"


def headline(record: RunRecord) -> str:
    """The outcome of a run in one sentence."""
    total, broken = len(record.scenarios), _broken(record)
    of_errors = f" {broken} of {total} scenarios ended in an error." if broken else ""
    counts = {kind: sum(v.outcome is kind for v in record.verdicts) for kind in Outcome}
    gates = len(record.verdicts)
    if total and broken == total:
        return f"Nothing could be measured: all {total} scenarios ended in an error."
    unfinished = " The run is not complete." if record.state != "complete" else ""
    if counts[Outcome.FAIL]:
        said = f"{counts[Outcome.FAIL]} of {gates} gates failed."
    elif counts[Outcome.INCONCLUSIVE]:
        said = f"{counts[Outcome.INCONCLUSIVE]} of {gates} gates could not be decided; none failed."
    elif gates:
        said = f"All {gates} gates passed." if gates > 1 else "The gate passed."
    else:
        said = f"{total} scenarios were measured; the suite has no gates."
    failed = " A pooled analysis failed." if record.failures else ""
    return said + of_errors + failed + unfinished


def failure_words(failure: str) -> str:
    """A failure of the harness as a sentence for people."""
    return f"The harness failed: {failure}"


def _gate_lines(record: RunRecord) -> list[str]:
    if not record.verdicts:
        return []
    order = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASS: 2}
    lines = []
    for verdict in sorted(record.verdicts, key=lambda item: order[item.outcome]):
        mark = f"{_MARKS[verdict.outcome]} **{verdict.outcome}**"
        lines.append(f"- {mark} `{_code(verdict.gate)}`: {_md(verdict.reason)}")
        if verdict.worst and verdict.outcome is not Outcome.PASS:
            worst = ", ".join(f"`{_code(item)}`" for item in verdict.worst)
            lines.append(f"  - look at {worst}")
    return [*lines, ""]


def _shown(record: RunRecord) -> list[Estimate]:
    """The estimates of the whole run; of each stage where a metric exists per stage only."""
    only_by = {spec.name: spec.only_by for spec in record.metrics}
    return [
        item
        for item in record.estimates
        if list(item.slice) == [by for by in [only_by.get(item.metric, "")] if by]
    ]


def _key(item: Estimate) -> str:
    """The name that gates use."""
    return quantity(item.metric, item.statistic, item.slice)


def _estimate_lines(record: RunRecord) -> list[str]:
    whole = _shown(record)
    if not whole:
        return []
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    for item in whole:
        key, *cells = _cells(item)
        lines.append(f"| `{_code(key)}` | {' | '.join(_md(cell) for cell in cells)} |")
    return [*lines, ""]


def _error_lines(record: RunRecord) -> list[str]:
    broken = [item for item in record.scenarios if item.status == "error"]
    if not broken:
        return []
    lines = [f"- `{_code(item.id)}`: {_md(item.error)}" for item in broken[:MOST_ERRORS]]
    if len(broken) > MOST_ERRORS:
        lines.append(f"- and {len(broken) - MOST_ERRORS} more")
    return ["Scenarios that ended in an error:", "", *lines, ""]


def _md(text: str) -> str:
    """One line of text that markdown and HTML show as it is."""
    line = _CONTROL.sub(" ", text)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _MARKDOWN.sub(r"\\\1", line)
    return line.replace("@", "&#64;")  # a transcript is to notify no one


def _code(text: str) -> str:
    """Text inside backticks, which know no escape: what could end them is replaced."""
    return _CONTROL.sub(" ", text).replace("`", "'").replace("|", "/")


def console_table(record: RunRecord, console: Console | None = None) -> None:
    """Print verdicts and estimates (to stdout unless a console is given)."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console as RichConsole
    from rich.table import Table
    from rich.text import Text

    out = console or RichConsole()
    numbers = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("metric", "value [95 % interval]", "n", "not measured", "errors"):
        numbers.add_column(name, overflow="fold", no_wrap=name == "metric")
    for item in _shown(record):
        brackets = interval_brackets(item.lo, item.hi, share=item.statistic == "rate")
        counts = (str(item.n), str(item.n_unmeasured), str(item.n_error))
        row = (_in_lines(_key(item)), f"{_value(item)} {brackets}", *counts)
        numbers.add_row(*(Text(plain(cell)) for cell in row))
    out.print(numbers)
    for verdict in record.verdicts:
        line = Text(f"{verdict.outcome:<13}", style=f"bold {_COLOURS[verdict.outcome]}")
        line.append(plain(f"{verdict.gate}\n"), style="bold")
        line.append(plain(f"    {verdict.reason}"), style="default not bold")
        if verdict.worst and verdict.outcome is not Outcome.PASS:
            line.append(plain(f"\n    look at: {', '.join(verdict.worst)}"), style="not bold dim")
        out.print(line)
    broken = [item for item in record.scenarios if item.status == "error"]
    for scenario in broken[:MOST_ERRORS]:
        out.print(Text(plain(f"error        {scenario.id}: {scenario.error}"), style="red"))
    for failure in record.failures:
        out.print(Text(plain(f"error        {failure}"), style="red"))
    out.print(Text(plain(f"{_title(record)}: {headline(record)}"), style="bold"))


def _in_lines(key: str) -> str:
    """A metric's key; a long one is broken after its last slash, to leave room for values."""
    head, slash, tail = key.rpartition("/")
    return f"{head}/\n  {tail}" if slash and len(key) > 30 else key


def plain(text: str) -> str:
    """Text without control characters (a newline stays), for a terminal."""
    return "\n".join(_CONTROL.sub(" ", line) for line in text.split("\n"))


def _title(record: RunRecord) -> str:
    target = record.target.get("name", record.target.get("spec", "unnamed"))
    return f"{record.suite.get('suite', 'unnamed')} on {target}"


def _broken(record: RunRecord) -> int:
    return sum(item.status == "error" for item in record.scenarios)


def _cells(item: Estimate) -> tuple[str, ...]:
    """One row of _COLUMNS."""
    counts = (str(item.n), str(item.n_unmeasured), str(item.n_error))
    return (_key(item), _value(item), _interval(item), *counts)


def _value(item: Estimate) -> str:
    return quantity_words(item.value, item.unit, share=item.statistic == "rate")


def _interval(item: Estimate) -> str:
    if item.value is None:
        return item.reason
    words = interval_words(item.lo, item.hi, item.unit, share=item.statistic == "rate")
    return words.removeprefix("95 % interval ")
