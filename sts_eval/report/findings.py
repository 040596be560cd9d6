"""What each scenario of a run shows: its observations in words, and how much they weigh.

Findings of a scenario, worst first: "error"; "worst", it is among the scenarios that weigh most on
a failed gate; "beyond", one of its values counts against a gate; "ok", none of these.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sts_eval.observation import Observation, Outcome, Status
from sts_eval.record import RunRecord, ScenarioResult
from sts_eval.report import numbers
from sts_eval.report.gates import Limits, is_share, unwanted
from sts_eval.report.metrics import ordered_specs

SHORTEST_SPAN_S = 0.005  # anything shorter is a moment: there is nothing to hear
MOST_ALIKE = 8


@dataclass(frozen=True)
class ObservationRow:
    """One observation as a line of a table. `index` is its place among its scenario's.

    bad: it counts against a gate. drawn: the timeline marks its span without being asked. number:
    what was measured, to order rows by.
    """

    index: int
    metric: str
    title: str
    value: str
    reason: str
    span_s: tuple[float, float] | None
    span: str
    bad: bool
    drawn: bool
    number: float | None = None

    @property
    def playable(self) -> bool:
        """Whether its span is long enough to be heard."""
        return self.span_s is not None and self.span_s[1] - self.span_s[0] >= SHORTEST_SPAN_S


@dataclass(frozen=True)
class RowGroup:
    """Rows of one title that follow each other; many of them are folded into one line."""

    rows: list[ObservationRow]

    @property
    def folded(self) -> bool:
        """Whether they are too many to be read one by one (compute of each frame)."""
        return len(self.rows) > MOST_ALIKE and all(row.number is not None for row in self.rows)

    @property
    def bad(self) -> bool:
        """Whether one of them counts against a gate."""
        return any(row.bad for row in self.rows)

    @property
    def extent(self) -> tuple[str, str]:
        """The least and the greatest value, in words."""
        ordered = sorted(self.rows, key=lambda row: row.number or 0.0)
        return ordered[0].value, ordered[-1].value


def grouped(rows: Sequence[ObservationRow]) -> list[RowGroup]:
    """Rows of equal title and metric together, in the order in which they first appear."""
    groups: dict[tuple[str, str, bool], list[ObservationRow]] = defaultdict(list)
    for row in rows:
        groups[row.metric, row.title, row.number is None].append(row)
    return [RowGroup(found) for found in groups.values()]


class Findings:
    """The findings of all scenarios of a run."""

    def __init__(self, record: RunRecord) -> None:
        self.specs = {spec.name: spec for spec in ordered_specs(record)}
        self.limits = Limits(record)
        self.observations: dict[str, list[Observation]] = defaultdict(list)
        self._weight: dict[str, tuple[int, int]] = {}
        for gate, verdict in enumerate(record.verdicts):
            worst = verdict.worst if verdict.outcome is Outcome.FAIL else ()
            for place, scenario_id in enumerate(worst):
                # The worst of every gate come before the second worst of any.
                self._weight.setdefault(scenario_id, (place, gate))
                self._weight[scenario_id] = min(self._weight[scenario_id], (place, gate))
        for each in record.observations:
            self.observations[each.scenario_id].append(each)
        rank = {name: index for index, name in enumerate(self.specs)}
        for found in self.observations.values():
            found.sort(key=lambda each: rank.get(each.metric, len(rank)))

    def bad(self, observation: Observation) -> bool:
        """Whether an observation counts against a gate."""
        spec = self.specs.get(observation.metric)
        return spec is not None and self.limits.beyond(observation, spec)

    def states(self, scenario: ScenarioResult) -> list[str]:
        """Findings of a scenario, worst first (see the module)."""
        own = self.observations[scenario.id]
        tests = {
            "error": scenario.status == "error" or any(o.status is Status.ERROR for o in own),
            "worst": scenario.id in self._weight,
            "beyond": any(self.bad(each) for each in own),
        }
        return [name for name, holds in tests.items() if holds] or ["ok"]

    def order(self, scenarios: Sequence[ScenarioResult]) -> list[ScenarioResult]:
        """Scenarios, worst first, else in their own order."""
        severity = {"error": 0, "worst": 1, "beyond": 2, "ok": 3}
        last = (len(scenarios), 0)

        def key(scenario: ScenarioResult) -> tuple[int, tuple[int, int]]:
            return severity[self.states(scenario)[0]], self._weight.get(scenario.id, last)

        return sorted(scenarios, key=key)

    def rows(self, scenario: ScenarioResult) -> list[ObservationRow]:
        """A scenario's observations, those of gated metrics first."""
        own = self.observations[scenario.id]
        drawn = [index for index, each in enumerate(own) if self._draws(each)]
        if not drawn:
            drawn = [i for i, each in enumerate(own) if each.span_s and each.value is not None][:1]
        return [
            ObservationRow(
                index=index,
                metric=each.metric,
                title=self._title(each, scenario),
                value=self._value(each),
                reason=each.reason,
                span_s=each.span_s,
                span=_span_text(each.span_s),
                bad=self.bad(each),
                drawn=index in drawn,
                number=each.value,
            )
            for index, each in enumerate(own)
        ]

    def values(self, scenario_id: str) -> dict[str, float]:
        """metric -> mean measured value of a scenario."""
        found: dict[str, list[float]] = defaultdict(list)
        for each in self.observations[scenario_id]:
            if each.value is not None:
                found[each.metric].append(each.value)
        return {name: sum(values) / len(values) for name, values in found.items()}

    def _draws(self, observation: Observation) -> bool:
        """Timings with a gate, unwanted events, and whatever counts against a gate."""
        spec = self.specs.get(observation.metric)
        if spec is None or observation.value is None or observation.span_s is None:
            return False
        timed = observation.metric in self.limits.of and not is_share(spec)
        return timed or unwanted(observation, spec) or self.bad(observation)

    def _title(self, observation: Observation, scenario: ScenarioResult) -> str:
        spec = self.specs.get(observation.metric)
        own = [
            numbers.condition(name, level)
            for name, level in observation.slices.items()
            if scenario.conditions.get(name) != level
        ]
        return (spec.title if spec else observation.metric) + (
            f" ({', '.join(own)})" if own else ""
        )

    def _value(self, observation: Observation) -> str:
        if observation.status is not Status.MEASURED:
            return "error" if observation.status is Status.ERROR else "not measured"
        spec = self.specs.get(observation.metric)
        if spec is not None and is_share(spec):
            return "yes" if observation.value else "no"
        return numbers.quantity(observation.value, spec.unit if spec else "")


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


def _span_text(span_s: tuple[float, float] | None) -> str:
    if span_s is None:
        return ""
    if span_s[1] - span_s[0] < SHORTEST_SPAN_S:
        return f"at {numbers.seconds(span_s[0])}"
    return f"{span_s[0]:.2f} to {numbers.seconds(span_s[1])}"
