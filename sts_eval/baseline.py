"""Baselines: an accepted run, small enough to review in a diff (reports/baselines/<suite>.json).

Accepting is explicit and never silent: the file records which run it replaced and how every
estimate moved. It holds what later comparisons need and nothing else: estimates with intervals, the
measured values of each scenario (for pairing), metric versions, the target and the suite's hash.

    {"schema": "sts-eval/baseline/1", "suite": ..., "suite_sha256": ..., "run_id": ..., "seed": ...,
     "target": {...}, "metrics": {name: {"version": 1, "unit": "ms"}}, "estimates": [...],
     "values": {metric: {scenario: [812.0, {"value": 31.0, "stage": "asr"}]}}, "replaced": {...}}

A value with conditions that are not its scenario's own (a stage, say) carries them beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sts_eval.gate_grammar import parse_gate
from sts_eval.metric import MetricSpec
from sts_eval.observation import Observation, Status
from sts_eval.record import RecordError, RunRecord
from sts_eval.stats import quantity
from sts_eval.trace import write_text_atomic

SCHEMA: Final = "sts-eval/baseline/1"
_LINE_WIDTH = 160
MOST_VALUES: Final = 32
"""A metric with more values in one scenario than this keeps its estimates only."""


class BaselineMismatch(Exception):
    """A run cannot be held against a baseline; the message says why."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class BaselineMetric(_Part):
    """Which computation the values come from."""

    version: int
    unit: str


class BaselineEstimate(_Part):
    """An estimate of the whole run, or of a gated slice."""

    key: str
    value: float | None
    lo: float | None
    hi: float | None
    n: int
    n_unmeasured: int
    n_error: int


class Move(_Part):
    """How one estimate moved when the baseline was replaced."""

    key: str
    before: float | None
    after: float | None
    gated: bool


class Replaced(_Part):
    """The baseline that this one took the place of."""

    run_id: str
    created: str
    moved: tuple[Move, ...]


class ConditionedValue(_Part):
    """A value with conditions of its own: `{"value": 31.0, "stage": "asr"}`."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str]
    value: float


class Baseline(_Part):
    """The file, see the module."""

    schema_: Literal["sts-eval/baseline/1"] = Field(SCHEMA, alias="schema")
    suite: str
    suite_sha256: str
    run_id: str
    created: str
    seed: int
    target: dict[str, Any]
    metrics: dict[str, BaselineMetric]
    estimates: tuple[BaselineEstimate, ...]
    values: dict[str, dict[str, list[float | ConditionedValue]]]
    replaced: Replaced | None = None


def accept(record: RunRecord, *, replaces: Path | None = None) -> dict[str, Any]:
    """Make a run the baseline of its suite. replaces: the baseline file in whose place it comes.

    Raises RecordError for a run that is partial, has scenarios that failed, or measured nothing,
    and for a file to be replaced that is not a baseline.
    """
    _refuse_unfit(record)
    gated = _gated(record)
    estimates = tuple(
        BaselineEstimate(
            key=key,
            value=item.value,
            lo=item.lo,
            hi=item.hi,
            n=item.n,
            n_unmeasured=item.n_unmeasured,
            n_error=item.n_error,
        )
        for item in record.estimates
        for key in [quantity(item.metric, item.statistic, item.slice)]
        if not item.slice or key in gated
    )
    baseline = Baseline(
        schema=SCHEMA,
        suite=suite_name(record),
        suite_sha256=record.suite_sha256,
        run_id=record.run_id,
        created=record.created,
        seed=record.seed,
        target=record.target,
        metrics={
            spec.name: BaselineMetric(version=spec.version, unit=spec.unit)
            for spec in record.metrics
        },
        estimates=estimates,
        values=_values(record),
        replaced=None if replaces is None else _replaced(replaces, record, estimates),
    )
    return baseline.model_dump(mode="json", by_alias=True, exclude_none=False)


def _refuse_unfit(record: RunRecord) -> None:
    broken = [item.id for item in record.scenarios if item.status == "error"]
    if record.state != "complete":
        raise RecordError(f"run {record.run_id} is partial: finish it with --resume first")
    if broken:
        raise RecordError(
            f"run {record.run_id} cannot be a baseline: {len(broken)} of {len(record.scenarios)} "
            f"scenarios failed ({', '.join(broken[:3])}{', ...' if len(broken) > 3 else ''})"
        )
    if not any(item.status is Status.MEASURED for item in record.observations):
        raise RecordError(f"run {record.run_id} cannot be a baseline: it measured nothing")


def suite_name(record: RunRecord) -> str:
    """The suite's name as its file says it."""
    return str(record.suite.get("suite", "unnamed"))


def _gated(record: RunRecord) -> set[str]:
    """The quantities that the suite's gates test."""
    specs = {spec.name: spec for spec in record.metrics}
    gates = [
        parse_gate(verdict.gate, specs) for verdict in record.verdicts if verdict.metric in specs
    ]
    return {quantity(gate.metric, gate.statistic, gate.where) for gate in gates}


def _values(record: RunRecord) -> dict[str, dict[str, list[float | ConditionedValue]]]:
    own = {item.id: item.conditions for item in record.scenarios}
    values: dict[str, dict[str, list[float | ConditionedValue]]] = {}
    for item in record.observations:
        if item.value is None:
            continue
        conditions = own.get(item.scenario_id, {})
        extra = {key: text for key, text in item.slices.items() if conditions.get(key) != text}
        entry: float | ConditionedValue = item.value
        if extra:
            entry = ConditionedValue.model_validate({**extra, "value": item.value})
        values.setdefault(item.metric, {}).setdefault(item.scenario_id, []).append(entry)
    # A metric of every frame is not compared scenario by scenario, and would be most of the file.
    return {
        metric: found
        for metric, found in values.items()
        if max(map(len, found.values())) <= MOST_VALUES
    }


def _replaced(file: Path, record: RunRecord, estimates: tuple[BaselineEstimate, ...]) -> Replaced:
    old = validate_baseline(load_baseline(file), str(file))
    before = {item.key: item.value for item in old.estimates}
    gated = _gated(record)
    moved = [
        Move(key=item.key, before=before.get(item.key), after=item.value, gated=item.key in gated)
        for item in estimates
        if before.get(item.key) != item.value
    ]
    return Replaced(run_id=old.run_id, created=old.created, moved=tuple(moved))


def validate_baseline(data: Any, name: str) -> Baseline:
    """Check a baseline. Raises RecordError naming the first thing that is wrong."""
    schema = data.get("schema") if isinstance(data, Mapping) else None
    if schema != SCHEMA:
        raise RecordError(f"{name}: schema {schema!r}, this version reads {SCHEMA!r}")
    try:
        return Baseline.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecordError(f"{name}: {where}: {first['msg']}") from error


def load_baseline(path: Path) -> dict[str, Any]:
    """Read and check a baseline file. Raises RecordError."""
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise RecordError(f"{path}: not JSON: {error}") from error
    validate_baseline(data, str(path))
    loaded: dict[str, Any] = data
    return loaded


def save_baseline(baseline: Mapping[str, Any], path: Path) -> None:
    """Write a baseline atomically, one short line per scenario, so that a diff can be read."""
    write_text_atomic(path, _pretty(baseline, 0) + "\n")


def _pretty(value: Any, indent: int) -> str:
    """JSON with sorted keys in which everything that fits into a line stays on one."""
    flat = json.dumps(value, ensure_ascii=False, sort_keys=True)
    if not isinstance(value, Mapping | list | tuple) or len(flat) + indent <= _LINE_WIDTH:
        return flat
    pad = " " * (indent + 1)
    if isinstance(value, Mapping):
        inner = [
            f"{pad}{json.dumps(key, ensure_ascii=False)}: {_pretty(value[key], indent + 1)}"
            for key in sorted(value)
        ]
        return "{\n" + ",\n".join(inner) + "\n" + " " * indent + "}"
    rows = [pad + _pretty(item, indent + 1) for item in value]
    return "[\n" + ",\n".join(rows) + "\n" + " " * indent + "]"


def check_comparable(baseline: Mapping[str, Any], record: RunRecord, spec: MetricSpec) -> None:
    """Raise BaselineMismatch unless the metric means the same thing in both."""
    if baseline["suite_sha256"] != record.suite_sha256:
        raise BaselineMismatch(
            f"the baseline (run {baseline['run_id']}) was made with another content of the suite "
            f"({baseline['suite_sha256'][:8]}, this run {record.suite_sha256[:8]}): "
            "accept a new baseline"
        )
    theirs = baseline["metrics"].get(spec.name)
    if theirs is None:
        raise BaselineMismatch(f"the baseline (run {baseline['run_id']}) lacks {spec.name}")
    if theirs["version"] != spec.version:
        raise BaselineMismatch(
            f"{spec.name} is version {spec.version} here and {theirs['version']} in the baseline: "
            "accept a new baseline"
        )


def baseline_observations(
    baseline: Mapping[str, Any], record: RunRecord, metric: str
) -> list[Observation]:
    """The baseline's values of a metric on the scenarios of this run, as observations."""
    conditions = {item.id: item.conditions for item in record.scenarios}
    found = []
    for scenario_id, entries in baseline["values"].get(metric, {}).items():
        if scenario_id not in conditions:
            continue
        for entry in entries:
            extra = dict(entry) if isinstance(entry, Mapping) else {"value": entry}
            value = float(extra.pop("value"))
            found.append(
                Observation(
                    metric=metric,
                    scenario_id=scenario_id,
                    status=Status.MEASURED,
                    value=value,
                    slices={**conditions[scenario_id], **{k: str(v) for k, v in extra.items()}},
                )
            )
    return found
