"""One Full-Duplex-Bench item while it is scored: what the scorers look at, and what they say.

Each scorer writes observations and returns a `Said`: the few things in which two scorers can
contradict each other. `disagreement` puts the difference into words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sts_eval.metric import MetricSpec
from sts_eval.metrics.fdb import FdbWord, Segment
from sts_eval.metrics.turns import Turn
from sts_eval.observation import Status
from sts_eval.probes import Evidence
from sts_eval.probes.full_duplex_bench_files import words_of
from sts_eval.probes.full_duplex_bench_specs import BY_NAME, DISAGREEMENT
from sts_eval.probes.latency_score import Observer
from sts_eval.scenario import Scenario
from sts_eval.target import Samples
from sts_eval.trace import Trace
from sts_eval.units import seconds_to_samples

LATENCY_TOLERANCE_S: Final = 0.25


@dataclass(frozen=True)
class Said:
    """What a scorer says of an item, as far as the other can contradict it. None: no value.

    label: the finding in words. hollow: a number it gives for something that did not happen.
    missing: why there is nothing to compare.
    """

    label: str
    took_turn: bool | None = None
    latency_s: float | None = None
    stop_s: float | None = None
    hollow: str = ""
    missing: str = ""


def disagreement(compat: Said, strictly: Said) -> str:
    """What the two say differently, or "" when they agree."""
    both = f"fdb-compat: {compat.label}; strict: {strictly.label}"
    if compat.hollow:
        return f"fdb-compat: {compat.label}, {compat.hollow}; strict: {strictly.label}"
    if compat.took_turn != strictly.took_turn:
        return both
    same = _near(compat.latency_s, strictly.latency_s) and _near(compat.stop_s, strictly.stop_s)
    return "" if same else both


def _near(published_s: float | None, signed_s: float | None) -> bool:
    if published_s is None or signed_s is None:
        return published_s is signed_s
    return abs(published_s - signed_s) <= LATENCY_TOLERANCE_S


class FdbObserver(Observer):
    """Observations of one item; metrics by scorer and the last part of their name."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self._task = scenario.conditions["task"]

    def spec(self, scorer: str, name: str) -> MetricSpec:
        """The contract of a metric of this item's task."""
        return BY_NAME[f"{scorer}/{self._task}/{name}"]

    def compare(self, compat: Said, strictly: Said, span_s: Segment) -> None:
        """Whether the scorers disagree; the reason says in what."""
        missing = compat.missing or strictly.missing
        if missing:
            self.unmeasured(DISAGREEMENT, missing)
            return
        words = disagreement(compat, strictly)
        self._add(DISAGREEMENT, Status.MEASURED, float(bool(words)), words, span_s, {})


@dataclass(frozen=True)
class Item:
    """An item with everything the scorers look at. `facts`: see `full_duplex_bench_files`."""

    scenario: Scenario
    trace: Trace
    heard: Evidence

    @property
    def task(self) -> str:
        """The task folder."""
        return self.scenario.conditions["task"]

    @property
    def facts(self) -> dict[str, Any]:
        """What the item's files say."""
        return self.scenario.expected

    @property
    def seconds(self) -> float:
        """Length of the output file (the trace is padded to whole frames)."""
        return float(self.facts.get("output_s") or self.trace.meta.seconds)

    @property
    def agent(self) -> Samples:
        """The output file's samples, float32 [S] at 24 kHz."""
        track: Samples = self.trace.agent[: seconds_to_samples(self.seconds)]
        return track

    @property
    def event(self) -> Segment | None:
        """The annotated event."""
        event_s = self.facts.get("event_s")
        return None if event_s is None else (float(event_s[0]), float(event_s[1]))

    @property
    def evidence(self) -> Segment:
        """Where to look: the event, else the user's turn."""
        return self.event or (self.scenario.user_spans[0].start_s, self.scenario.turn_end_s)

    def turn(self) -> Turn:
        """The user's turn, or the interruption."""
        start_s, end_s = self.evidence
        return Turn(start_s, end_s, self.scenario.listen_s, tuple(self.scenario.pauses))

    def words(self) -> list[FdbWord] | None:
        """output.json as it is, else what the ASR judge heard (of interruptions: after them).

        None when neither is there.
        """
        words = words_of(self.facts)
        if words is not None or self.heard.words is None:
            return words
        heard = [(word.text, word.start_s, word.end_s) for word in self.heard.words]
        # the published recogniser hears an output from the interruption's end on
        from_s = self.event[1] if self.event else 0.0
        return [
            FdbWord(text, max(a, from_s), b) for text, a, b in heard if b > from_s or not from_s
        ]

    def no_words(self) -> str:
        """Why there are no words."""
        return f"there is no output.json, and {self.heard.asr_error or 'no ASR judge ran'}"
