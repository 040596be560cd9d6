"""What a metric is: its contract in words and data, beside the pure function that computes it.

Every latency states where it starts (origin), where it ends (endpoint), on which clock, at which
resolution, where the times come from and whether it is clamped. Every metric says in two or three
sentences what it means, how it is computed and what it cannot tell; the report prints them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from sts_eval.observation import Direction

Clock = Literal["audio", "wall", "heard", "none"]


class MetricSpec(BaseModel):
    """The contract of one metric.

    name: snake case, unit as suffix (`_ms`, `_s`, `_rate`, `_ratio`, `_hz`, `_db`, `_count`).
    statistics: which summaries are estimated: "mean", "rate", "p50", "p90", "p95", "p99", "max".
    version: raised whenever the computation changes; `compare` refuses unequal versions.
    meaning / method / limits: one sentence or two each, for the report.
    only_by: estimated per value of this slice only (compute per stage: the stages do not mix).
    min_events: with fewer measured observations the metric is not measured: a share of three events
        says nothing that should be quoted.
    code: "module:function" of the pure function behind it; a test fails when that function changes
        and the version does not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    title: str
    unit: str
    direction: Direction
    statistics: tuple[str, ...]
    version: int
    meaning: str
    method: str
    limits: str
    origin: str = ""
    endpoint: str = ""
    clock: Clock = "none"
    resolution_ms: float | None = None
    source: str = ""
    clamped: bool = False
    only_by: str = ""
    min_events: int = 1
    code: str = ""
