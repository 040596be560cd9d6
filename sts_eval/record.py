"""run.json: everything a run found, enough to rebuild its report byte for byte.

The JSON Schema of this file is published as `sts_eval/run.schema.json` (a test keeps it equal to
these models). A run folder holds

    run.json  report.html  junit.xml  summary.md  traces/<id>.json  traces/<id>.flac
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

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

    status: "skipped": the target lacks what the scenario asks for; `error` says what.
    conditions: what was varied, for tables and slices ({"voice": "af_nova", "snr_db": "10"}).
    user_text: what the user says; agent_text: the agent's own text stream ("" if it has none).
    """

    id: str
    kind: str
    title: str
    status: Literal["ok", "skipped", "error"]
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


class Cell(_Part):
    """A table cell that leads to the evidence of a scenario."""

    text: str
    scenario_id: str


class Table(_Part):
    """A table of a section: one text (or `Cell`) for each column of each row."""

    title: str
    columns: list[str]
    rows: list[list[str | Cell]]
    note: str = ""

    @model_validator(mode="after")
    def _rows_fit(self) -> Table:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"table {self.title!r}: a row has not {len(self.columns)} cells")
        return self


class Point(_Part):
    """One point of a chart.

    x: a number, or the name of a category. y: None where nothing was measured (`label` may say
    why). lo, hi (x_lo, x_hi): ends of the interval of y (x). scenario_id: the point leads to its
    evidence.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    x: float | str
    y: float | None
    lo: float | None = None
    hi: float | None = None
    x_lo: float | None = None
    x_hi: float | None = None
    label: str = ""
    scenario_id: str = ""


class Series(_Part):
    """The points of one thing that a chart shows; in a heatmap one row."""

    name: str
    points: list[Point]


class Chart(_Part):
    """A figure of a section, drawn by the report.

    line: x against y, points joined where a series has several. scatter: not joined. bar: one
    group for each x (a category), one bar for each series. heatmap: a row for each series, a
    column for each x, the value written in its cell.
    """

    kind: Literal["line", "bar", "heatmap", "scatter"]
    title: str
    x_label: str
    y_label: str
    series: list[Series]
    note: str = ""


class Section(_Part):
    """A part of the report that a pooled analysis wrote (see `sts_eval.probes.Pooled`).

    id: unique in the run; letters, digits, `-` and `_`.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
    title: str
    paragraphs: list[str] = []
    tables: list[Table] = []
    charts: list[Chart] = []


class RunRecord(_Part):
    """A whole run.

    state: "complete", or "partial" while scenarios are missing (interrupted; `--resume` continues).
    target: what `Target.describe()` said; suite: the suite file as parsed, defaults filled in.
    environment: versions, CPU, and the number of workers; nothing that identifies a user or a path.
    pooled: metrics whose estimates come from a pooled analysis over many traces: there are no
        observations behind them, and gates test their intervals.
    failures: what the harness itself could not do (a pooled analysis that raised).
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
    pooled: list[str] = []
    sections: list[Section] = []
    verdicts: list[Verdict] = []
    judges: list[JudgeReport] = []
    baseline: dict[str, Any] | None = None
    notes: list[str] = []
    failures: list[str] = []
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
