"""Records with known values, from which gates, comparisons and outputs are made."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from sts_eval.metric import MetricSpec
from sts_eval.observation import Direction, Observation, Status
from sts_eval.record import RunRecord, ScenarioResult
from sts_eval.stats import estimate_all

Value = float | str | None  # a number; a string is an unmeasured reason; None is an error
MakeRecord = Callable[..., RunRecord]


def _spec(
    name: str, unit: str, direction: Direction, statistics: tuple[str, ...], version: int = 1
) -> MetricSpec:
    return MetricSpec(
        name=name,
        title=name,
        unit=unit,
        direction=direction,
        statistics=statistics,
        version=version,
        meaning="meaning",
        method="method",
        limits="limits",
    )


@pytest.fixture(scope="session")
def specs() -> dict[str, MetricSpec]:
    """Three metrics: a latency, a rate, and one without a better direction."""
    found = [
        _spec("delay_ms", "ms", "lower", ("mean", "p50", "p95", "max")),
        _spec("answer_rate", "ratio", "higher", ("rate",)),
        _spec("pitch_hz", "Hz", "none", ("mean",)),
    ]
    return {spec.name: spec for spec in found}


def _observation(
    metric: str, scenario_id: str, value: Value, slices: dict[str, str]
) -> Observation:
    common: dict[str, Any] = {"metric": metric, "scenario_id": scenario_id, "slices": slices}
    if value is None:
        return Observation(status=Status.ERROR, reason="target died", **common)
    if isinstance(value, str):
        return Observation(status=Status.UNMEASURED, reason=value, **common)
    return Observation(status=Status.MEASURED, value=value, **common)


@pytest.fixture(scope="session")
def make_record(specs: dict[str, MetricSpec]) -> MakeRecord:
    """Build a run from `{metric: [value of s000, value of s001, ...]}`."""

    def build(
        values: Mapping[str, Sequence[Value]],
        *,
        conditions: Callable[[int], dict[str, str]] = lambda index: {},
        versions: Mapping[str, int] | None = None,
        **fields: Any,
    ) -> RunRecord:
        used = [
            specs[name].model_copy(update={"version": (versions or {}).get(name, 1)})
            for name in values
        ]
        count = max((len(column) for column in values.values()), default=0)
        broken = {i for column in values.values() for i, v in enumerate(column) if v is None}
        scenarios = [
            ScenarioResult(
                id=f"s{i:03d}",
                kind="question",
                title=f"scenario {i}",
                status="error" if i in broken else "ok",
                error="target died" if i in broken else "",
                conditions=conditions(i),
                trace=f"traces/s{i:03d}.json",
                seconds=4.0,
            )
            for i in range(count)
        ]
        observations = [
            _observation(name, f"s{i:03d}", value, conditions(i))
            for name, column in values.items()
            for i, value in enumerate(column)
        ]
        common: dict[str, Any] = {
            "schema": "sts-eval/run/1",
            "run_id": "run-1",
            "created": "2026-01-02T03:04:05Z",
            "suite": {"suite": "latency"},
            "suite_sha256": "a" * 64,
            "target": {"name": "echo"},
            "seed": 1,
            "estimates": estimate_all(observations, used, seed=1),
        }
        return RunRecord(
            metrics=used, scenarios=scenarios, observations=observations, **{**common, **fields}
        )

    return build
