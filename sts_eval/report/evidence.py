"""Evidence: one recording to draw and to play, and one card for each scenario of a run.

A page has room for so many cards and so many bytes of sound. The most informative scenarios come
first (see `findings`); what is left out is counted and said, and its trace is linked.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sts_eval.record import Mark, RunRecord, ScenarioResult
from sts_eval.report.findings import Findings, ObservationRow, RowGroup, anchors, grouped
from sts_eval.report.opus import encode_opus
from sts_eval.report.page import relative_link
from sts_eval.report.peaks import trace_peaks
from sts_eval.trace import TraceError, load_trace

# Sound takes about this much of the page for each second when both sides talk half of the time.
_USUAL_BYTES_PER_S = 4000
MOST_STAGES_PER_S = 2.0


@dataclass(frozen=True)
class Budget:
    """How much a page may hold: cards, and bytes of sound (as text in the page)."""

    cards: int = 300
    sound_bytes: int = 12_000_000


@dataclass(frozen=True)
class Recording:
    """One trace as the page draws and plays it.

    number: unique in the page, names its data blocks. data: for the script; None when the trace
    cannot be shown, and `problem` says why. sound: base64 of the Ogg/Opus copy, None where it was
    left out. flac, trace: links, None where there are none.
    """

    number: int
    title: str
    data: dict[str, Any] | None = None
    sound: str | None = None
    problem: str = ""
    flac: str | None = None
    trace: str | None = None


@dataclass(frozen=True)
class Card:
    """One scenario. `state` is its worst finding, `states` all of them (the filter's words)."""

    scenario: ScenarioResult
    anchor: str
    state: str
    states: list[str]
    rows: list[ObservationRow]
    recording: Recording

    @property
    def groups(self) -> list[RowGroup]:
        """Its rows, many alike ones together."""
        return grouped(self.rows)

    @property
    def key_values(self) -> list[ObservationRow]:
        """What its summary line shows: what the timeline marks."""
        return [row for row in self.rows if row.drawn][:2]


@dataclass(frozen=True)
class Evidence:
    """All cards of a page, and what had no room."""

    cards: list[Card]
    left_out: list[ScenarioResult]
    without_sound: int
    sound_bytes: int
    links: dict[str, str]


def gather(record: RunRecord, run_dir: Path, findings: Findings, budget: Budget) -> Evidence:
    """Read the traces and make the cards. A trace that cannot be read makes a card that says so."""
    names = anchors(record)
    ordered = findings.order(record.scenarios)
    shown, left_out = ordered[: budget.cards], ordered[budget.cards :]
    sources = [
        Source(scenario, run_dir, findings.rows(scenario), number, linked=True)
        for number, scenario in enumerate(shown)
    ]
    cards = []
    for source, recording in zip(sources, read_all(sources, budget.sound_bytes), strict=True):
        states = findings.states(source.scenario)
        anchor = names[source.scenario.id]
        cards.append(Card(source.scenario, anchor, states[0], states, source.rows, recording))
    recordings = [card.recording for card in cards]
    return Evidence(
        cards=cards,
        left_out=left_out,
        without_sound=sum(each.sound is None and not each.problem for each in recordings),
        sound_bytes=sum(len(each.sound or "") for each in recordings),
        links={scenario.id: f"#{names[scenario.id]}" for scenario in shown},
    )


@dataclass(frozen=True)
class Source:
    """Where a recording comes from. linked: the page lies in the run folder and may link to it."""

    scenario: ScenarioResult
    run_dir: Path
    rows: list[ObservationRow]
    number: int
    linked: bool


def read_all(sources: Sequence[Source], sound_bytes: int) -> Iterator[Recording]:
    """Recordings in order; sound for as many as fit. libsndfile lets go of the interpreter's lock
    while it works, so threads help."""
    room = sound_bytes
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(sources), 4 * workers):
            batch = sources[start : start + 4 * workers]
            # Whoever cannot fit is not encoded in the first place.
            wanted = [each.scenario.seconds * _USUAL_BYTES_PER_S / 2 <= room for each in batch]
            for recording in pool.map(read, batch, wanted):
                size = len(recording.sound or "")
                if size > room:
                    yield replace(recording, sound=None)
                    continue
                room -= size
                yield recording


def read(source: Source, with_sound: bool) -> Recording:
    """Read one trace. Never raises for a bad trace: the recording says what is wrong."""
    scenario = source.scenario
    link = relative_link(scenario.trace)
    recording = Recording(source.number, scenario.title or scenario.id)
    if link is None:
        return replace(recording, problem="its trace lies outside of the run folder")
    flac = relative_link(str(Path(scenario.trace).with_suffix(".flac")))
    if source.linked:
        recording = replace(recording, flac=flac, trace=link)
    try:
        trace = load_trace(source.run_dir / scenario.trace)
    except TraceError as error:
        return replace(recording, problem=str(error))
    if len(trace.user) == 0:
        return replace(recording, problem="nothing was recorded")
    peaks = trace_peaks(trace.user, trace.agent)
    data = timeline_data(scenario, source.rows)
    data |= {"flac": recording.flac, "bin": peaks.bin_s, "peaks": [peaks.user, peaks.agent]}
    sound = None
    if with_sound:
        sound = base64.b64encode(encode_opus(trace.user, trace.agent)).decode("ascii")
    return replace(recording, data=data, sound=sound)


def timeline_data(scenario: ScenarioResult, rows: Sequence[ObservationRow]) -> dict[str, Any]:
    """What the script draws besides the waveform. Times in seconds."""
    return {
        "seconds": scenario.seconds,
        "user": [[span.start_s, span.end_s] for span in scenario.user_spans],
        "agent": [[span.start_s, span.end_s] for span in scenario.agent_spans],
        "words": [[word.start_s, word.end_s, word.text] for word in scenario.words],
        "marks": [[mark.start_s, mark.end_s, mark.label, mark.kind] for mark in _marks(scenario)],
        "spans": [
            [*row.span_s, f"{row.title} {row.value}", row.bad, row.index, row.drawn]
            for row in rows
            if row.span_s is not None and row.playable
        ],
    }


def _marks(scenario: ScenarioResult) -> list[Mark]:
    """The marks to draw: stages that come with every frame would hide the rest."""
    stages = sum(mark.kind == "stage" for mark in scenario.marks)
    if stages <= MOST_STAGES_PER_S * max(scenario.seconds, 1.0):
        return scenario.marks
    return [mark for mark in scenario.marks if mark.kind != "stage"]


def filter_index(
    cards: Sequence[Card], values: Callable[[str], dict[str, float]]
) -> list[dict[str, Any]]:
    """What the page's filters and sorting need, one entry for each card."""
    return [
        {
            "anchor": card.anchor,
            "states": card.states,
            "slices": {"kind": card.scenario.kind, **card.scenario.conditions},
            "values": values(card.scenario.id),
        }
        for card in cards
    ]
