"""run.json: everything a run found, enough to rebuild its report byte for byte.

The JSON Schema of this file is published as `sts_eval/run.schema.json` (a test keeps it equal to
these models). A run folder holds

    run.json  report.html  junit.xml  summary.md  traces/<id>.json  traces/<id>.flac
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sts_eval.metric import MetricSpec
from sts_eval.observation import Estimate, Observation, Verdict
from sts_eval.trace import Span, write_text_atomic

SCHEMA = "sts-eval/run/1"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Word(_Part):
    """A word that a judge heard, seconds in the trace."""

    text: str
    start_s: float
    end_s: float


class Mark(_Part):
    """Something to draw on the evidence timeline: a point (`end_s` None) or an interval."""

    label: str
    start_s: float
    end_s: float | None = None
    kind: Literal["event", "measure", "stage", "pause"] = "event"


class ScenarioResult(_Part):
    """One scenario as scored; `trace` is the path of the trace JSON inside the run folder.

    conditions: what was varied, for tables and slices ({"voice": "af_nova", "snr_db": "10"}).
    user_text: what the user says; agent_text: the agent's own text stream ("" if it has none).
    """

    id: str
    kind: str
    title: str
    status: Literal["ok", "error"]
    error: str = ""
    conditions: dict[str, str] = {}
    trace: str
    seconds: float
    user_text: str = ""
    agent_text: str = ""
    heard_text: str = ""
    user_spans: list[Span] = []
    agent_spans: list[Span] = []
    words: list[Word] = []
    marks: list[Mark] = []


class JudgeReport(_Part):
    """A judge that was used, with its measured error rates (each an Estimate)."""

    name: str
    role: str
    version: str
    errors: list[Estimate] = []
    note: str = ""


class RunRecord(_Part):
    """A whole run.

    state: "complete", or "partial" while scenarios are missing (interrupted; `--resume` continues).
    target: what `Target.describe()` said; suite: the suite file as parsed, defaults filled in.
    environment: versions, CPU, and the number of workers; nothing that identifies a user or a path.
    exit_code: 0 pass, 1 a gate failed, 3 inconclusive, 4 the target or the harness failed.
    """

    schema_: str = Field(SCHEMA, alias="schema")
    run_id: str
    state: Literal["complete", "partial"] = "complete"
    created: str
    suite: dict[str, Any]
    suite_sha256: str
    target: dict[str, Any]
    seed: int
    environment: dict[str, str] = {}
    metrics: list[MetricSpec] = []
    scenarios: list[ScenarioResult] = []
    observations: list[Observation] = []
    estimates: list[Estimate] = []
    verdicts: list[Verdict] = []
    judges: list[JudgeReport] = []
    baseline: dict[str, Any] | None = None
    notes: list[str] = []
    exit_code: int = 0


class RecordError(Exception):
    """A run.json or baseline file is missing, damaged or of another schema."""


def load_run(path: Path) -> RunRecord:
    """Read a run from its folder or its run.json. Raises RecordError."""
    file = path / "run.json" if path.is_dir() else path
    try:
        record = RunRecord.model_validate_json(file.read_bytes())
    except OSError as error:
        raise RecordError(f"{file}: {error.strerror or error}") from error
    except ValueError as error:
        raise RecordError(f"{file}: not a run record: {error}") from error
    if record.schema_ != SCHEMA:
        raise RecordError(f"{file}: schema {record.schema_!r}, this version reads {SCHEMA!r}")
    return record


def save_run(record: RunRecord, folder: Path) -> None:
    """Write run.json atomically."""
    write_text_atomic(folder / "run.json", record.model_dump_json(by_alias=True, indent=1) + "\n")
