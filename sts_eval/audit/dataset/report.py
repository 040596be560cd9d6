"""What the audit of a set leaves: dataset.json, dataset.csv, report.html, and lines for a terminal.

The JSON holds issues and files, no embeddings and no landmarks. Names come from anybody: they are
spelled out (`shown_name`), the CSV is safe in a spreadsheet, the page escapes everything.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

from sts_eval.audit.case.inventory import shown_name
from sts_eval.audit.case.outputs import safe_cell
from sts_eval.audit.case.page import ICONS
from sts_eval.audit.case.records import Level
from sts_eval.audit.dataset.copies import MIN_SHARE, MIN_VOTES
from sts_eval.audit.dataset.issues import Issue
from sts_eval.audit.dataset.judge import FileRow, Judgement
from sts_eval.audit.dataset.plan import EVALUATION, Dataset
from sts_eval.audit.dataset.repeats import LEAST_WORDS
from sts_eval.trace import write_text_atomic

JSON_NAME: Final = "dataset.json"
CSV_NAME: Final = "dataset.csv"
HTML_NAME: Final = "report.html"
FILES: Final = (JSON_NAME, CSV_NAME, HTML_NAME)
_SHOWN = 30


def write_report(data: Dataset, judged: Judgement, out: Path) -> str:
    """Write the three files; returns the JSON."""
    text = to_json(data, judged)
    write_text_atomic(out / JSON_NAME, text)
    write_text_atomic(out / CSV_NAME, to_csv(judged))
    write_text_atomic(out / HTML_NAME, to_html(data, judged))
    return text


def to_json(data: Dataset, judged: Judgement) -> str:
    """The whole report as JSON (schema sts-eval/audit-dataset/1)."""
    names = {row.entry.id: row.entry.shown for row in judged.rows}
    settings = data.settings.model_dump(mode="json")
    report = {
        "schema": settings.pop("schema_"),
        "opened": data.opened,
        "settings": settings,
        "evaluation": _evaluation(data),
        "compared": data.compared,
        "not_compared": data.not_compared,
        "counts": {"issues": issue_counts(judged), "files": file_counts(judged)},
        "exit_code": judged.exit_code,
        "issues": [_issue(each, names) for each in judged.issues],
        "speakers": {key: each.model_dump(mode="json") for key, each in data.speakers.items()},
        "files": [_file(row) for row in judged.rows],
    }
    return json.dumps(report, indent=1, allow_nan=False) + "\n"


def issue_counts(judged: Judgement) -> dict[str, int]:
    """Issues by kind."""
    return dict(Counter(each.kind for each in judged.issues))


def file_counts(judged: Judgement) -> dict[str, int]:
    """Files by level."""
    return dict(Counter(str(row.level) for row in judged.rows))


def _evaluation(data: Dataset) -> dict[str, Any]:
    voices = sorted({each.voice for each in data.evaluation.values()} - {""})
    compared = [key.removeprefix(EVALUATION) for key in data.compared if EVALUATION in key]
    return {"recordings": len(data.evaluation), "voices": voices, "voices_compared": compared}


def _issue(issue: Issue, names: dict[str, str]) -> dict[str, Any]:
    return {
        "kind": issue.kind,
        "level": str(issue.level),
        "headline": shown_name(issue.headline),
        "speaker": issue.speaker,
        "files": [names[key] for key in issue.files],
        "reasons": [shown_name(each) for each in issue.reasons],
    }


def _file(row: FileRow) -> dict[str, Any]:
    return {
        "id": row.entry.id,
        "file": row.entry.shown,
        "kind": row.entry.kind,
        "size_bytes": row.entry.size_bytes,
        "level": str(row.level),
        "speaker": row.speaker,
        "split": row.split,
        "consent": row.consent,
        "issues": list(row.issues),
        "heard": None if row.heard is None else row.heard.model_dump(mode="json"),
    }


def to_csv(judged: Judgement) -> str:
    """One line for each thing in the folder, with a header; safe to open in a spreadsheet."""
    columns = (
        "id", "file", "level", "issues", "speaker", "split", "consent", "seconds", "speech_s",
        "sha256_bytes", "sha256_pcm", "reason",
    )  # fmt: skip
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in judged.rows:
        cells: dict[str, Any] = {
            "id": row.entry.id,
            "file": row.entry.shown,
            "level": str(row.level),
            "issues": "; ".join(row.issues),
            "speaker": row.speaker,
            "split": row.split,
            "consent": row.consent,
            "reason": row.entry.reason,
        }
        if row.heard is not None:
            wanted = {"seconds", "speech_s", "sha256_bytes", "sha256_pcm"}
            cells |= row.heard.model_dump(include=wanted)
            cells["reason"] = row.entry.reason or row.heard.reason
        writer.writerow({key: safe_cell(value) for key, value in cells.items()})
    return buffer.getvalue()


def to_html(data: Dataset, judged: Judgement) -> str:
    """The page: issues, files, and what this can and cannot say."""
    from sts_eval.report.page import render

    names = {row.entry.id: row.entry.shown for row in judged.rows}
    levels = file_counts(judged)
    context = {
        "data": data,
        "opened": data.opened,
        "settings": data.settings,
        "levels": [(str(x), ICONS[x], levels[x]) for x in Level if x in levels],
        "issues": [
            {"icon": ICONS[each.level], "level": str(each.level), **_issue(each, names)}
            for each in judged.issues
        ],
        "rows": [{"icon": ICONS[row.level], "row": row} for row in judged.rows],
        "evaluation": _evaluation(data),
        "min_votes": MIN_VOTES,
        "min_share": MIN_SHARE,
        "least_words": LEAST_WORDS,
    }
    return render("dataset.html.j2", context, styles=("audit.css",))


def to_text(data: Dataset, judged: Judgement) -> str:
    """A table for a terminal: counts, then the issues, the gravest first."""
    files, issues = file_counts(judged), issue_counts(judged)
    lines = [
        "files:  " + (", ".join(f"{files[x]} {x}" for x in Level if x in files) or "none"),
        "issues: " + (", ".join(f"{count} {kind}" for kind, count in issues.items()) or "none"),
    ]
    if data.settings.skip:
        lines.append(f"not looked at, as asked: {', '.join(data.settings.skip)}")
    for issue in judged.issues[:_SHOWN]:
        headline = shown_name(issue.headline)
        lines.append(f"  {issue.level:<12} {issue.kind:<20} {headline[:200]}")
    if len(judged.issues) > _SHOWN:
        lines.append(f"  and {len(judged.issues) - _SHOWN} more in the report")
    return "\n".join(lines)
