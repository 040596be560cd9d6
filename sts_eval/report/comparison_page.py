"""The page of a comparison: what changed from run A to run B, and both recordings of a scenario.

Differences are B - A over the scenarios that both runs measured (unpaired: of whole runs); they,
their intervals and the words for them come from `sts_eval.compare`. The scenarios that changed most
come first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sts_eval.compare import Comparison, ComparisonRow, RunSummary
from sts_eval.record import RunRecord, ScenarioResult
from sts_eval.report import numbers
from sts_eval.report.evidence import Budget, Recording, Source, read_all
from sts_eval.report.findings import Findings, ObservationRow, anchors
from sts_eval.report.gates import Overall, quantity_name
from sts_eval.report.numbers import counted
from sts_eval.report.page import render
from sts_eval.report.plots import EDGE_PCT
from sts_eval.trace import write_text_atomic

MOST_LINKS = 4
_ORDER = ("worse", "better", "changed", "no difference shown", "not comparable")
_STATES = {"worse": "fail", "better": "pass", "changed": "inconclusive"}


@dataclass(frozen=True)
class ChangeLink:
    """A scenario that changed, with how much; `href` is "" where it has no evidence here."""

    name: str
    href: str
    value: str


@dataclass(frozen=True)
class DifferenceRow:
    """One metric.statistic in both runs, ready to print.

    Positions are per cent of a figure whose middle is "no difference". band_pct: half the width of
    what this comparison could not have found.
    """

    row: ComparisonRow
    title: str
    state: str
    a: str
    b: str
    difference: str
    interval: str
    sizes: str
    detectable: str
    value_pct: float | None
    lo_pct: float | None
    hi_pct: float | None
    band_pct: float | None
    links: list[ChangeLink]


@dataclass(frozen=True)
class PairRow:
    """One observation in both runs."""

    title: str
    a: ObservationRow | None
    b: ObservationRow | None


@dataclass(frozen=True)
class PairCard:
    """One scenario of both runs."""

    scenario_a: ScenarioResult
    scenario_b: ScenarioResult
    anchor: str
    states: list[str]
    changes: list[str]
    rows: list[PairRow]
    recording_a: Recording
    recording_b: Recording


def build_comparison(
    a: RunRecord,
    b: RunRecord,
    comparison: Comparison,
    dirs: tuple[Path, Path],
    budget: Budget | None = None,
) -> str:
    """The page as HTML. `dirs`: the run folders of a and b, which hold the traces."""
    cards, shared = _cards(a, b, comparison, dirs, budget or Budget(cards=120))
    links = {card.scenario_a.id: f"#{card.anchor}" for card in cards}
    ordered = sorted(comparison.rows, key=lambda row: _ORDER.index(row.change))
    rows = [_difference(row, links, paired=comparison.paired) for row in ordered]
    recordings = [each for card in cards for each in (card.recording_a, card.recording_b)]
    context: dict[str, Any] = {
        "comparison": comparison,
        "overall": _overall(comparison),
        "sides": [_side("A", comparison.a), _side("B", comparison.b)],
        "rows": rows,
        "cards": cards,
        "recordings": recordings,
        "index": [_index_entry(card, comparison) for card in cards],
        "conditions": _conditions(cards),
        "sortable": [
            (row.metric, f"change of {row.title}", row.direction)
            for row in {each.metric: each for each in comparison.rows if each.n_paired}.values()
        ],
        "left_out": shared - len(cards),
        "without_sound": sum(each.sound is None and not each.problem for each in recordings),
        "sound_size": numbers.size(sum(len(each.sound or "") for each in recordings)),
    }
    return render("comparison.html.j2", context)


def write_comparison(
    a: RunRecord,
    b: RunRecord,
    comparison: Comparison,
    dirs: tuple[Path, Path],
    path: Path,
    budget: Budget | None = None,
) -> Path:
    """Write the page to `path`, atomically; returns it."""
    write_text_atomic(path, build_comparison(a, b, comparison, dirs, budget))
    return path


def _overall(comparison: Comparison) -> Overall:
    changes = [row.change for row in comparison.rows]
    worse, better = changes.count("worse"), changes.count("better")
    other, refused = changes.count("changed"), changes.count("not comparable")
    said = counted(len(changes), "quantity", "quantities")
    parts = [f"{count} {word}" for count, word in ((worse, "worse"), (better, "better")) if count]
    if other:
        parts.append(f"{other} changed")
    tail = f" {refused} could not be compared." if refused else ""
    if worse:
        return Overall("fail", "B is worse", f"Of {said}: {numbers.listed(parts)}.{tail}")
    if better:
        return Overall("pass", "B is better", f"Of {said}: {numbers.listed(parts)}.{tail}")
    if refused == len(changes):
        return Overall("error", "Not comparable", f"None of {said} could be compared.")
    if other:
        return Overall("inconclusive", "Changed", f"Of {said}: {numbers.listed(parts)}.{tail}")
    sentence = (
        f"None of {said} differs beyond chance; the detectable change of each row says how much "
        f"that means.{tail}"
    )
    return Overall("none", "No difference shown", sentence)


def _side(name: str, run: RunSummary) -> list[tuple[str, str]]:
    return [
        ("Run", name),
        ("Target", run.target),
        ("Suite", f"{run.suite} ({run.suite_sha256[:12]})"),
        ("Made", numbers.date(run.created)),
        ("Id", run.run_id),
        ("Seed", str(run.seed)),
        ("Scenarios", f"{run.n_scenarios:,}"),
        ("In error", f"{run.n_error:,}"),
    ]


def _difference(row: ComparisonRow, links: dict[str, str], *, paired: bool) -> DifferenceRow:
    share = row.statistic == "rate"

    def shown(value: float | None, signed: bool = False) -> str:
        return numbers.quantity(value, row.unit, share=share, signed=signed)

    ends = [row.difference, row.lo, row.hi, row.detectable]
    widest = max((abs(end) for end in ends if end is not None), default=0.0) or 1.0

    def pct(value: float | None) -> float | None:
        return None if value is None else round(50 + (50 - EDGE_PCT) * value / widest, 3)

    band = pct(row.detectable)
    return DifferenceRow(
        row=row,
        title=quantity_name(row.title, row.statistic),
        state=_STATES.get(row.change, "none"),
        a=shown(row.a.value if row.a else None),
        b=shown(row.b.value if row.b else None),
        difference=shown(row.difference, True) if row.difference is not None else "",
        interval=(
            numbers.interval(row.lo, row.hi, row.unit, share=share, signed=True)
            if row.difference is not None
            else ""
        ),
        sizes=counted(row.n_paired, "pair") if paired else _sizes(row),
        detectable=shown(row.detectable, True).lstrip("+") if row.detectable is not None else "",
        value_pct=pct(row.difference),
        lo_pct=pct(row.lo),
        hi_pct=pct(row.hi),
        band_pct=band - 50 if band is not None else None,
        links=[
            ChangeLink(each.scenario_id, links[each.scenario_id], shown(each.difference, True))
            for each in row.largest
            if each.scenario_id in links
        ][:MOST_LINKS],
    )


def _sizes(row: ComparisonRow) -> str:
    counts = [0 if side is None else side.n for side in (row.a, row.b)]
    return f"n = {counts[0]:,} and {counts[1]:,}"


def _cards(
    a: RunRecord,
    b: RunRecord,
    comparison: Comparison,
    dirs: tuple[Path, Path],
    budget: Budget,
) -> tuple[list[PairCard], int]:
    """Cards of the scenarios that both runs have, what changed most first; and how many those
    are."""
    before, after = ({each.id: each for each in run.scenarios} for run in (a, b))
    names = anchors(b)
    shared = [scenario_id for scenario_id in after if scenario_id in before]
    ordered = _by_change(shared, comparison)[: budget.cards]
    found_a, found_b = Findings(a), Findings(b)
    sources: list[Source] = []
    for scenario_id in ordered:
        for scenario, found, folder in (
            (before[scenario_id], found_a, dirs[0]),
            (after[scenario_id], found_b, dirs[1]),
        ):
            rows = found.rows(scenario)
            sources.append(Source(scenario, folder, rows, len(sources), linked=False))
    recordings = list(read_all(sources, budget.sound_bytes))
    for upper, lower in zip(recordings[::2], recordings[1::2], strict=True):
        _share_axis(upper, lower)
    cards = []
    for place, scenario_id in enumerate(ordered):
        first, second = sources[2 * place], sources[2 * place + 1]
        cards.append(
            PairCard(
                scenario_a=first.scenario,
                scenario_b=second.scenario,
                anchor=names[scenario_id],
                states=_states(scenario_id, comparison),
                changes=_changes(scenario_id, comparison),
                rows=_paired(first.rows, second.rows),
                recording_a=recordings[2 * place],
                recording_b=recordings[2 * place + 1],
            )
        )
    return cards, len(shared)


def _share_axis(a: Recording, b: Recording) -> None:
    """Draw both timelines of a pair on one scale, so that equal times stand under each other."""
    if a.data is not None and b.data is not None:
        a.data["until"] = b.data["until"] = max(a.data["seconds"], b.data["seconds"])


def _by_change(shared: Sequence[str], comparison: Comparison) -> list[str]:
    """What is worse first, then what is better, then other changes, then the rest."""
    rank = {"worse": 0, "better": 1, "changed": 2}
    rows = sorted(comparison.rows, key=lambda row: rank.get(row.change, 3))
    depth = max((len(row.largest) for row in rows), default=0)
    changed = [
        row.largest[place].scenario_id
        for group in range(4)
        for place in range(depth)
        for row in rows
        if rank.get(row.change, 3) == group and place < len(row.largest)
    ]
    known = set(shared)
    return [each for each in dict.fromkeys([*changed, *shared]) if each in known]


def _states(scenario_id: str, comparison: Comparison) -> list[str]:
    """Directions in which a scenario's own values moved, over the rows that list it."""
    found = set()
    for row in comparison.rows:
        for each in row.largest:
            if each.scenario_id == scenario_id and row.direction != "none":
                worse = (each.difference > 0) == (row.direction == "lower")
                found.add("worse" if worse else "better")
    return sorted(found, reverse=True) or ["same"]


def _changes(scenario_id: str, comparison: Comparison) -> list[str]:
    """ "Response onset +120 ms", at most two, each metric once."""
    said: dict[str, str] = {}
    for row in comparison.rows:
        for each in row.largest:
            if each.scenario_id == scenario_id:
                share = row.statistic == "rate"
                change = numbers.quantity(each.difference, row.unit, share=share, signed=True)
                said.setdefault(row.metric, f"{row.title} {change}")
    return list(said.values())[:2]


def _paired(a: list[ObservationRow], b: list[ObservationRow]) -> list[PairRow]:
    """Rows with equal titles beside each other; a title that occurs n times pairs in order."""
    waiting: dict[str, list[ObservationRow]] = {}
    for row in b:
        waiting.setdefault(row.title, []).append(row)
    pairs = []
    for row in a:
        others = waiting.get(row.title, [])
        pairs.append(PairRow(row.title, row, others.pop(0) if others else None))
    pairs += [PairRow(row.title, None, row) for rows in waiting.values() for row in rows]
    return pairs


def _index_entry(card: PairCard, comparison: Comparison) -> dict[str, Any]:
    values = {
        row.metric: each.difference
        for row in comparison.rows
        for each in row.largest
        if each.scenario_id == card.scenario_b.id
    }
    slices = {"kind": card.scenario_b.kind, **card.scenario_b.conditions}
    return {"anchor": card.anchor, "states": card.states, "slices": slices, "values": values}


def _conditions(cards: Sequence[PairCard]) -> list[tuple[str, list[str]]]:
    levels: dict[str, set[str]] = {}
    for card in cards:
        slices = {"kind": card.scenario_b.kind, **card.scenario_b.conditions}
        for name, level in slices.items():
            levels.setdefault(name, set()).add(level)
    return [
        (name, sorted(found, key=numbers.natural))
        for name, found in levels.items()
        if len(found) > 1
    ]
