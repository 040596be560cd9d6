"""The sections that pooled analyses wrote: charts as inline SVG, tables with links to evidence.

Positions along x are per cent of the figure's width, along y pixels, so that a figure fits any
width while its text and its marks keep their size. Every number of a chart stands also in a table
under it. Nothing is computed here but positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sts_eval.record import Cell, Chart, Point, Section, Series, Table
from sts_eval.report import numbers, plots
from sts_eval.report.plots import Axis

PLOT_HEIGHT_PX = 280
TOP_PX, BOTTOM_PX = 14, 34  # room for a mark at the edge, and for the labels of the x axis
BAR_PX, GROUP_GAP_PX = 15, 12
STYLES = 6  # colours and shapes; a seventh series takes the first style again
MOST_X_LABELS = 12
MOST_DIRECT_LABELS = 14


@dataclass(frozen=True)
class Text:
    """A table cell; `href` is "" where it leads nowhere."""

    text: str
    href: str


@dataclass(frozen=True)
class TableView:
    """A table with its links resolved."""

    title: str
    columns: list[str]
    rows: list[list[Text]]
    note: str


@dataclass(frozen=True)
class MarkView:
    """One drawn point: position, ends of its intervals, what it says and where it leads."""

    x_pct: float
    y_px: float
    lo_px: float | None
    hi_px: float | None
    x_lo_pct: float | None
    x_hi_pct: float | None
    title: str
    label: str
    label_end: bool
    href: str


@dataclass(frozen=True)
class StrokeView:
    """A piece of line between two points."""

    x1_pct: float
    y1_px: float
    x2_pct: float
    y2_px: float


@dataclass(frozen=True)
class SeriesView:
    """One series: its style (0 to STYLES - 1), strokes under its marks."""

    name: str
    style: int
    strokes: list[StrokeView]
    marks: list[MarkView]


@dataclass(frozen=True)
class PlotView:
    """A line or scatter chart. Ticks: (position, label)."""

    height_px: int
    base_px: float
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    series: list[SeriesView]


@dataclass(frozen=True)
class BarView:
    """One bar: from the axis' zero to its value; None where nothing was measured."""

    style: int
    title: str
    text: str
    href: str
    from_pct: float
    width_pct: float
    value_pct: float | None
    lo_pct: float | None
    hi_pct: float | None


@dataclass(frozen=True)
class BarsView:
    """A bar chart, lying down: a group for each category, so that long names have room."""

    groups: list[tuple[str, list[BarView]]]
    zero_pct: float
    ends: tuple[str, str]


@dataclass(frozen=True)
class HeatCell:
    """One cell: how strong its colour is (0 to 1), which of two colours, its number."""

    text: str
    title: str
    strength: float
    negative: bool
    href: str


@dataclass(frozen=True)
class HeatView:
    """A heatmap: column names, and rows of cells."""

    columns: list[str]
    rows: list[tuple[str, list[HeatCell]]]


@dataclass(frozen=True)
class ChartView:
    """A chart: exactly one of plot, bars and heat is drawn. legend: (style, name)."""

    chart: Chart
    legend: list[tuple[int, str]]
    numbers: TableView
    plot: PlotView | None = None
    bars: BarsView | None = None
    heat: HeatView | None = None


@dataclass(frozen=True)
class SectionView:
    """A section, ready for the template."""

    anchor: str
    title: str
    paragraphs: list[str]
    charts: list[ChartView]
    tables: list[TableView]


def section_views(sections: Iterable[Section], links: Mapping[str, str]) -> list[SectionView]:
    """All sections. `links`: scenario id -> link to its evidence."""
    return [
        SectionView(
            anchor=f"section-{each.id}",
            title=each.title,
            paragraphs=each.paragraphs,
            charts=[_chart(chart, links) for chart in each.charts],
            tables=[_table(table, links) for table in each.tables],
        )
        for each in sections
    ]


def _table(table: Table, links: Mapping[str, str]) -> TableView:
    def cell(value: str | Cell) -> Text:
        if isinstance(value, Cell):
            return Text(value.text, links.get(value.scenario_id, ""))
        return Text(value, "")

    rows = [[cell(value) for value in row] for row in table.rows]
    return TableView(table.title, table.columns, rows, table.note)


def _chart(chart: Chart, links: Mapping[str, str]) -> ChartView:
    legend = [(index % STYLES, series.name) for index, series in enumerate(chart.series)]
    listed = _listed(chart, links)
    if chart.kind == "heatmap":
        return ChartView(chart, [], listed, heat=_heat(chart, links))
    legend = legend if len(legend) > 1 else []
    if chart.kind == "bar":
        return ChartView(chart, legend, listed, bars=_bars(chart, links))
    return ChartView(chart, legend, listed, plot=_plot(chart, links))


def _listed(chart: Chart, links: Mapping[str, str]) -> TableView:
    """Every point of a chart in words."""
    rows = []
    for series in chart.series:
        for point in series.points:
            interval = "" if point.y is None else _interval_text(point)
            value = "not measured" if point.y is None else numbers.plain(point.y)
            cells = [series.name, _x_text(point.x), value, interval, point.label]
            href = links.get(point.scenario_id, "")
            rows.append(
                [Text(text, href if place == 1 else "") for place, text in enumerate(cells)]
            )
    columns = ["", chart.x_label, chart.y_label, "95 % interval", ""]
    return TableView("", columns, rows, "")


def _x_text(x: float | str) -> str:
    return x if isinstance(x, str) else numbers.plain(x)


def _interval_text(point: Point) -> str:
    if point.lo is None and point.hi is None:
        return ""
    return numbers.interval(point.lo, point.hi, "")


def _title(series: Series, point: Point, chart: Chart) -> str:
    """What a mark says when it is pointed at."""
    value = "not measured" if point.y is None else numbers.plain(point.y)
    interval = f" ({_interval_text(point)})" if _interval_text(point) else ""
    label = f": {point.label}" if point.label else ""
    where = f"{chart.x_label} {_x_text(point.x)}".strip()
    return f"{series.name}{label}; {where}, {chart.y_label} {value}{interval}"


def _points(chart: Chart) -> list[Point]:
    return [point for series in chart.series for point in series.points]


def _categories(chart: Chart) -> list[str]:
    return list(dict.fromkeys(_x_text(point.x) for point in _points(chart)))


# ---------------------------------------------------------------- line and scatter


def _plot(chart: Chart, links: Mapping[str, str]) -> PlotView:
    points = _points(chart)
    y_axis = plots.axis_over([end for p in points for end in (p.y, p.lo, p.hi)])
    base = PLOT_HEIGHT_PX - BOTTOM_PX
    numeric = [point.x for point in points if not isinstance(point.x, str)]
    places: dict[str, float] = {}
    x_axis = None
    if points and len(numeric) == len(points):
        x_axis = plots.axis_over([*numeric, *(end for p in points for end in (p.x_lo, p.x_hi))])
        x_ticks = [(tick.pct, numbers.plain(tick.value)) for tick in x_axis.ticks(8)]
    else:
        names = _categories(chart)
        places = {name: round(100 * (i + 0.5) / len(names), 3) for i, name in enumerate(names)}
        every = -(-len(names) // MOST_X_LABELS) or 1
        x_ticks = [(places[name], name) for name in names[::every]]
    scale = _Scale(x_axis, places, y_axis, base)
    labelled = sum(bool(point.label) for point in points) <= MOST_DIRECT_LABELS
    return PlotView(
        height_px=PLOT_HEIGHT_PX,
        base_px=base,
        x_ticks=x_ticks,
        y_ticks=[(scale.y(tick.value), numbers.plain(tick.value)) for tick in y_axis.ticks()],
        series=[
            _series(chart, index, scale, links, labelled=labelled)
            for index in range(len(chart.series))
        ],
    )


@dataclass(frozen=True)
class _Scale:
    x_axis: Axis | None
    places: Mapping[str, float]
    y_axis: Axis
    base_px: float

    def x(self, value: float | str) -> float:
        if self.x_axis is not None and not isinstance(value, str):
            return self.x_axis.pct(value)
        return self.places[_x_text(value)]

    def y(self, value: float) -> float:
        share = (value - self.y_axis.lo) / (self.y_axis.hi - self.y_axis.lo)
        return round(self.base_px - min(1.0, max(0.0, share)) * (self.base_px - TOP_PX), 2)


def _series(
    chart: Chart, index: int, scale: _Scale, links: Mapping[str, str], *, labelled: bool
) -> SeriesView:
    series = chart.series[index]
    marks = []
    for point in series.points:
        if point.y is None:
            continue
        x = scale.x(point.x)
        marks.append(
            MarkView(
                x_pct=x,
                y_px=scale.y(point.y),
                lo_px=None if point.lo is None else scale.y(point.lo),
                hi_px=None if point.hi is None else scale.y(point.hi),
                x_lo_pct=None if point.x_lo is None else scale.x(point.x_lo),
                x_hi_pct=None if point.x_hi is None else scale.x(point.x_hi),
                title=_title(series, point, chart),
                label=point.label if labelled else "",
                label_end=x > 80,
                href=links.get(point.scenario_id, ""),
            )
        )
    strokes = []
    if chart.kind == "line":
        # a point that was not measured breaks the line
        for one, two in zip(series.points, series.points[1:], strict=False):
            if one.y is not None and two.y is not None:
                ends = (scale.x(one.x), scale.y(one.y), scale.x(two.x), scale.y(two.y))
                strokes.append(StrokeView(*ends))
    return SeriesView(series.name, index % STYLES, strokes, marks)


# ---------------------------------------------------------------- bars


def _bars(chart: Chart, links: Mapping[str, str]) -> BarsView:
    points = _points(chart)
    axis = plots.axis_over([0.0, *(end for p in points for end in (p.y, p.lo, p.hi))], pad=0.02)
    zero = axis.pct(0.0)
    groups = []
    for name in _categories(chart):
        bars = []
        for index, series in enumerate(chart.series):
            own = [point for point in series.points if _x_text(point.x) == name]
            bars += [_bar(chart, series, index, p, axis, zero, links) for p in own]
        groups.append((name, bars))
    return BarsView(groups, zero, (numbers.plain(axis.lo), numbers.plain(axis.hi)))


def _bar(
    chart: Chart,
    series: Series,
    index: int,
    point: Point,
    axis: Axis,
    zero: float,
    links: Mapping[str, str],
) -> BarView:
    value = None if point.y is None else axis.pct(point.y)
    return BarView(
        style=index % STYLES,
        title=_title(series, point, chart),
        text="not measured" if point.y is None else numbers.plain(point.y),
        href=links.get(point.scenario_id, ""),
        from_pct=zero if value is None else min(zero, value),
        width_pct=0.0 if value is None else round(abs(value - zero), 3),
        value_pct=value,
        lo_pct=None if point.lo is None else axis.pct(point.lo),
        hi_pct=None if point.hi is None else axis.pct(point.hi),
    )


# ---------------------------------------------------------------- heatmap


def _heat(chart: Chart, links: Mapping[str, str]) -> HeatView:
    columns = _categories(chart)
    widest = max((abs(p.y) for p in _points(chart) if p.y is not None), default=0.0) or 1.0
    rows = []
    for series in chart.series:
        of_column = {_x_text(point.x): point for point in series.points}
        rows.append(
            (
                series.name,
                [_heat_cell(chart, series, of_column.get(c), widest, links) for c in columns],
            )
        )
    return HeatView(columns, rows)


def _heat_cell(
    chart: Chart, series: Series, point: Point | None, widest: float, links: Mapping[str, str]
) -> HeatCell:
    if point is None:
        return HeatCell("", "", 0.0, False, "")
    href = links.get(point.scenario_id, "")
    if point.y is None:
        return HeatCell(numbers.DASH, _title(series, point, chart), 0.0, False, href)
    text, title = numbers.plain(point.y), _title(series, point, chart)
    return HeatCell(text, title, round(abs(point.y) / widest, 3), point.y < 0, href)
