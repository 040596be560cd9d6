"""What an audit was asked to do: written to the log first, read back to resume it."""

from __future__ import annotations

import csv
import datetime
import io
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from sts_core.reading import read_bounded
from sts_eval.audit import AuditError
from sts_eval.audit.case.condition import Limits
from sts_eval.audit.case.ratio import known_reach_words, reach_words
from sts_eval.audit.voices.schema import Scope

SCHEMA: Literal["sts-eval/audit/1"] = "sts-eval/audit/1"
CONTEXT_COLUMNS = ("file", "scope", "purpose", "date", "language")
_MOST_CONTEXT_BYTES = 50_000_000


class Context(BaseModel):
    """What the auditor declared about a recording; None or "": not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    scope: Scope | None = None
    purpose: str = ""
    date: datetime.date | None = None
    language: str = ""


class Settings(BaseModel):
    """The plan of an audit. margin: of scores, worth a ratio of ten; None without an encoder.

    detector_reach: for each detector the largest log10 LR for synthetic, and for natural;
    known_reach: the same against the engines that it knows, None where it does not tell.
    part_files: SHA-256 of what the detectors and the encoder were read from (`parts.part_files`).
    default: what holds for recordings that `context` (by name as shown) does not name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
    schema_: Literal["sts-eval/audit/1"] = SCHEMA
    version: str
    recordings: str
    registry: str | None
    registry_sha256: str
    day: datetime.date
    detectors: tuple[str, ...]
    detector_labels: tuple[str, ...] = ()
    detector_reach: tuple[tuple[float, float], ...] = ()
    known_reach: tuple[tuple[float, float] | None, ...] = ()
    encoder: str
    encoder_label: str = ""
    part_files: dict[str, str] = {}
    margin: float = 0.0
    marks: tuple[str, ...]
    limits: Limits
    default: Context
    context: dict[str, Context] = {}
    max_seconds: float
    evidence: bool = True

    @property
    def reaches(self) -> list[str]:
        """What each detector can decide, in words."""
        pairs = zip(self.detector_labels, self.detector_reach, strict=False)
        words = [reach_words(label, synthetic, natural) for label, (synthetic, natural) in pairs]
        for label, known in zip(self.detector_labels, self.known_reach, strict=False):
            if known:
                words.append(known_reach_words(label, *known))
        return words

    def about(self, shown: str) -> Context:
        """The context of one recording, with the defaults filled in."""
        own = self.context.get(shown, self.default)
        return Context(
            scope=own.scope or self.default.scope or "synthesis",
            purpose=own.purpose or self.default.purpose,
            date=own.date or self.default.date or self.day,
            language=own.language or self.default.language,
        )


def read_context(path: Path) -> dict[str, Context]:
    """A CSV file with a column `file` and any of scope, purpose, date, language.

    Raises AuditError with the line of a mistake.
    """
    try:
        text = read_bounded(path, _MOST_CONTEXT_BYTES).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        columns = reader.fieldnames or []
        unknown = [name for name in columns if name not in CONTEXT_COLUMNS]
        if "file" not in columns or unknown:
            known = ", ".join(CONTEXT_COLUMNS)
            raise AuditError(f"{path}:1: the columns are {known}; found {', '.join(columns)}")
        found: dict[str, Context] = {}
        for row in reader:
            _add(found, row, f"{path}:{reader.line_num}")
        return found
    except OSError as error:
        raise AuditError(f"{path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise AuditError(f"{path}: {error}") from error


def _add(found: dict[str, Context], row: dict[str, Any], where: str) -> None:
    name = (row.get("file") or "").strip()
    if not name or None in row or name in found:
        raise AuditError(f"{where}: each line needs the name of one file, named once")
    values = {key: (row.get(key) or "").strip() for key in CONTEXT_COLUMNS[1:]}
    given = {key: value for key, value in values.items() if value}
    try:
        found[name] = Context.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        known = f" (one of {', '.join(get_args(Scope))})" if first["loc"] == ("scope",) else ""
        raise AuditError(f"{where}: {first['loc'][0]}: {first['msg']}{known}") from error
