"""The table of skills: each value with its interval, its n, and the bar it has to reach.

Shares have Wilson's interval (Wilson 1927). Quantiles and word error rates are resampled 2,000
times by take (percentile bootstrap). False starts are counts: their bound is the exact Poisson one
(Garwood 1936), scaled to ten minutes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sts_core.skills.measure import Outcome, Outcomes

RESAMPLES = 2000
SPAN_S = 600.0

Statistic = Literal["share", "p50", "p95", "ratio", "per_10_min"]


@dataclass(frozen=True)
class Bar:
    """A line of the table: which measure, which statistic, and its bar (None: reported only)."""

    measure: str
    title: str
    statistic: Statistic
    sign: Literal[">=", "<="] = ">="
    bar: float | None = None


BARS = (
    Bar("sums", "sums within the trained range", "share", ">=", 0.90),
    Bar("sums_never_trained", "sums never trained", "share"),
    Bar("facts", "facts", "share", ">=", 0.85),
    Bar("refusals", '"I do not know that" when nobody could', "share", ">=", 0.80),
    Bar("false_refusals", "the same when it should know", "share", "<=", 0.05),
    Bar("stops", "silent 400 ms after a barge-in", "share", ">=", 0.95),
    Bar("answers_new", "answers the new request", "share", ">=", 0.80),
    Bar("keeps_on", "keeps talking through a back-channel", "share", ">=", 0.90),
    Bar("takeovers", "takes the turn in a pause of 0.3-1.0 s", "share", "<=", 0.10),
    Bar("false_starts", "false starts in 10 minutes", "per_10_min", "<=", 2.0),
    Bar("onset_ms", "response onset, median, ms", "p50", "<=", 240.0),
    Bar("onset_ms", "response onset, 95th percentile, ms", "p95", "<=", 640.0),
    Bar("tones", "reply fits the tone of voice", "share", ">=", 0.70),
    Bar("agreement", "word errors, audio against inner text", "ratio", "<=", 0.15),
)


@dataclass(frozen=True)
class Line:
    """A measured line; value None: nothing could be measured."""

    bar: Bar
    value: float | None
    lo: float | None
    hi: float | None
    n: int
    missing: int

    @property
    def holds(self) -> bool | None:
        """Whether the value reaches the bar; None without either."""
        if self.value is None or self.bar.bar is None:
            return None
        return self.value >= self.bar.bar if self.bar.sign == ">=" else self.value <= self.bar.bar

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "measure": self.bar.measure,
            "title": self.bar.title,
            "statistic": self.bar.statistic,
            "value": self.value,
            "lo": self.lo,
            "hi": self.hi,
            "n": self.n,
            "not_measured": self.missing,
            "bar": None if self.bar.bar is None else f"{self.bar.sign} {self.bar.bar:g}",
            "holds": self.holds,
        }


def summarise(outcomes: Outcomes, seed: int = 0) -> list[Line]:
    """A line for each bar whose measure was asked for."""
    lines = []
    for bar in BARS:
        found, missing = outcomes.of(bar.measure), outcomes.missing.get(bar.measure, 0)
        if found or missing:
            value, lo, hi = estimate(found, bar.statistic, seed)
            lines.append(Line(bar, value, lo, hi, len(found), missing))
    return lines


def estimate(
    found: Sequence[Outcome], statistic: Statistic, seed: int = 0
) -> tuple[float | None, float | None, float | None]:
    """Value and two-sided 95 % interval; all None without outcomes."""
    if not found:
        return None, None, None
    values = np.array([each.value for each in found])
    weights = np.array([each.weight for each in found])
    if statistic == "share":
        return _wilson(int(values.sum()), len(values))
    if statistic == "per_10_min":
        return _poisson(int(values.sum()), float(weights.sum()) / SPAN_S)
    if statistic == "ratio" and weights.sum() == 0:
        return None, None, None

    def of(index: np.ndarray) -> float:
        if statistic == "ratio":
            return float(values[index].sum() / max(weights[index].sum(), 1.0))
        return float(np.percentile(values[index], 50 if statistic == "p50" else 95))

    rng = np.random.default_rng(seed)
    draws = [of(rng.integers(len(values), size=len(values))) for _ in range(RESAMPLES)]
    lo, hi = np.percentile(draws, [2.5, 97.5])
    return of(np.arange(len(values))), float(lo), float(hi)


def _wilson(events: int, n: int) -> tuple[float, float, float]:
    from scipy.stats import binomtest

    interval = binomtest(events, n).proportion_ci(method="wilson")
    return events / n, float(interval.low), float(interval.high)


def _poisson(events: int, spans: float) -> tuple[float, float, float]:
    from scipy.stats import chi2

    lo = chi2.ppf(0.025, 2 * events) / 2 if events else 0.0
    hi = chi2.ppf(0.975, 2 * events + 2) / 2
    return events / spans, float(lo) / spans, float(hi) / spans


def as_text(lines: Sequence[Line]) -> str:
    """The table for a terminal and for the model card (Markdown)."""
    rows = ["| skill | value [95 %] | n | not measured | bar | |", "|---|---|---|---|---|---|"]
    for line in lines:
        bar = (
            "reported" if line.bar.bar is None else f"{line.bar.sign} {_shown(line, line.bar.bar)}"
        )
        word = {None: "", True: "holds", False: "MISSED"}[line.holds]
        value = "not measured"
        if line.value is not None and line.lo is not None and line.hi is not None:
            bounds = f"[{_shown(line, line.lo)}, {_shown(line, line.hi)}]"
            value = f"{_shown(line, line.value)} {bounds}"
        rows.append(
            f"| {line.bar.title} | {value} | {line.n} | {line.missing or ''} | {bar} | {word} |"
        )
    return "\n".join(rows)


def _shown(line: Line, value: float) -> str:
    if math.isinf(value):
        return "∞"
    if line.bar.statistic in ("share", "ratio"):
        return f"{100 * value:.0f} %"
    return f"{value:.0f}" if line.bar.measure.endswith("_ms") else f"{value:.1f}"
