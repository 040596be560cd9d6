"""Geometry of the figures; the templates draw it as inline SVG.

Every x is a percentage of the figure's width, so that a figure fits a phone and a wide screen alike
while its text and its dots keep their size. Nothing here is an estimate: intervals and quantiles
come from the run record.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NOMINAL_WIDTH_PX = 680.0  # the width at which dots are stacked so that they do not overlap
MAX_STACK = 9
MAX_ECDF_STEPS = 400
EDGE_PCT = 2.0  # margin at both ends, so that no dot or tick label is cut


@dataclass(frozen=True)
class Tick:
    """A labelled position on an axis."""

    pct: float
    value: float


@dataclass(frozen=True)
class Axis:
    """A linear axis from lo to hi, in the metric's unit."""

    lo: float
    hi: float

    def pct(self, value: float) -> float:
        """Position of a value, per cent of the width, kept inside the figure."""
        share = (value - self.lo) / (self.hi - self.lo)
        return round(EDGE_PCT + (100 - 2 * EDGE_PCT) * min(1.0, max(0.0, share)), 3)

    def ticks(self, most: int = 6) -> list[Tick]:
        """At most `most` round values inside the axis."""
        step = _round_step((self.hi - self.lo) / max(1, most - 1))
        first = math.ceil(self.lo / step - 1e-9)
        last = math.floor(self.hi / step + 1e-9)
        values = [round(index * step, 10) for index in range(first, last + 1)]
        return [Tick(self.pct(value), value) for value in values]


@dataclass(frozen=True)
class Dot:
    """One observation in a strip: position, and the place in the input it came from."""

    pct: float
    y_px: float
    index: int


@dataclass(frozen=True)
class Strip:
    """A dot strip: dots stacked around a middle line."""

    dots: list[Dot]
    height_px: float
    radius_px: float


def axis_over(values: Iterable[float | None], *, pad: float = 0.04) -> Axis:
    """An axis that holds all values, with a little room at both ends, between round values."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return Axis(0.0, 1.0)
    lo, hi = min(known), max(known)
    if math.isclose(lo, hi, rel_tol=1e-9):  # equal but for rounding
        margin = max(abs(hi) * 0.1, 0.5)
        lo, hi = lo - margin, hi + margin
    # A scale that begins near zero begins at zero: half-cut scales exaggerate.
    start = 0.0 if 0 <= lo < 0.35 * hi else lo - pad * (hi - lo)
    end = hi + pad * (hi - lo)
    step = _round_step((end - start) / 20)
    top = _tidy(math.ceil(end / step) * step)
    if hi <= 1.0 < top:  # most likely a share, and no share is larger
        top = 1.0
    return Axis(_tidy(math.floor(start / step) * step), top)


SHARE_AXIS = Axis(0.0, 1.0)


def strip(values: Sequence[float], axis: Axis) -> Strip:
    """Stack equal-sized dots around a middle line so that, up to nine deep, none hides another."""
    radius = 4.5 if len(values) <= 150 else 3.5 if len(values) <= 400 else 2.5
    gap = 2 * radius + 0.5
    ends: dict[int, float] = {}  # level -> x of the last dot placed on it
    placed: list[tuple[int, int]] = []
    levels = sorted(
        range(-(MAX_STACK // 2), MAX_STACK // 2 + 1), key=lambda level: (abs(level), level)
    )
    for index in sorted(range(len(values)), key=lambda i: (values[i], i)):
        x = axis.pct(values[index]) / 100 * NOMINAL_WIDTH_PX
        free = [level for level in levels if x - ends.get(level, -1e9) >= gap]
        level = free[0] if free else min(levels, key=lambda each: (ends[each], abs(each)))
        ends[level] = x
        placed.append((index, level))
    deepest = max((abs(level) for _, level in placed), default=0)
    height = 2 * (deepest * gap + radius + 3)
    dots = [
        Dot(axis.pct(values[index]), round(height / 2 + level * gap, 1), index)
        for index, level in placed
    ]
    return Strip(dots, round(height, 1), radius)


def ecdf_path(values: Sequence[float], axis: Axis) -> str:
    """SVG path, in a 1000 x 100 box, of the share of values at or below x."""
    ordered = sorted(values)
    count = len(ordered)
    if count == 0:
        return ""
    stride = max(1, count // MAX_ECDF_STEPS)
    parts = ["M0 100"]
    for rank in [*range(stride - 1, count - 1, stride), count - 1]:
        x = axis.pct(ordered[rank]) * 10
        parts.append(f"H{x:.1f}V{100 - 100 * (rank + 1) / count:.2f}")
    parts.append("H1000")
    return "".join(parts)


def _round_step(least: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(least))
    for factor in (1, 2, 2.5, 5, 10):
        if factor * magnitude >= least * (1 - 1e-9):
            return factor * magnitude
    return 10 * magnitude


def _tidy(value: float) -> float:
    return float(f"{value:.12g}")
