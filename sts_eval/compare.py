"""Two runs side by side: what changed, how sure that is, and what could not be compared.

Every row is one metric.statistic. The difference is always **b - a** (new minus old), over the
scenarios that were measured in both runs, with a 95 % interval and a two-sided p-value for "no
difference", corrected by Holm over all rows that have one. `detectable` is the smallest true
change that this comparison would find 80 % of the time: a row without a difference whose
detectable change is large has shown little.

Rows are refused, with the reason, when the metric's version differs or nothing can be paired.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from sts_eval.observation import Direction, Estimate

Change = Literal["better", "worse", "changed", "no difference shown", "not comparable"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RunSummary(_Part):
    """One side of a comparison."""

    run_id: str
    created: str
    target: str
    suite: str
    suite_sha256: str
    seed: int
    n_scenarios: int
    n_error: int


class ScenarioChange(_Part):
    """One scenario's mean value in both runs; `difference` is b - a."""

    scenario_id: str
    a: float
    b: float
    difference: float


class ComparisonRow(_Part):
    """One metric.statistic in both runs.

    a, b: the estimates of the whole runs (None where a run does not have the metric).
    difference, lo, hi: b - a over the paired scenarios, in `unit`; lo/hi None where no interval
        can be given (`reason` says why).
    p_value, p_holm: two-sided, of "no difference". detectable: see the module.
    n_paired: scenarios measured in both; n_only_a, n_only_b: scenarios measured in one only.
    change: "better"/"worse" need p_holm < 0.05; "changed" is a metric without a good direction.
    largest: the scenarios that changed most, largest first.
    """

    metric: str
    statistic: str
    title: str
    unit: str
    direction: Direction
    a: Estimate | None
    b: Estimate | None
    difference: float | None = None
    lo: float | None = None
    hi: float | None = None
    p_value: float | None = None
    p_holm: float | None = None
    detectable: float | None = None
    n_paired: int = 0
    n_only_a: int = 0
    n_only_b: int = 0
    method: str = ""
    change: Change = "not comparable"
    reason: str = ""
    largest: tuple[ScenarioChange, ...] = ()

    @property
    def key(self) -> str:
        """`<metric>.<statistic>`."""
        return f"{self.metric}.{self.statistic}"


class Comparison(_Part):
    """All rows, and notes on what makes the runs less comparable (suite, seed, errors)."""

    a: RunSummary
    b: RunSummary
    rows: tuple[ComparisonRow, ...]
    notes: tuple[str, ...] = ()
