"""Scenario kind of the overfit suite: does the model repeat its training data word for word?

    kind: overfit
    training: reference        # or FOLDER | FILE.jsonl (`overfit_training`)
    canaries: reference        # or FILE.yaml | FILE.csv | none (`overfit_canaries`)
    recordings: 120            # most training recordings to compare the audio with
    unprompted: {openers: [silence, greeting, open], draws: 8, temperatures: [null, 1.0]}
    prefix: {items: 16, controls: 8, sides: [agent, user], prefix_s: [1.0, 2.0, 3.0]}
    canary: {draws: 2, sides: [agent, user]}
    questions: {facts: 20}
    listen_s: 6

Each part may be left out. `temperatures` are asked of the target; null is its own. `side: agent`
gives the beginning of a text as the agent's own past (option `agent_prefix`), `side: user` has the
user say it, which works for any target. What a target does not honour is not measured. File names
are relative to the folder that the command runs in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sts_eval.metric import MetricSpec
from sts_eval.observation import Observation
from sts_eval.probes import Evidence, PlanContext, PoolContext, Pooled, PoolItem, ScenarioBlock
from sts_eval.probes.overfit_plan import plan_block, render_plan
from sts_eval.probes.overfit_specs import OVERFIT_METRICS
from sts_eval.record import Mark
from sts_eval.scenario import Plan, Rendered, Scenario
from sts_eval.trace import Trace

Temperature = Annotated[float, Field(ge=0, le=10)]
Seconds = Annotated[float, Field(gt=0, le=60)]
Sides = Annotated[tuple[Literal["agent", "user"], ...], Field(min_length=1)]
Temperatures = Annotated[tuple[Temperature | None, ...], Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Unprompted(_Part):
    """The user says nothing, a greeting, or that the agent may say anything."""

    openers: Annotated[tuple[Literal["silence", "greeting", "open"], ...], Field(min_length=1)] = (
        "silence",
        "greeting",
        "open",
    )
    draws: Annotated[int, Field(ge=1, le=10_000)] = 8
    temperatures: Temperatures = (None,)
    listen_s: Seconds | None = None


class Prefix(_Part):
    """The beginnings of training texts, and of sentences that are in no training set."""

    items: Annotated[int, Field(ge=1, le=10_000)] = 16
    controls: Annotated[int, Field(ge=0, le=16)] = 8
    sides: Sides = ("agent", "user")
    prefix_s: Annotated[tuple[Annotated[float, Field(ge=0.3, le=10)], ...], Field(min_length=1)] = (
        1.0,
        2.0,
        3.0,
    )
    temperatures: Temperatures = (None,)


class Canaries(_Part):
    """The beginnings of canaries."""

    draws: Annotated[int, Field(ge=1, le=1_000)] = 1
    sides: Sides = ("agent", "user")
    temperatures: Temperatures = (None,)


class Questions(_Part):
    """Facts, each in a wording of the training set and in one that it does not hold."""

    facts: Annotated[int, Field(ge=1, le=32)] = 20


class OverfitBlock(ScenarioBlock):
    """See the module."""

    kind: Literal["overfit"]
    training: str = "reference"
    canaries: str = "reference"
    recordings: Annotated[int, Field(ge=0, le=100_000)] = 120
    unprompted: Unprompted | None = None
    prefix: Prefix | None = None
    canary: Canaries | None = None
    questions: Questions | None = None


class OverfitKind:
    """See the module."""

    name = "overfit"
    control = "scripted"
    block: type[ScenarioBlock] = OverfitBlock
    metrics: tuple[MetricSpec, ...] = OVERFIT_METRICS

    def plan(self, block: Any, context: PlanContext) -> list[Plan]:
        """The scenarios of every part that the block has."""
        return plan_block(block, self.name, context)

    def render(self, plan: Plan, context: PlanContext) -> Rendered:
        """See `overfit_plan`."""
        return render_plan(plan, context)

    def score(self, scenario: Scenario, trace: Trace, heard: Evidence) -> list[Observation]:
        """Nothing yet: a conversation means something only beside the training set (`pool`)."""
        return []

    def marks(self, scenario: Scenario, trace: Trace) -> list[Mark]:
        """The end of the user's turn."""
        if not scenario.user_spans:
            return []
        return [Mark(label="user's turn ends", start_s=scenario.turn_end_s)]

    def pool(self, items: Sequence[PoolItem], context: PoolContext) -> Pooled:
        """All metrics and the section of the report."""
        from sts_eval.probes.overfit_pool import pool_items

        return pool_items(items, context)
