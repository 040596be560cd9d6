"""report.html of a run: everything in run.json and its traces, readable without anything else.

The page follows from the run record and the traces alone: rebuilding it gives the same bytes (on
the same version of libopus, which makes the listening copies).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sts_eval.observation import Estimate, Outcome, Status, Verdict
from sts_eval.record import RunRecord
from sts_eval.report import numbers
from sts_eval.report.evidence import Budget, filter_index, gather
from sts_eval.report.findings import Findings
from sts_eval.report.gates import GateRow, gate_rows, is_share, overall
from sts_eval.report.metrics import metric_anchor, metric_sections, missing_reasons
from sts_eval.report.page import render
from sts_eval.report.sections import section_views
from sts_eval.trace import write_text_atomic

FILE_NAME = "report.html"
MOST_LINKS = 5
_SEVERITY = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)


@dataclass(frozen=True)
class ScenarioLink:
    """A scenario as a link; `href` is "" where it has no evidence in the page."""

    name: str
    href: str
    value: str = ""


@dataclass(frozen=True)
class GateView:
    """A gate row with links to the scenarios that weigh most against it."""

    row: GateRow
    metric_anchor: str
    worst: list[ScenarioLink]
    more: int


@dataclass(frozen=True)
class MissingRow:
    """What one metric could not measure."""

    title: str
    anchor: str
    n: int
    n_unmeasured: int
    n_error: int
    reasons: list[str]


@dataclass(frozen=True)
class JudgeRow:
    """One measured error rate of a judge."""

    title: str
    statistic: str
    conditions: str
    value: str
    interval: str
    n: int
    method: str
    reason: str


def build_report(record: RunRecord, run_dir: Path, budget: Budget | None = None) -> str:
    """The page of a run as HTML. `run_dir` holds its traces; unreadable ones are said to be so."""
    findings = Findings(record)
    evidence = gather(record, run_dir, findings, budget or Budget())
    rows = sorted(gate_rows(record), key=lambda row: _SEVERITY.index(row.verdict.outcome))
    context: dict[str, Any] = {
        "record": record,
        "suite_name": str(record.suite.get("suite", "suite")),
        "question": str(record.suite.get("question", "")) or "What was measured?",
        "target_name": target_name(record),
        "created": numbers.date(record.created),
        "overall": overall(record, rows),
        "gates": [_gate_view(row, findings, evidence.links) for row in rows],
        "missing": _missing(record, findings),
        "n_measured": sum(each.status is Status.MEASURED for each in record.observations),
        "broken": [
            (_link(each.id, evidence.links), each.error or "no reason was recorded")
            for each in record.scenarios
            if each.status == "error"
        ],
        "metrics": metric_sections(record, evidence.links),
        "sections": section_views(record.sections, evidence.links),
        "evidence": evidence,
        "index": filter_index(evidence.cards, findings.values),
        "conditions": _filter_choices(record),
        "sortable": [(spec.name, spec.title, spec.direction) for spec in findings.specs.values()],
        "judges": [(judge, [_judge_row(each) for each in judge.errors]) for judge in record.judges],
        "commands": reproduce_commands(record),
        "settings": _settings(record.target),
        "suite_text": json.dumps(record.suite, indent=2, ensure_ascii=False),
        "sound_size": numbers.size(evidence.sound_bytes),
    }
    return render("run.html.j2", context)


def write_report(record: RunRecord, run_dir: Path, budget: Budget | None = None) -> Path:
    """Write report.html into the run folder, atomically; returns its path."""
    path = run_dir / FILE_NAME
    write_text_atomic(path, build_report(record, run_dir, budget))
    return path


def target_name(record: RunRecord) -> str:
    """The target's name as it described itself."""
    return str(record.target.get("name") or record.target.get("spec") or "unnamed")


def reproduce_commands(record: RunRecord) -> list[tuple[str, str]]:
    """What each command is for, and the command."""
    suite = str(record.suite.get("suite", "suite"))
    target = shlex.quote(str(record.target.get("spec", target_name(record))))
    run = f"sts-eval run suites/{suite}.yaml --target {target} --seed {record.seed}"
    return [
        ("Measure again", run),
        ("Score the same traces again", "sts-eval score RUN_FOLDER"),
        ("Build this page again, byte for byte", "sts-eval report RUN_FOLDER"),
    ]


def _gate_view(row: GateRow, findings: Findings, links: Mapping[str, str]) -> GateView:
    worst = [
        _link(scenario_id, links, _value_of(scenario_id, row.verdict, findings))
        for scenario_id in row.verdict.worst[:MOST_LINKS]
    ]
    return GateView(
        row, metric_anchor(row.verdict.metric), worst, max(0, len(row.verdict.worst) - MOST_LINKS)
    )


def _value_of(scenario_id: str, verdict: Verdict, findings: Findings) -> str:
    spec = findings.specs.get(verdict.metric)
    values = [
        each.value
        for each in findings.observations[scenario_id]
        if each.metric == verdict.metric and each.value is not None
    ]
    if spec is None or not values or is_share(spec):
        return ""
    extreme = min(values) if spec.direction == "higher" else max(values)
    return numbers.quantity(extreme, spec.unit)


def _link(scenario_id: str, links: Mapping[str, str], value: str = "") -> ScenarioLink:
    return ScenarioLink(scenario_id, links.get(scenario_id, ""), value)


def _missing(record: RunRecord, findings: Findings) -> list[MissingRow]:
    rows = []
    for name, spec in findings.specs.items():
        own = [each for each in record.observations if each.metric == name]
        if name in record.pooled:
            rows += _missing_pooled(record, name, spec.title)
            continue
        counts = {status: sum(each.status is status for each in own) for status in Status}
        if not own or counts[Status.MEASURED] < len(own):
            rows.append(
                MissingRow(
                    title=spec.title,
                    anchor=f"#{metric_anchor(name)}",
                    n=counts[Status.MEASURED],
                    n_unmeasured=counts[Status.UNMEASURED],
                    n_error=counts[Status.ERROR],
                    reasons=missing_reasons(own) or ["no scenario of this run observes it"],
                )
            )
    return rows


def _missing_pooled(record: RunRecord, name: str, title: str) -> list[MissingRow]:
    """A pooled estimate without a value, or with cases that it had to leave out."""
    whole = [each for each in record.estimates if each.metric == name and not each.slice]
    return [
        MissingRow(
            title=title,
            anchor=f"#{metric_anchor(name)}",
            n=each.n,
            n_unmeasured=each.n_unmeasured,
            n_error=each.n_error,
            reasons=[each.reason] if each.reason else [],
        )
        for each in whole[:1]
        if each.value is None or each.n_unmeasured or each.n_error
    ]


def _filter_choices(record: RunRecord) -> list[tuple[str, list[str]]]:
    """Conditions with more than one level, each with its levels in natural order."""
    levels: dict[str, set[str]] = {"kind": {scenario.kind for scenario in record.scenarios}}
    for scenario in record.scenarios:
        for name, level in scenario.conditions.items():
            levels.setdefault(name, set()).add(level)
    return [
        (name, sorted(found, key=numbers.natural))
        for name, found in levels.items()
        if len(found) > 1 or (name != "kind" and found)
    ]


def _judge_row(estimate: Estimate) -> JudgeRow:
    share = estimate.statistic == "rate" or estimate.metric.endswith("_rate")
    words = estimate.metric.removesuffix(f"_{estimate.unit}").split("_")
    return JudgeRow(
        title=" ".join(numbers.condition_name(words[0]).split() + words[1:]),
        statistic=numbers.statistic_name(estimate.statistic) or "rate",
        conditions=", ".join(estimate.slice.values()),
        value=numbers.quantity(estimate.value, estimate.unit, share=share),
        interval=numbers.interval(estimate.lo, estimate.hi, estimate.unit, share=share),
        n=estimate.n,
        method=estimate.method,
        reason=estimate.reason,
    )


def _settings(target: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Nested settings as dotted names."""
    found: list[tuple[str, str]] = []
    for key, value in target.items():
        if isinstance(value, Mapping) and value:
            found += [(f"{key}.{inner}", text) for inner, text in _settings(value)]
        else:
            found.append((str(key), str(value)))
    return found
