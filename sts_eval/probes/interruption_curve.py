"""Yield against selectivity: the agent beside an end-pointer that hears nothing but speech.

The traditional way to notice a barge-in is to wait for so many milliseconds of speech. On the same
events that the agent met while speaking, such an end-pointer would have yielded in time when one
stretch of speech lasts `needed` ms within KEPT_TALKING_S of the event's start, and by the same
rule let itself be thrown off. Its threshold runs from quick to slow: the curve is what can be had
without understanding anything. Two kinds of speech detection: level (10 ms blocks at or above -50
dBFS, gaps of up to 0.1 s closed) and the Silero VAD.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sts_eval.metric import MetricSpec
from sts_eval.metrics.interruption import BLOCK_S, KEPT_TALKING_S, speech_of_s
from sts_eval.metrics.signal import AUDIBLE_DBFS, block_dbfs
from sts_eval.observation import Estimate, Observation, Status
from sts_eval.probes import PoolItem
from sts_eval.probes.interruption_score import event_spans
from sts_eval.probes.interruption_specs import SELECTIVITY, YIELD_1S
from sts_eval.record import Chart, Point, Section, Series, Table
from sts_eval.target import Samples
from sts_eval.trace import Span, load_trace
from sts_eval.wording import interval_brackets, quantity_words

NEEDED_MS = (40, 80, 160, 240, 320, 400, 480, 560, 640, 800, 960)
GAP_S = 0.1
Detector = Callable[[Samples], list[Span]]
Met = tuple[Observation, Span]  # what the agent did about an event, and when that was


def level_spans(user: Samples) -> list[Span]:
    """Stretches of a track float32 [S] that an energy detector takes for speech."""
    loud = np.flatnonzero(block_dbfs(user) >= AUDIBLE_DBFS)
    if loud.size == 0:
        return []
    breaks = np.flatnonzero(np.diff(loud) - 1 > round(GAP_S / BLOCK_S))
    firsts = loud[np.concatenate([[0], breaks + 1])]
    lasts = loud[np.concatenate([breaks, [loud.size - 1]])]
    return [
        Span(start_s=int(first) * BLOCK_S, end_s=int(last + 1) * BLOCK_S)
        for first, last in zip(firsts, lasts, strict=True)
    ]


def silero_spans(user: Samples) -> list[Span]:
    """Stretches of a track float32 [S] that the Silero VAD takes for speech."""
    from sts_eval.judges import load_vad
    from sts_eval.judges.cache import cached

    vad = load_vad("silero")
    spans: Any = cached(vad, user, lambda: vad.speech_spans(user))
    return [Span(start_s=start_s, end_s=end_s) for start_s, end_s in spans]


DETECTORS: dict[str, Detector] = {
    "end-pointer on level": level_spans,
    "end-pointer on Silero": silero_spans,
}


def operating_section(items: Sequence[PoolItem], seed: int) -> Section:
    """The section of the report; says why where there is nothing to draw."""
    met = [(item, _met(item)) for item in items]
    events = {spec.name: sum(len(found[spec.name]) for _, found in met) for spec in _SPECS}
    section = Section(id="operating-curve", title="Yield against selectivity")
    short = [spec for spec in _SPECS if events[spec.name] < spec.min_events]
    if short:
        counts = " and ".join(f"{events[spec.name]} for {spec.title.lower()}" for spec in short)
        least = YIELD_1S.min_events
        section.paragraphs.append(f"Not drawn: it needs {least} events of each sort ({counts}).")
        return section
    section.paragraphs += [
        "An agent that never stops has all of the selectivity, one that stops at every sound all of"
        " the yields. Up and to the right of the curves is what hearing no more than that"
        ' somebody speaks cannot give: telling a barge-in from a cough, an "uh-huh" and'
        " other people.",
        f"The end-pointers stop after so many milliseconds of speech. Same events"
        f" ({events[YIELD_1S.name]} barge-ins, {events[SELECTIVITY.name]} other sounds, all while"
        f" the agent spoke), same limit of {KEPT_TALKING_S:g} s.",
    ]
    curves = [_curve(name, detect, met, seed) for name, detect in DETECTORS.items()]
    observed = [own for _, found in met for each in found.values() for own, _ in each]
    own = Series(name="this agent", points=[_point("", observed, seed)])
    section.charts.append(
        Chart(
            kind="line",
            title="Operating curve",
            x_label="barge-ins yielded to within 1 s",
            y_label="other sounds not thrown off by",
            series=[*map(_without_intervals, curves), own],
            note="The cross at the agent's point is its 95 % intervals; those of the curves are in"
            " the table. Along a curve the end-pointer waits longer the higher it lies.",
        )
    )
    section.tables.append(_table([*curves, own]))
    return section


_SPECS: tuple[MetricSpec, ...] = (YIELD_1S, SELECTIVITY)


def _met(item: PoolItem) -> dict[str, list[Met]]:
    """metric -> what the agent did about the events that came while it spoke."""
    found: dict[str, list[Met]] = {spec.name: [] for spec in _SPECS}
    if item.scenario.conditions.get("agent") != "speaking":
        return found
    for each in item.observations:
        if each.metric in found and each.value is not None and each.span_s is not None:
            start_s, end_s = each.span_s
            found[each.metric].append((each, Span(start_s=start_s, end_s=end_s)))
    return found


def _curve(
    name: str, detect: Detector, met: Sequence[tuple[PoolItem, dict[str, list[Met]]]], seed: int
) -> Series:
    made: dict[int, list[Observation]] = {needed: [] for needed in NEEDED_MS}
    for item, found in met:
        if not any(found.values()):
            continue
        trace = load_trace(item.trace)
        speech, events = detect(trace.user), event_spans(trace.meta)
        for metric, each in found.items():
            for own, span in each:
                event = next(e for e in events if abs(e.start_s - span.start_s) < BLOCK_S)
                for needed in NEEDED_MS:
                    after_s = speech_of_s(speech, event, needed / 1000)
                    fires = after_s is not None and after_s <= KEPT_TALKING_S
                    value = float(fires if metric == YIELD_1S.name else not fires)
                    made[needed].append(own.model_copy(update={"value": value}))
    points = [_point(f"{needed} ms", made[needed], seed) for needed in NEEDED_MS]
    return Series(name=name, points=points)


def _point(label: str, observations: Sequence[Observation], seed: int) -> Point:
    x, y = (_estimate(observations, spec, seed) for spec in _SPECS)
    assert x.value is not None  # there are enough events: the section has checked
    return Point(x=x.value, y=y.value, lo=y.lo, hi=y.hi, x_lo=x.lo, x_hi=x.hi, label=label)


def _without_intervals(series: Series) -> Series:
    """Crosses at every point of a curve would hide it."""
    bare = {"lo": None, "hi": None, "x_lo": None, "x_hi": None}
    points = [point.model_copy(update=bare) for point in series.points]
    return Series(name=series.name, points=points)


def _estimate(observations: Sequence[Observation], spec: MetricSpec, seed: int) -> Estimate:
    from sts_eval.stats import estimate

    measured = [each for each in observations if each.status is Status.MEASURED]
    return estimate(measured, spec, "rate", seed=seed)


def _table(series: Sequence[Series]) -> Table:
    rows: list[list[Any]] = []
    for each in series:
        for point in each.points:
            cells = []
            for value, lo, hi in ((point.x, point.x_lo, point.x_hi), (point.y, point.lo, point.hi)):
                number = quantity_words(value if isinstance(value, float) else None, "", share=True)
                cells.append(f"{number} {interval_brackets(lo, hi, share=True)}")
            rows.append([each.name, point.label, *cells])
    columns = ["", "speech it waits for", "barge-ins yielded to", "other sounds not thrown off by"]
    return Table(title="", columns=columns, rows=rows)
