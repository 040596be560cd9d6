"""A scenario: what the user says, exactly when, and what is known about it beforehand.

A suite is first planned (cheap: ids and recipes, so that gates, limits and resume can be decided)
and each plan is rendered only when it runs. Rendering is deterministic: same recipe, same samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from sts_eval.options import checked, described
from sts_eval.target import Samples
from sts_eval.trace import Span, TraceEvent, silence
from sts_eval.units import FRAME_SAMPLES


class Plan(BaseModel):
    """A scenario before rendering.

    id: unique in the suite, safe as a file name; pairs the same scenario across runs.
    kind: the registered scenario kind that renders and scores it.
    recipe: everything its kind needs to render it, JSON values only.
    cold: run it in a fresh process, so that its session is a cold start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    kind: str
    recipe: dict[str, Any]
    cold: bool = False


class Scenario(BaseModel):
    """A rendered scenario without its audio; stored in the trace.

    user_spans: true speech spans of the user's turn, from the stimulus itself, seconds. A silence
        inside the turn (a pause) separates two spans.
    pauses: the silences inside the turn that the suite put there.
    turn_end_s: end of the user's speech: the origin of every response latency.
    listen_s: how long after turn_end_s an answer counts.
    expected: what a right answer holds (kind, answer, key ...), if known.
    options: what the target is asked for besides listening, as JSON (`sts_eval.options`).
    cluster: label of the group of scenarios that are not independent of this one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    kind: str
    title: str
    text: str = ""
    conditions: dict[str, str] = {}
    cluster: str
    user_spans: list[Span]
    pauses: list[Span] = []
    turn_end_s: float
    listen_s: float
    expected: dict[str, Any] = {}
    options: dict[str, Any] = {}


def unrendered(plan: Plan) -> Rendered:
    """What stands in for a scenario that could not be rendered: one silent frame, no user."""
    scenario = Scenario(
        id=plan.id,
        kind=plan.kind,
        title=plan.id,
        cluster=plan.id,
        user_spans=[Span(start_s=0.0, end_s=0.0)],
        turn_end_s=0.0,
        listen_s=0.0,
    )
    return Rendered(scenario, silence(FRAME_SAMPLES))


@dataclass(frozen=True)
class Rendered:
    """A scenario and its user track, float32 [S] at 24 kHz, S a whole number of frames.

    hear: a reactive user that writes into the track as it hears the agent (`sts_eval.user`).
    options: what the target is asked for and is no JSON (`agent_prefix`); joins the scenario's.
    driven: False asks nothing of the target: no session is opened, the agent's track is silent
        (recordings for a pooled analysis).
    """

    scenario: Scenario
    user: Samples
    hear: Callable[[int, Samples], Sequence[TraceEvent]] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    driven: bool = True

    def asked(self) -> dict[str, Any]:
        """All options, checked. Raises ValueError when one is not what its name promises."""
        return checked({**self.scenario.options, **self.options})

    def as_json(self) -> dict[str, Any]:
        """The scenario as a trace stores it, with all that was asked for."""
        stored: dict[str, Any] = self.scenario.model_dump(mode="json")
        return stored | {"options": described(self.asked())}
