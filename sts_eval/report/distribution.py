"""All measured values of one metric as a figure: dots or cells that lead to the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sts_eval.metric import MetricSpec
from sts_eval.observation import Estimate, Observation
from sts_eval.report import numbers, plots
from sts_eval.report.gates import Limits, is_share, unwanted
from sts_eval.report.plots import Axis

MOST_DOTS = 600


@dataclass(frozen=True)
class Point:
    """A dot or a cell: where it is, what it says, where it leads ("" without evidence).

    bad: it counts against a gate, or is the unwanted event of a rate. on: a rate's event happened.
    """

    pct: float
    title: str
    href: str
    bad: bool
    on: bool = False
    y_px: float = 0.0


@dataclass(frozen=True)
class Line:
    """A labelled vertical line. `anchor` keeps its label inside the figure."""

    pct: float
    label: str
    kind: str
    anchor: str


@dataclass(frozen=True)
class Distribution:
    """`path` is the cumulative distribution in a 1000 x 100 box."""

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


class Scale:
    """How one metric's values become text and positions."""

    def __init__(self, spec: MetricSpec, axis: Axis) -> None:
        self.spec, self.axis, self.share = spec, axis, is_share(spec)

    def text(self, value: float | None) -> str:
        """A value with its unit."""
        return numbers.quantity(value, self.spec.unit, share=self.share)

    def interval(self, estimate: Estimate) -> str:
        """An estimate's interval in words."""
        return numbers.interval(estimate.lo, estimate.hi, self.spec.unit, share=self.share)

    def pct(self, value: float | None) -> float | None:
        """Position of a value in per cent."""
        return None if value is None else self.axis.pct(value)

    def ends(self) -> tuple[str, str]:
        """Labels of both ends of the axis."""
        return self.text(self.axis.lo), self.text(self.axis.hi)


def points(
    measured: Sequence[Observation],
    scale: Scale,
    limits: Limits,
    links: Mapping[str, str],
    titles: Mapping[str, str],
) -> list[tuple[Point, float]]:
    """One point for each observation, with its value, in their order."""
    made = []
    for each in measured:
        value = each.value or 0.0
        said = ("yes" if value else "no") if scale.share else scale.text(value)
        point = Point(
            pct=scale.axis.pct(value),
            title=f"{said}: {titles.get(each.scenario_id, '')} ({each.scenario_id})",
            href=links.get(each.scenario_id, ""),
            bad=limits.beyond(each, scale.spec) or unwanted(each, scale.spec),
            on=value > 0,
        )
        made.append((point, value))
    return made


def cells(made: Sequence[tuple[Point, float]]) -> list[Point]:
    """The cells of a rate, unwanted ones first."""
    return [point for point, _ in sorted(made, key=lambda each: not each[0].bad)][:MOST_DOTS]


def distribution(
    made: Sequence[tuple[Point, float]],
    whole: Sequence[Estimate],
    baseline: Mapping[str, float],
    limits: Limits,
    scale: Scale,
) -> Distribution | None:
    """The figure of a metric that is not a rate; None when nothing was measured."""
    if not made:
        return None
    # In a very large run only what has evidence on the page, or counts against a gate, gets a dot.
    drawn = made if len(made) <= MOST_DOTS else [m for m in made if m[0].href or m[0].bad]
    drawn = drawn[:MOST_DOTS]
    strip = plots.strip([value for _, value in drawn], scale.axis)
    median = next((each for each in whole if each.statistic == "p50"), None)
    middle = scale.pct(median.value) if median else None
    low = scale.pct(median.lo) if median else None
    high = scale.pct(median.hi) if median else None
    return Distribution(
        points=[replace(drawn[dot.index][0], y_px=dot.y_px) for dot in strip.dots],
        left_out=len(made) - len(drawn),
        height_px=strip.height_px,
        radius_px=strip.radius_px,
        path=plots.ecdf_path([value for _, value in made], scale.axis),
        ticks=[(tick.pct, scale.text(tick.value)) for tick in scale.axis.ticks()],
        lines=_lines(baseline, limits, scale),
        median_pct=middle,
        median_lo_pct=low if low is not None else middle or 0.0,
        median_hi_pct=high if high is not None else middle or 0.0,
        median=scale.text(median.value) if median else "",
    )


def _lines(baseline: Mapping[str, float], limits: Limits, scale: Scale) -> list[Line]:
    lines = []
    gates = [gate for gate, _ in limits.of.get(scale.spec.name, [])]
    for gate in gates:
        if not gate.baseline:
            sign = "≤" if gate.comparator == "<=" else "≥"
            where = "".join(f", {numbers.condition(*item)}" for item in gate.where.items())
            label = f"gate: {gate.statistic} {sign} {scale.text(gate.bound)}{where}"
            lines.append(_line(scale.axis.pct(gate.bound), label, "gate"))
    for statistic in dict.fromkeys([gate.statistic for gate in gates] or ["p50"]):
        if statistic in baseline:
            label = f"baseline {statistic}: {scale.text(baseline[statistic])}"
            lines.append(_line(scale.axis.pct(baseline[statistic]), label, "baseline"))
    return lines


def _line(pct: float, label: str, kind: str) -> Line:
    return Line(pct, label, kind, "start" if pct < 55 else "end")
