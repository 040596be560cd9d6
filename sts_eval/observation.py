"""Observation -> Estimate -> Verdict: the three records that carry every number.

- An **Observation** is one metric on one scenario: a value, or `unmeasured` with a reason, or
  `error` with a reason. It names its cluster (observations of one cluster are not independent) and
  the span of the trace, in seconds, that is its evidence.
- An **Estimate** summarises observations: value, two-sided 95 % interval, n, and how many were not
  measured or failed. No number appears anywhere without these.
- A **Verdict** is what a gate says of an estimate: PASS, FAIL or INCONCLUSIVE, with the reason.

Errors never vanish from a denominator unseen: they are counted in `n_error` of every estimate.
"""

from __future__ import annotations

import enum
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

Direction = Literal["lower", "higher", "none"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Status(enum.StrEnum):
    """How an observation ended."""

    MEASURED = "measured"
    UNMEASURED = "unmeasured"
    ERROR = "error"


class Observation(_Record):
    """One metric on one scenario (or on one event of it).

    value: in the metric's unit; rates are 0.0 or 1.0 per observation. None unless measured.
    cluster: label of the group that is resampled together (utterance, speaker or dialogue).
    span_s: evidence, (start, end) in seconds of the trace.
    slices: conditions it can be broken down by, e.g. {"voice": "af_nova", "snr_db": "10"}.
    """

    metric: str
    scenario_id: str
    status: Status
    value: float | None = None
    reason: str = ""
    cluster: str = ""
    span_s: tuple[float, float] | None = None
    slices: dict[str, str] = {}

    @model_validator(mode="after")
    def _value_or_reason(self) -> Observation:
        if (self.status is Status.MEASURED) != (self.value is not None):
            raise ValueError("an observation has a value exactly when it is measured")
        if self.status is not Status.MEASURED and not self.reason:
            raise ValueError("an observation without a value needs a reason")
        return self


class Estimate(_Record):
    """A summary of one metric over a run or a slice of it.

    statistic: "mean", "rate", "p50", "p95", ... ; key: "<metric>.<statistic>".
    lo, hi: two-sided 95 % interval; None where it cannot be given (reason says why).
    value is None when nothing was measured.
    n: measured observations; n_clusters: how many independent groups they form.
    """

    metric: str
    statistic: str
    value: float | None
    lo: float | None = None
    hi: float | None = None
    n: int
    n_clusters: int = 0
    n_unmeasured: int = 0
    n_error: int = 0
    unit: str
    direction: Direction
    method: str
    version: int
    slice: dict[str, str] = {}
    reason: str = ""

    @property
    def key(self) -> str:
        """The name that gates and baselines use."""
        return f"{self.metric}.{self.statistic}"


class Outcome(enum.StrEnum):
    """What a gate says."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


class Verdict(_Record):
    """One gate's result.

    gate: the gate's text as the suite has it.
    value, lo, hi, n: of the tested quantity (for a baseline gate: of the paired difference).
    p_value, p_holm: of the hypothesis "the gate is met", before and after Holm's correction over
        the gates of the suite; FAIL needs p_holm < 0.05.
    detectable: smallest change that this comparison would find 80 % of the time, same unit.
    worst: ids of the scenarios that weigh most against the gate, worst first.
    """

    gate: str
    metric: str
    statistic: str
    outcome: Outcome
    reason: str
    value: float | None = None
    lo: float | None = None
    hi: float | None = None
    threshold: float | None = None
    n: int = 0
    p_value: float | None = None
    p_holm: float | None = None
    detectable: float | None = None
    unit: str = ""
    worst: tuple[str, ...] = ()
