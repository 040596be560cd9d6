"""One section per metric: contract, distribution, statistics with intervals, breakdown by slice.

Metrics with a gate come first, then the others, each in the order of the record. A share of cases
is shown as one cell per case, anything else as dots under their cumulative distribution.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sts_eval.metric import MetricSpec
from sts_eval.observation import Estimate, Observation, Outcome, Status, Verdict
from sts_eval.record import RunRecord
from sts_eval.report import numbers, plots
from sts_eval.report.distribution import Distribution, Point, Scale, cells, distribution, points
from sts_eval.report.gates import Limits, is_share

_CLOCKS = {
    "audio": "audio clock: 80 ms ticks of the tracks, the same in every run",
    "wall": "wall clock, measured on this machine",
    "heard": "as heard: the audio clock, delayed where the target computed too slowly",
    "none": "",
}
_BETTER = {"lower": "lower is better", "higher": "higher is better", "none": "neither is better"}


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
class MetricSection:
    """Everything the template needs for one metric. `headline`: its gated statistics."""

    spec: MetricSpec
    anchor: str
    headline: list[IntervalRow]
    contract: list[tuple[str, str]]
    outcomes: list[Outcome]
    distribution: Distribution | None
    cells: list[Point]
    rows: list[IntervalRow]
    axis_ends: tuple[str, str]
    slices: list[SliceTable]
    missing: list[str] = field(default_factory=list)

    @property
    def measured(self) -> bool:
        """Whether there is a value, be it without observations (a pooled estimate)."""
        return any(row.value_pct is not None for row in self.rows) or bool(self.by_condition)

    @property
    def by_condition(self) -> str:
        """By what a metric without a value for the whole run has values; else ""."""
        shown = [
            table.dimension
            for table in self.slices
            if any(row.value_pct is not None for row in table.rows)
        ]
        return "" if self.rows else ", ".join(shown)

    @property
    def undecided(self) -> bool:
        """Whether a gate on it failed or is inconclusive."""
        return any(outcome is not Outcome.PASS for outcome in self.outcomes)


def ordered_specs(record: RunRecord) -> list[MetricSpec]:
    """Metrics with a gate first, in the order of the gates; then the others."""
    gated = list(dict.fromkeys(verdict.metric for verdict in record.verdicts))
    rank = {name: index for index, name in enumerate(gated)}
    return sorted(record.metrics, key=lambda spec: rank.get(spec.name, len(rank)))


def metric_anchor(name: str) -> str:
    """The fragment of a metric's section."""
    return f"metric-{re.sub(r'[^A-Za-z0-9_-]', '-', name)}"


def metric_sections(record: RunRecord, links: Mapping[str, str]) -> list[MetricSection]:
    """All sections. `links`: scenario id -> link to its evidence."""
    limits = Limits(record)
    titles = {scenario.id: scenario.title for scenario in record.scenarios}
    observations: dict[str, list[Observation]] = {}
    for each in record.observations:
        observations.setdefault(each.metric, []).append(each)
    sections = []
    for spec in ordered_specs(record):
        own = observations.get(spec.name, [])
        measured = [each for each in own if each.status is Status.MEASURED]
        view = _Numbers(record, spec, limits, measured)
        made = points(measured, view.scale, limits, links, titles)
        sections.append(_section(view, made, missing_reasons(own)))
    return sections


def missing_reasons(observations: Sequence[Observation]) -> list[str]:
    """ "3 not measured: no agent speech", errors first, then the most frequent."""
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
    """statistic -> value of the accepted baseline; empty where there is none."""
    stored = (record.baseline or {}).get("estimates", [])
    found = {}
    for each in stored if isinstance(stored, list) else []:
        name, _, statistic = str(each.get("key", "")).rpartition(".")
        if name == metric and isinstance(each.get("value"), int | float):
            found[statistic] = float(each["value"])
    return found


class _Numbers:
    """What the record says of one metric, and the scale it is drawn on."""

    def __init__(
        self,
        record: RunRecord,
        spec: MetricSpec,
        limits: Limits,
        measured: Sequence[Observation],
    ) -> None:
        self.spec, self.limits = spec, limits
        self.estimates = [each for each in record.estimates if each.metric == spec.name]
        # a metric that is estimated per stage has no whole: its stages stand in for it
        own = {spec.only_by} if spec.only_by else set()
        self.whole = [each for each in self.estimates if set(each.slice) == own]
        self.verdicts = [each for each in record.verdicts if each.metric == spec.name]
        self.baseline = baseline_values(record, spec.name)
        if is_share(spec):
            axis = plots.SHARE_AXIS
        else:
            ends = [end for each in self.whole for end in (each.value, each.lo, each.hi)]
            values = [each.value for each in measured]
            axis = plots.axis_over(
                [*values, *ends, *self.bounds().values(), *self.baseline.values()]
            )
        self.scale = Scale(spec, axis)

    def bounds(self) -> dict[str, float]:
        """statistic -> absolute limit on the whole run."""
        gates = [gate for gate, _ in self.limits.of.get(self.spec.name, [])]
        return {g.statistic: g.bound for g in gates if not g.baseline and not g.where}

    def gated(self) -> list[str]:
        """Statistics with a gate, each once."""
        return list(dict.fromkeys(verdict.statistic for verdict in self.verdicts))


def _section(view: _Numbers, made: list[tuple[Point, float]], missing: list[str]) -> MetricSection:
    share = view.scale.share
    rows = [_row(each, _statistic(each), view.scale, view) for each in view.whole]
    gated = [_statistic_label(name) for name in view.gated()]
    figure = None
    if not share:
        summarised = [] if view.spec.only_by else view.whole  # no line for a mix of stages
        figure = distribution(made, summarised, view.baseline, view.limits, view.scale)
    return MetricSection(
        spec=view.spec,
        anchor=metric_anchor(view.spec.name),
        headline=[row for row in rows if row.label in gated] or _first(view, rows),
        contract=_contract(view.spec),
        outcomes=_outcomes(view.verdicts),
        distribution=figure,
        cells=cells(made) if share else [],
        rows=rows,
        axis_ends=view.scale.ends(),
        slices=_slices(view),
        missing=missing,
    )


def _first(view: _Numbers, rows: list[IntervalRow]) -> list[IntervalRow]:
    """The first statistic: of the whole, or of each stage."""
    first = view.spec.statistics[0]
    chosen = [row for row, each in zip(rows, view.whole, strict=True) if each.statistic == first]
    return chosen or rows[:1]


def _outcomes(verdicts: Sequence[Verdict]) -> list[Outcome]:
    """Each outcome once, the worst first."""
    found = {verdict.outcome for verdict in verdicts}
    return [each for each in (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS) if each in found]


def _contract(spec: MetricSpec) -> list[tuple[str, str]]:
    resolution = f"{numbers.plain(spec.resolution_ms)} ms" if spec.resolution_ms else ""
    timed = bool(spec.origin or spec.endpoint)
    fields = [
        ("From", spec.origin),
        ("To", spec.endpoint),
        ("Clock", _CLOCKS[spec.clock]),
        ("Resolution", resolution),
        ("Source", spec.source),
        ("Clamped", ("yes" if spec.clamped else "no, signed") if timed else ""),
        ("Direction", _BETTER[spec.direction]),
        ("Name", f"{spec.name}, version {spec.version}"),
    ]
    return [(name, text) for name, text in fields if text]


def _statistic_label(statistic: str) -> str:
    return numbers.statistic_name(statistic) or "rate"


def _statistic(estimate: Estimate) -> str:
    return ", ".join([*estimate.slice.values(), _statistic_label(estimate.statistic)])


def _row(estimate: Estimate, label: str, scale: Scale, view: _Numbers) -> IntervalRow:
    before = None if estimate.slice else view.baseline.get(estimate.statistic)
    return IntervalRow(
        label=label,
        value=scale.text(estimate.value),
        interval=scale.interval(estimate),
        n=estimate.n,
        n_clusters=estimate.n_clusters,
        n_unmeasured=estimate.n_unmeasured,
        n_error=estimate.n_error,
        method=estimate.method,
        reason=estimate.reason,
        value_pct=scale.pct(estimate.value),
        lo_pct=scale.pct(estimate.lo),
        hi_pct=scale.pct(estimate.hi),
        gate_pct=scale.pct(view.bounds().get(estimate.statistic)),
        baseline_pct=scale.pct(before),
        baseline=scale.text(before) if before is not None else "",
    )


def _slices(view: _Numbers) -> list[SliceTable]:
    sliced = [each for each in view.estimates if each.slice and each not in view.whole]
    available = list(dict.fromkeys(each.statistic for each in sliced))
    if not available:
        return []
    chosen = next((each for each in view.gated() if each in available), available[0])
    members = [each for each in sliced if each.statistic == chosen]
    total = next((each.value for each in view.whole if each.statistic == chosen), None)
    axis = plots.SHARE_AXIS
    if not view.scale.share:
        ends = [end for each in members for end in (each.value, each.lo, each.hi)]
        axis = plots.axis_over([*ends, total, view.bounds().get(chosen)])
    scale = Scale(view.spec, axis)
    groups: dict[tuple[str, ...], list[Estimate]] = {}
    for each in members:
        groups.setdefault(tuple(each.slice), []).append(each)
    tables = []
    for names, group in groups.items():
        group.sort(key=lambda each: [numbers.natural(level) for level in each.slice.values()])
        rows = [_row(each, ", ".join(each.slice.values()), scale, view) for each in group]
        tables.append(
            SliceTable(
                dimension=" and ".join(numbers.condition_name(name) for name in names),
                statistic=numbers.statistic_name(chosen),
                rows=rows,
                overall_pct=scale.pct(total),
                axis_ends=scale.ends(),
            )
        )
    return tables
