"""The evidence of each scenario: its card, and the data from which the page draws and plays it.

Cards come worst first: errors, then the scenarios that weigh most on a failed gate, then values
beyond a limit, then the rest in the order of the record. A page has room for so many cards and so
many bytes of sound; what is left out is counted and said, and its trace is linked.
"""

from __future__ import annotations

import base64
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sts_eval.metric import MetricSpec
from sts_eval.observation import Observation, Outcome, Status, Verdict
from sts_eval.record import RunRecord, ScenarioResult
from sts_eval.report import numbers
from sts_eval.report.metrics import beyond_gate
from sts_eval.report.opus import encode_opus
from sts_eval.report.page import relative_link
from sts_eval.report.peaks import trace_peaks
from sts_eval.trace import TraceError, load_trace

# Sound takes about this much of the page for each second when both sides talk half of the time.
_USUAL_BYTES_PER_S = 4000


@dataclass(frozen=True)
class Limits:
    """How much a page may hold: cards with evidence, and bytes of sound (as text in the page)."""

    cards: int = 300
    sound_bytes: int = 12_000_000


@dataclass(frozen=True)
class ObservationRow:
    """One line of a card's table. `index` is its place in the card's data, for the script."""

    index: int
    anchor: str
    title: str
    value: str
    reason: str
    span: str
    bad: bool


@dataclass(frozen=True)
class Card:
    """One scenario. `state` is its worst finding, `states` all of them (the filter's words).

    sound: base64 of the Ogg/Opus copy, None where it was left out. problem: why there is no
    waveform, "" if there is one. data: for the script.
    """

    scenario: ScenarioResult
    anchor: str
    state: str
    states: list[str]
    observations: list[ObservationRow]
    flac: str | None
    trace: str | None
    problem: str = ""
    sound: str | None = None
    data: dict[str, Any] | None = None


@dataclass(frozen=True)
class Evidence:
    """All cards of a page, and what had no room."""

    cards: list[Card]
    left_out: list[ScenarioResult]
    without_sound: int
    sound_bytes: int
    links: dict[str, str]


def anchors(record: RunRecord) -> dict[str, str]:
    """Scenario id -> a fragment that is safe in HTML, readable, and unique in the page."""
    found: dict[str, str] = {}
    used: set[str] = set()
    for index, scenario in enumerate(record.scenarios):
        slug = "s-" + re.sub(r"[^A-Za-z0-9_.-]+", "-", scenario.id)[:80]
        if slug in used:
            slug = f"{slug}-{index}"
        used.add(slug)
        found[scenario.id] = slug
    return found


class Findings:
    """What each scenario shows, from the observations and the verdicts of a run."""

    def __init__(self, record: RunRecord, specs: Mapping[str, MetricSpec]) -> None:
        self.specs = specs
        self.verdicts: dict[str, list[Verdict]] = defaultdict(list)
        self.observations: dict[str, list[Observation]] = defaultdict(list)
        self.weight: dict[str, tuple[int, int]] = {}
        rank = {name: index for index, name in enumerate(specs)}
        for gate, verdict in enumerate(record.verdicts):
            self.verdicts[verdict.metric].append(verdict)
            if verdict.outcome is Outcome.FAIL:
                for place, scenario_id in enumerate(verdict.worst):
                    # The worst of every gate before the second worst of any.
                    key = (place, gate)
                    self.weight[scenario_id] = min(self.weight.get(scenario_id, key), key)
        for each in record.observations:
            self.observations[each.scenario_id].append(each)
        for found in self.observations.values():
            found.sort(key=lambda each: rank.get(each.metric, len(rank)))

    def bad(self, observation: Observation) -> bool:
        """Whether a value lies beyond the limit of any gate on its metric."""
        spec = self.specs.get(observation.metric)
        return spec is not None and any(
            beyond_gate(observation, verdict, spec) for verdict in self.verdicts[observation.metric]
        )

    def states(self, scenario: ScenarioResult) -> list[str]:
        """Findings of a scenario, worst first; ["ok"] if there is none."""
        own = self.observations[scenario.id]
        tests = {
            "error": scenario.status == "error" or any(o.status is Status.ERROR for o in own),
            "worst": scenario.id in self.weight,
            "beyond": any(self.bad(each) for each in own),
            "unmeasured": any(each.status is Status.UNMEASURED for each in own),
        }
        return [name for name, holds in tests.items() if holds] or ["ok"]

    def order(self, scenarios: Sequence[ScenarioResult]) -> list[ScenarioResult]:
        """Scenarios, worst first."""
        severity = {"error": 0, "worst": 1, "beyond": 2, "unmeasured": 3, "ok": 3}
        last = (len(self.observations) + len(scenarios), 0)

        def key(scenario: ScenarioResult) -> tuple[int, tuple[int, int]]:
            return severity[self.states(scenario)[0]], self.weight.get(scenario.id, last)

        return sorted(scenarios, key=key)


def gather(
    record: RunRecord, run_dir: Path, specs: Mapping[str, MetricSpec], limits: Limits
) -> Evidence:
    """Read the traces and make the cards. A trace that cannot be read becomes a card that says
    so."""
    findings = Findings(record, specs)
    names = anchors(record)
    ordered = findings.order(record.scenarios)
    shown, left_out = ordered[: limits.cards], ordered[limits.cards :]
    cards = []
    spent = 0
    for card, sound in _loaded(shown, run_dir, findings, names, limits.sound_bytes):
        fits = sound is not None and spent + len(sound) <= limits.sound_bytes
        spent += len(sound) if sound is not None and fits else 0
        cards.append(_with_sound(card, sound if fits else None))
    return Evidence(
        cards=cards,
        left_out=left_out,
        without_sound=sum(card.sound is None and not card.problem for card in cards),
        sound_bytes=spent,
        links={scenario.id: f"#{names[scenario.id]}" for scenario in shown},
    )


def _loaded(
    scenarios: Sequence[ScenarioResult],
    run_dir: Path,
    findings: Findings,
    names: Mapping[str, str],
    budget: int,
) -> Iterator[tuple[Card, str | None]]:
    """Cards in order, each with its sound. libsndfile releases the lock, so threads help."""
    room = budget

    def load(scenario: ScenarioResult, with_sound: bool) -> tuple[Card, str | None]:
        return _load(scenario, run_dir, findings, names[scenario.id], with_sound)

    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(scenarios), 4 * workers):
            batch = scenarios[start : start + 4 * workers]
            wanted = [each.seconds * _USUAL_BYTES_PER_S <= room for each in batch]
            for card, sound in pool.map(load, batch, wanted):
                room -= len(sound or "")
                yield card, sound


def _load(
    scenario: ScenarioResult, run_dir: Path, findings: Findings, anchor: str, with_sound: bool
) -> tuple[Card, str | None]:
    link = relative_link(scenario.trace)
    rows = [
        _observation_row(index, each, anchor, findings)
        for index, each in enumerate(findings.observations[scenario.id])
    ]
    states = findings.states(scenario)
    flac = relative_link(str(Path(scenario.trace).with_suffix(".flac"))) if link else None
    card = Card(scenario, anchor, states[0], states, rows, flac, link)
    if link is None:
        return _with_problem(card, "its trace lies outside of the run folder"), None
    try:
        trace = load_trace(run_dir / scenario.trace)
    except TraceError as error:
        return _with_problem(card, str(error)), None
    if len(trace.user) == 0:
        return _with_problem(card, "nothing was recorded"), None
    peaks = trace_peaks(trace.user, trace.agent)
    data = timeline_data(scenario, findings)
    data |= {"flac": flac, "bin": peaks.bin_s, "peaks": [peaks.user, peaks.agent]}
    sound = None
    if with_sound:
        sound = base64.b64encode(encode_opus(trace.user, trace.agent)).decode("ascii")
    return replace(card, data=data), sound


def timeline_data(scenario: ScenarioResult, findings: Findings) -> dict[str, Any]:
    """What the script draws besides the waveform. Times in seconds."""
    spans = []
    for index, each in enumerate(findings.observations[scenario.id]):
        if each.span_s is not None:
            label = f"{_title(each, findings)} {_value_text(each, findings)}"
            spans.append([*each.span_s, label, findings.bad(each), index])
    return {
        "title": scenario.title or scenario.id,
        "seconds": scenario.seconds,
        "user": [[span.start_s, span.end_s, span.label] for span in scenario.user_spans],
        "agent": [[span.start_s, span.end_s, span.label] for span in scenario.agent_spans],
        "words": [[word.start_s, word.end_s, word.text] for word in scenario.words],
        "marks": [[m.start_s, m.end_s, m.label, m.kind] for m in scenario.marks],
        "spans": spans,
    }


def filter_index(evidence: Evidence, findings: Findings) -> list[dict[str, Any]]:
    """What the page's filters and sorting need, one entry for each card."""
    index = []
    for order, card in enumerate(evidence.cards):
        values: dict[str, list[float]] = defaultdict(list)
        for each in findings.observations[card.scenario.id]:
            if each.value is not None:
                values[each.metric].append(each.value)
        index.append(
            {
                "anchor": card.anchor,
                "order": order,
                "states": card.states,
                "slices": {"kind": card.scenario.kind, **card.scenario.conditions},
                "values": {name: sum(found) / len(found) for name, found in values.items()},
            }
        )
    return index


def _observation_row(
    index: int, observation: Observation, anchor: str, findings: Findings
) -> ObservationRow:
    span = observation.span_s
    return ObservationRow(
        index=index,
        anchor=f"{anchor}--{index}",
        title=_title(observation, findings),
        value=_value_text(observation, findings),
        reason=observation.reason,
        span=f"{span[0]:.2f} to {numbers.seconds(span[1])}" if span else "",
        bad=findings.bad(observation),
    )


def _title(observation: Observation, findings: Findings) -> str:
    spec = findings.specs.get(observation.metric)
    return spec.title if spec else observation.metric


def _value_text(observation: Observation, findings: Findings) -> str:
    if observation.status is not Status.MEASURED:
        return "error" if observation.status is Status.ERROR else "not measured"
    spec = findings.specs.get(observation.metric)
    unit = spec.unit if spec else ""
    share = numbers.is_share(observation.metric, unit)
    if share and observation.value in (0.0, 1.0):
        return "yes" if observation.value else "no"
    return numbers.quantity(observation.value, unit, share=share)


def _with_problem(card: Card, problem: str) -> Card:
    return replace(card, problem=problem)


def _with_sound(card: Card, sound: str | None) -> Card:
    return replace(card, sound=sound)
