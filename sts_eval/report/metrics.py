"""One section per metric: contract, distribution, statistics with intervals, breakdown by slice.

Metrics with a gate come first, then the others, each in the order of the record. A share of cases
(all values 0 or 1) is shown as one cell per case, anything else as dots under their cumulative
distribution. Every dot and cell leads to its scenario's evidence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sts_eval.metric import MetricSpec
from sts_eval.observation import Estimate, Observation, Outcome, Status, Verdict
from sts_eval.record import RunRecord
from sts_eval.report import numbers, plots
from sts_eval.report.gates import is_baseline_gate, wants_at_most
from sts_eval.report.plots import Axis

MOST_DOTS = 1500
_CLOCKS = {
    "audio": "audio clock (deterministic: 80 ms ticks of the tracks)",
    "wall": "wall clock (measured on this machine)",
    "heard": "heard (audio clock, delayed where the target computed too slowly)",
    "none": "",
}


@dataclass(frozen=True)
class IntervalRow:
    """A value with its interval on a shared axis; positions in per cent of the figure."""

    label: str
    value: str
    interval: str
    n: int
    n_clusters: int
    n_unmeasured: int
    n_error: int
    method: str
    reason: str
    value_pct: float | None
    lo_pct: float | None
    hi_pct: float | None
    gate_pct: float | None = None
    baseline_pct: float | None = None
    baseline: str = ""


@dataclass(frozen=True)
class SliceTable:
    """One statistic by the levels of one condition."""

    dimension: str
    statistic: str
    rows: list[IntervalRow]
    overall_pct: float | None
    axis_ends: tuple[str, str]


@dataclass(frozen=True)
class Line:
    """A labelled vertical line in a distribution. `anchor` keeps its label inside the figure."""

    pct: float
    label: str
    kind: str
    anchor: str


@dataclass(frozen=True)
class Point:
    """A dot or a cell: where it is, what it says, where it leads."""

    pct: float
    y_px: float
    title: str
    href: str
    bad: bool
    on: bool = False


@dataclass(frozen=True)
class Distribution:
    """All measured values. `path` is the cumulative distribution in a 1000 x 100 box."""

    points: list[Point]
    left_out: int
    height_px: float
    radius_px: float
    path: str
    ticks: list[tuple[float, str]]
    lines: list[Line]
    median_pct: float | None
    median_lo_pct: float
    median_hi_pct: float
    median: str


@dataclass(frozen=True)
class MetricSection:
    """Everything the template needs for one metric."""

    spec: MetricSpec
    anchor: str
    headline: list[tuple[str, str, str]]
    contract: list[tuple[str, str]]
    outcomes: list[Outcome]
    distribution: Distribution | None
    cells: list[Point]
    rows: list[IntervalRow]
    axis_ends: tuple[str, str]
    slices: list[SliceTable]
    missing: list[str] = field(default_factory=list)


def ordered_specs(record: RunRecord) -> list[MetricSpec]:
    """Metrics with a gate first, in the order of the gates; then the others."""
    gated = list(dict.fromkeys(verdict.metric for verdict in record.verdicts))
    rank = {name: index for index, name in enumerate(gated)}
    return sorted(record.metrics, key=lambda spec: rank.get(spec.name, len(rank)))


def metric_sections(record: RunRecord, links: Mapping[str, str]) -> list[MetricSection]:
    """All sections. `links`: scenario id -> link to its evidence."""
    return [_section(record, spec, links) for spec in ordered_specs(record)]


def beyond_gate(observation: Observation, verdict: Verdict, spec: MetricSpec) -> bool:
    """Whether one measured value lies on the wrong side of a gate's absolute limit."""
    if observation.value is None or verdict.threshold is None or is_baseline_gate(verdict):
        return False
    if "rate" in spec.statistics:
        return observation.value == (1.0 if wants_at_most(verdict, spec) else 0.0)
    if wants_at_most(verdict, spec):
        return observation.value > verdict.threshold
    return observation.value < verdict.threshold


class _Scale:
    """How one metric's values become text and positions."""

    def __init__(self, spec: MetricSpec, axis: Axis) -> None:
        self.spec, self.axis = spec, axis
        self.share = numbers.is_share(spec.name, spec.unit)

    def text(self, value: float | None) -> str:
        return numbers.quantity(value, self.spec.unit, share=self.share)

    def pct(self, value: float | None) -> float | None:
        return None if value is None else self.axis.pct(value)

    def ends(self) -> tuple[str, str]:
        return self.text(self.axis.lo), self.text(self.axis.hi)


def _section(record: RunRecord, spec: MetricSpec, links: Mapping[str, str]) -> MetricSection:
    observations = [each for each in record.observations if each.metric == spec.name]
    measured = [each for each in observations if each.status is Status.MEASURED]
    estimates = [each for each in record.estimates if each.metric == spec.name]
    verdicts = [each for each in record.verdicts if each.metric == spec.name]
    whole = [each for each in estimates if not each.slice]
    baseline = baseline_values(record, spec.name)
    is_rate = "rate" in spec.statistics
    limits = [v.threshold for v in verdicts if not is_baseline_gate(v)]
    ends = [end for each in whole for end in (each.value, each.lo, each.hi)]
    if numbers.is_share(spec.name, spec.unit):
        axis = plots.SHARE_AXIS
    else:
        axis = plots.axis_over([*(o.value for o in measured), *ends, *limits, *baseline.values()])
    scale = _Scale(spec, axis)
    points = _points(measured, verdicts, scale, links, record)
    return MetricSection(
        spec=spec,
        anchor=f"metric-{re.sub(r'[^a-z0-9_]', '-', spec.name)}",
        headline=[
            (
                numbers.statistic_name(each.statistic) or each.statistic,
                scale.text(each.value),
                numbers.interval(each.lo, each.hi, spec.unit, share=scale.share),
            )
            for each in _headline(whole, verdicts)
        ],
        contract=_contract(spec),
        outcomes=[verdict.outcome for verdict in verdicts],
        distribution=(None if is_rate else _distribution(points, whole, verdicts, baseline, scale)),
        cells=[p for p, _ in sorted(points, key=lambda each: not each[0].bad)] if is_rate else [],
        rows=[_interval_row(each, _stat_label(each), scale, verdicts, baseline) for each in whole],
        axis_ends=scale.ends(),
        slices=_slices(estimates, whole, verdicts, spec),
        missing=missing_reasons(observations),
    )


def missing_reasons(observations: Sequence[Observation]) -> list[str]:
    """ "3 not measured: no agent speech", most frequent first; errors before what is unmeasured."""
    counts: dict[tuple[bool, str], int] = {}
    for each in observations:
        if each.status is not Status.MEASURED:
            key = (each.status is Status.UNMEASURED, each.reason)
            counts[key] = counts.get(key, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (item[0][0], -item[1], item[0][1]))
    return [
        f"{count:,} {'not measured' if unmeasured else 'in error'}: {reason}"
        for (unmeasured, reason), count in ordered
    ]


def baseline_values(record: RunRecord, metric: str) -> dict[str, float]:
    """statistic -> value of the accepted baseline, empty where there is none."""
    stored = (record.baseline or {}).get("estimates", [])
    found = {}
    for each in stored if isinstance(stored, list) else []:
        if isinstance(each, dict) and each.get("metric") == metric and not each.get("slice"):
            value = each.get("value")
            if isinstance(value, int | float):
                found[str(each.get("statistic"))] = float(value)
    return found


def _headline(whole: list[Estimate], verdicts: list[Verdict]) -> list[Estimate]:
    gated = {verdict.statistic for verdict in verdicts}
    return [each for each in whole if each.statistic in gated] or whole[:1]


def _contract(spec: MetricSpec) -> list[tuple[str, str]]:
    better = {"lower": "lower is better", "higher": "higher is better", "none": "neither is better"}
    resolution = f"{numbers.plain(spec.resolution_ms)} ms" if spec.resolution_ms else ""
    timed = bool(spec.origin or spec.endpoint)
    fields = [
        ("From", spec.origin),
        ("To", spec.endpoint),
        ("Clock", _CLOCKS[spec.clock]),
        ("Resolution", resolution),
        ("Source", spec.source),
        ("Clamped", ("yes" if spec.clamped else "no, signed") if timed else ""),
        ("Direction", better[spec.direction]),
        ("Name", f"{spec.name}, version {spec.version}"),
    ]
    return [(name, text) for name, text in fields if text]


def _stat_label(estimate: Estimate) -> str:
    return numbers.statistic_name(estimate.statistic) or "rate"


def _points(
    measured: list[Observation],
    verdicts: list[Verdict],
    scale: _Scale,
    links: Mapping[str, str],
    record: RunRecord,
) -> list[tuple[Point, float]]:
    """The points with their values, in the order of the record; the template draws them."""
    titles = {scenario.id: scenario.title or scenario.id for scenario in record.scenarios}
    points = []
    for each in measured:
        value = each.value or 0.0
        bad = any(beyond_gate(each, verdict, scale.spec) for verdict in verdicts)
        said = ("yes" if value else "no") if scale.share and value in (0, 1) else scale.text(value)
        title = f"{said}: {titles.get(each.scenario_id, each.scenario_id)} ({each.scenario_id})"
        point = Point(
            scale.axis.pct(value), 0.0, title, links.get(each.scenario_id, ""), bad, value > 0
        )
        points.append((point, value))
    return points


def _distribution(
    points: list[tuple[Point, float]],
    whole: list[Estimate],
    verdicts: list[Verdict],
    baseline: Mapping[str, float],
    scale: _Scale,
) -> Distribution | None:
    if not points:
        return None
    values = [value for _, value in points]
    # In a very large run only what has evidence on the page, or is beyond a limit, gets a dot.
    drawn = points
    if len(points) > MOST_DOTS:
        drawn = [(p, value) for p, value in points if p.href or p.bad][:MOST_DOTS]
    strip = plots.strip([value for _, value in drawn], scale.axis)
    placed = [replace(drawn[dot.index][0], y_px=dot.y_px) for dot in strip.dots]
    median = next((each for each in whole if each.statistic == "p50"), None)
    middle = scale.pct(median.value) if median else None
    low = scale.pct(median.lo) if median else None
    high = scale.pct(median.hi) if median else None
    return Distribution(
        points=placed,
        left_out=len(points) - len(drawn),
        height_px=strip.height_px,
        radius_px=strip.radius_px,
        path=plots.ecdf_path(values, scale.axis),
        ticks=[(tick.pct, scale.text(tick.value)) for tick in scale.axis.ticks()],
        lines=_lines(verdicts, baseline, scale),
        median_pct=middle,
        median_lo_pct=low if low is not None else middle or 0.0,
        median_hi_pct=high if high is not None else middle or 0.0,
        median=scale.text(median.value) if median else "",
    )


def _lines(verdicts: list[Verdict], baseline: Mapping[str, float], scale: _Scale) -> list[Line]:
    lines = []
    for verdict in verdicts:
        if verdict.threshold is not None and not is_baseline_gate(verdict):
            sign = "≤" if wants_at_most(verdict, scale.spec) else "≥"
            label = f"gate: {verdict.statistic} {sign} {scale.text(verdict.threshold)}"
            lines.append(_line(scale.axis.pct(verdict.threshold), label, "gate"))
    shown = [v.statistic for v in verdicts] or ["p50"]
    for statistic in dict.fromkeys(shown):
        if statistic in baseline:
            label = f"baseline {statistic}: {scale.text(baseline[statistic])}"
            lines.append(_line(scale.axis.pct(baseline[statistic]), label, "baseline"))
    return lines


def _line(pct: float, label: str, kind: str) -> Line:
    return Line(pct, label, kind, "start" if pct < 55 else "end")


def _interval_row(
    estimate: Estimate,
    label: str,
    scale: _Scale,
    verdicts: Sequence[Verdict] = (),
    baseline: Mapping[str, float] | None = None,
) -> IntervalRow:
    limit = next(
        (
            verdict.threshold
            for verdict in verdicts
            if verdict.statistic == estimate.statistic and not is_baseline_gate(verdict)
        ),
        None,
    )
    before = (baseline or {}).get(estimate.statistic)
    unit = scale.spec.unit
    return IntervalRow(
        label=label,
        value=scale.text(estimate.value),
        interval=numbers.interval(estimate.lo, estimate.hi, unit, share=scale.share),
        n=estimate.n,
        n_clusters=estimate.n_clusters,
        n_unmeasured=estimate.n_unmeasured,
        n_error=estimate.n_error,
        method=estimate.method,
        reason=estimate.reason,
        value_pct=scale.pct(estimate.value),
        lo_pct=scale.pct(estimate.lo),
        hi_pct=scale.pct(estimate.hi),
        gate_pct=scale.pct(limit),
        baseline_pct=scale.pct(before),
        baseline=scale.text(before) if before is not None else "",
    )


def _slices(
    estimates: list[Estimate], whole: list[Estimate], verdicts: list[Verdict], spec: MetricSpec
) -> list[SliceTable]:
    sliced = [each for each in estimates if each.slice]
    available = list(dict.fromkeys(each.statistic for each in sliced))
    gated = [v.statistic for v in verdicts if v.statistic in available]
    if not available:
        return []
    chosen = gated[0] if gated else available[0]
    total = next((each for each in whole if each.statistic == chosen), None)
    groups: dict[tuple[str, ...], list[Estimate]] = {}
    for each in sliced:
        if each.statistic == chosen:
            groups.setdefault(tuple(each.slice), []).append(each)
    ends = [
        end for each in sliced if each.statistic == chosen for end in (each.value, each.lo, each.hi)
    ]
    share = numbers.is_share(spec.name, spec.unit)
    scale = _Scale(spec, plots.SHARE_AXIS if share else plots.axis_over(ends))
    tables = []
    for keys, members in groups.items():
        members.sort(key=lambda each: [numbers.natural(level) for level in each.slice.values()])
        tables.append(
            SliceTable(
                dimension=" x ".join(keys).replace("_", " "),
                statistic=numbers.statistic_name(chosen),
                rows=[
                    _interval_row(each, ", ".join(each.slice.values()), scale, verdicts)
                    for each in members
                ],
                overall_pct=scale.pct(total.value) if total else None,
                axis_ends=scale.ends(),
            )
        )
    return tables
