"""audit.json and audit.csv, and sealing: every file of the report with its hash, into the log.

The JSON holds everything but the embeddings. The CSV is for spreadsheets: a cell that a spreadsheet
would run as a formula gets an apostrophe in front (OWASP, CSV injection), and names are shown with
their control characters spelled out.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

from sts_eval.audit.case.case import LOG_NAME, SEALED, Case
from sts_eval.audit.case.custody import CustodyLog
from sts_eval.audit.case.ratio import SCALE
from sts_eval.audit.case.rows import Row, exit_code
from sts_eval.trace import write_text_atomic

JSON_NAME: Final = "audit.json"
CSV_NAME: Final = "audit.csv"
HTML_NAME: Final = "report.html"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "|", "%")

COLUMNS: Final = (
    "id", "file", "level", "verdict", "origin", "synthetic_log10_lr", "synthetic_lo",
    "synthetic_hi", "known_log10_lr", "known_lo", "known_hi", "likeness", "resembles",
    "likeness_log10_lr", "likeness_lo", "likeness_hi", "consent", "scope", "purpose", "date",
    "language", "marks", "container", "codec", "sample_rate_hz", "channels", "seconds",
    "speech_s", "snr_db", "band_hz", "clipped_share", "sha256_bytes", "sha256_pcm",
    "same_sound_as", "reasons",
)  # fmt: skip


def write_outputs(case: Case, rows: list[Row], log: CustodyLog, out: Path) -> int:
    """Write the three files of the report and seal the log; returns the exit code."""
    from sts_eval.audit.case.page import build_page

    head = log.head
    code = exit_code(rows)
    write_text_atomic(out / JSON_NAME, to_json(case, rows, head))
    write_text_atomic(out / CSV_NAME, to_csv(rows))
    write_text_atomic(out / HTML_NAME, build_page(case, rows, head))
    hashes = {
        name: hashlib.sha256((out / name).read_bytes()).hexdigest()
        for name in (JSON_NAME, CSV_NAME, HTML_NAME)
    }
    log.append(SEALED, {"files": hashes, "exit_code": code, "counts": counts(rows)})
    return code


def counts(rows: list[Row]) -> dict[str, int]:
    """Rows by level."""
    return dict(Counter(str(row.verdict.level) for row in rows))


def to_json(case: Case, rows: list[Row], head: str) -> str:
    """The whole report as JSON (schema sts-eval/audit/1)."""
    settings = case.settings.model_dump(mode="json")
    report = {
        "schema": settings.pop("schema_"),
        "opened": case.opened,
        "settings": settings,
        "propositions": {
            "synthetic": "log10 LR of synthetic speech over natural speech",
            "known": "log10 LR of an engine that the detector knows over natural speech",
            "likeness": "log10 LR of the enrolled person over somebody else",
        },
        "verbal_scale": [[None if end == float("inf") else end, word] for end, word in SCALE],
        "compared": case.compared,
        "not_compared": case.missing,
        "counts": counts(rows),
        "exit_code": exit_code(rows),
        "custody": {"log": LOG_NAME, "head": head},
        "rows": [_row_json(row) for row in rows],
    }
    return json.dumps(report, indent=1, allow_nan=False) + "\n"


def _row_json(row: Row) -> dict[str, Any]:
    use = row.use
    return {
        "id": row.id,
        "file": row.shown,
        "kind": row.kind,
        "size_bytes": row.size_bytes,
        "verdict": row.verdict.model_dump(mode="json"),
        "use": None
        if use is None
        else {"scope": use.scope, "purpose": use.purpose, "date": str(use.day)},
        "language": row.language,
        "same_sound_as": list(row.same_as),
        "found": None if row.found is None else row.found.model_dump(mode="json"),
    }


def to_csv(rows: list[Row]) -> str:
    """One line for each row, with a header; safe to open in a spreadsheet."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: safe_cell(value) for key, value in _cells(row).items()})
    return buffer.getvalue()


def safe_cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula. Numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return value
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cells(row: Row) -> dict[str, Any]:
    verdict, found = row.verdict, row.found
    cells: dict[str, Any] = {
        "id": row.id,
        "file": row.shown,
        "level": str(verdict.level),
        "verdict": verdict.headline,
        "origin": verdict.origin,
        "likeness": verdict.likeness,
        "resembles": " and ".join(verdict.subjects),
        "consent": verdict.consent,
        "language": row.language,
        "same_sound_as": "; ".join(row.same_as),
        "reasons": "; ".join(verdict.reasons),
    }
    if row.use is not None:
        cells |= {"scope": row.use.scope, "purpose": row.use.purpose, "date": str(row.use.day)}
    if found is None:
        return cells
    cells |= {"sha256_bytes": found.sha256_bytes, "sha256_pcm": found.sha256_pcm}
    cells["marks"] = "; ".join(f"{mark.reader}: {mark.state}" for mark in found.marks)
    for key, ratio in found.shown.items():
        ends = {f"{key}_lo": ratio.lo, f"{key}_hi": ratio.hi}
        cells |= {f"{key}_log10_lr": ratio.value, **ends}
    if found.sound is not None:
        facts = found.sound.model_dump(exclude={"speech", "peak_dbfs", "dc_offset"})
        cells |= facts
    return cells
