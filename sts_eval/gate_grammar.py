"""The language of gates, as suites write them.

    gate      = quantity ("<=" | ">=") number [unit]
              | quantity "no worse than baseline by" number [unit]
    quantity  = metric ["{" key "=" value {"," key "=" value} "}"] "." statistic

    response_onset_audio_ms.p50 <= 800
    response_rate.rate >= 95 %
    response_onset_audio_ms{snr_db=10}.p95 no worse than baseline by 80 ms

Units are converted to the metric's own (ms, s; %, ratio; Hz, kHz); without one the number is in the
metric's unit. The statistic may be left out where the metric has only one. "No worse" follows the
metric's direction: larger by at most the margin where lower is better, smaller by at most the
margin where higher is better.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sts_eval.metric import MetricSpec
from sts_eval.registry import nearest

# Each group's first unit is arbitrary; the numbers are sizes relative to one another.
_UNITS: tuple[dict[str, float], ...] = (
    {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "min": 6e4},
    {"%": 0.01, "ratio": 1.0, "rate": 1.0, "1": 1.0, "": 1.0},
    {"Hz": 1.0, "hz": 1.0, "kHz": 1e3},
    {"dB": 1.0, "db": 1.0},
)
_BASELINE = re.compile(r"no\s+worse\s+than\s+baseline(\s+by\b)?")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_NAME = re.compile(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*")
_STATISTIC = re.compile(r"[A-Za-z]+(\d+(\.\d+)?)?")
_UNIT = re.compile(r"\S+")
_SPACE = re.compile(r"\s*")


class GateSyntaxError(ValueError):
    """A gate that cannot be read. The message names the column and the nearest valid word."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(f"column {column}: {message}")
        self.column = column


@dataclass(frozen=True)
class Gate:
    """A gate as read: `quantity comparator bound`, in the metric's unit.

    baseline: the quantity is the paired difference from the baseline (new - old) and `bound` the
    margin with its sign: "<= 80" where lower is better, ">= -0.05" where higher is.
    """

    text: str
    metric: str
    statistic: str
    comparator: Literal["<=", ">="]
    bound: float
    unit: str
    baseline: bool = False
    where: Mapping[str, str] = field(default_factory=dict)


class _Reader:
    """A position in the text; every error tells its column (counted from 1)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def skip(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def take(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self.text, self.at)
        if match is None or not match.group():
            return None
        self.at = match.end()
        return match.group()

    def literal(self, word: str) -> bool:
        if not self.text.startswith(word, self.at):
            return False
        self.at += len(word)
        return True

    def rest(self) -> str:
        return self.text[self.at :]

    def error(self, message: str, at: int | None = None) -> GateSyntaxError:
        return GateSyntaxError(message, (self.at if at is None else at) + 1)


def parse_gate(text: str, known: Mapping[str, MetricSpec]) -> Gate:
    """Read one gate. `known`: the metrics of the suite by name.

    Raises GateSyntaxError, which says where and what was expected.
    """
    reader = _Reader(text)
    reader.skip()
    spec = _metric(reader, known)
    where = _conditions(reader)
    statistic = _statistic(reader, spec)
    reader.skip()
    comparator, baseline = _comparator(reader, spec)
    reader.skip()
    bound = _bound(reader, spec, statistic, baseline=baseline)
    if baseline and comparator == ">=":
        bound = -bound
    return Gate(text.strip(), spec.name, statistic, comparator, bound, spec.unit, baseline, where)


def _metric(reader: _Reader, known: Mapping[str, MetricSpec]) -> MetricSpec:
    start = reader.at
    name = reader.take(_NAME)
    if name is None:
        raise reader.error(f"a gate starts with the name of a metric{nearest('', known)}")
    if name not in known:
        raise reader.error(f"unknown metric {name!r}{nearest(name, known)}", start)
    return known[name]


def _conditions(reader: _Reader) -> dict[str, str]:
    if not reader.literal("{"):
        return {}
    start = reader.at
    end = reader.text.find("}", start)
    if end < 0:
        raise reader.error("the conditions that '{' opens are not closed by '}'", start - 1)
    where: dict[str, str] = {}
    for part in reader.text[start:end].split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value):
            raise reader.error(f"a condition reads key=value, not {part.strip()!r}", start)
        if key in where:
            raise reader.error(f"the condition {key!r} is given twice", start)
        where[key] = value
        start += len(part) + 1
    reader.at = end + 1
    return where


def _statistic(reader: _Reader, spec: MetricSpec) -> str:
    if not reader.literal("."):
        if len(spec.statistics) == 1:
            return spec.statistics[0]
        raise reader.error(f"{spec.name} needs a statistic: {spec.name}.{spec.statistics[0]}, ...")
    start = reader.at
    name = reader.take(_STATISTIC) or ""
    if name not in spec.statistics:
        hint = nearest(name, spec.statistics)
        raise reader.error(f"unknown statistic {name!r} of {spec.name}{hint}", start)
    return name


def _comparator(reader: _Reader, spec: MetricSpec) -> tuple[Literal["<=", ">="], bool]:
    start = reader.at
    if reader.literal("<="):
        return "<=", False
    if reader.literal(">="):
        return ">=", False
    if phrase := reader.take(_BASELINE):
        if not phrase.endswith("by"):
            raise reader.error("a baseline gate needs its margin: no worse than baseline by 80")
        if spec.direction == "none":
            raise reader.error(f"{spec.name} has no better direction: use <= or >=", start)
        return ("<=" if spec.direction == "lower" else ">="), True
    found = reader.rest().split(maxsplit=1)
    shown = f", not {found[0]!r}" if found else ""
    raise reader.error(f"expected <=, >= or 'no worse than baseline by'{shown}")


def _bound(reader: _Reader, spec: MetricSpec, statistic: str, *, baseline: bool) -> float:
    start = reader.at
    digits = reader.take(_NUMBER)
    if digits is None or not math.isfinite(float(digits)):
        raise reader.error(f"expected a number, not {reader.rest()[:20]!r}", start)
    value = float(digits)
    reader.skip()
    unit_at = reader.at
    unit = reader.take(_UNIT)
    if unit is not None:
        value *= _factor(reader, unit, spec, unit_at)
    reader.skip()
    if reader.rest():
        raise reader.error(f"nothing may follow the bound, but {reader.rest()[:20]!r} does")
    if baseline and value < 0:
        raise reader.error("a margin is not negative", start)
    if statistic == "rate" and not 0 <= value <= 1:
        raise reader.error(f"a rate lies between 0 and 1: write {digits} % or a fraction", start)
    return value


def _factor(reader: _Reader, unit: str, spec: MetricSpec, at: int) -> float:
    """How many of the metric's unit one `unit` is."""
    if unit == spec.unit:
        return 1.0
    for group in _UNITS:
        if unit in group and spec.unit in group:
            return group[unit] / group[spec.unit]
    related = [name for group in _UNITS if spec.unit in group for name in group if name]
    usable = ", ".join(related or [spec.unit]) if spec.unit else "a plain number or %"
    raise reader.error(f"unknown unit {unit!r} for {spec.name}, which is in {usable}", at)
