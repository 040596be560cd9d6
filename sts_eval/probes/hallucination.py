"""Scenario kind of the hallucination suite: questions whose right answer, or lack of one, is known.

    kind: hallucination
    task: sum                 # chain, fact, unanswerable, false_premise, repeat, long
    pick: {kind: [arithmetic, sum], per_voice: 16}
    listen_s: 6

`chain` is a conversation of two turns: the user asks a sum (`pick`), waits until the agent has
answered and been silent for `pause_s`, and asks a follow-up ("And plus two more?") that needs the
first result. Kinds that the stimuli folder lacks are taken from the packaged questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from sts_eval.metric import MetricSpec
from sts_eval.metrics.answers import carry_of, size_of
from sts_eval.observation import Observation
from sts_eval.probes import (
    Evidence,
    PlanContext,
    PoolContext,
    Pooled,
    PoolItem,
    ScenarioBlock,
    derive_seed,
)
from sts_eval.probes.hallucination_score import score_answer
from sts_eval.probes.hallucination_specs import HALLUCINATION_METRICS
from sts_eval.probes.latency import Pick
from sts_eval.record import Mark
from sts_eval.scenario import Plan, Rendered, Scenario
from sts_eval.stimuli import Stimuli, Stimulus
from sts_eval.trace import Span, Trace, silence
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_for, seconds_to_samples
from sts_eval.user import Cue, ReactiveUser

LEAD_S = 0.5
FOLLOW_UP = "follow_up"
MAX_FACTOR = 12  # a follow-up "times" is asked of results up to this
Task = Literal["sum", "chain", "fact", "unanswerable", "false_premise", "repeat", "long"]


class HallucinationBlock(ScenarioBlock):
    """See the module. patience_s: how long a first answer may take in all (chain)."""

    kind: Literal["hallucination"]
    task: Task
    pick: Pick
    pause_s: Annotated[float, Field(ge=0.4, le=10)] = 1.0
    patience_s: Annotated[float, Field(gt=0, le=60)] = 6.0


class HallucinationKind:
    """See the module."""

    name = "hallucination"
    control = "answering"
    block: type[ScenarioBlock] = HallucinationBlock
    metrics: tuple[MetricSpec, ...] = HALLUCINATION_METRICS

    def plan(self, block: Any, context: PlanContext) -> list[Plan]:
        """One plan per question. Raises ValueError where a stimulus lacks what its task needs."""
        stimuli: Stimuli = context.stimuli.with_questions()
        pick, task = block.pick, block.task
        items = stimuli.pick(
            kind=(pick.kind,) if isinstance(pick.kind, str) else pick.kind,
            voice=(pick.voice,) if isinstance(pick.voice, str) else pick.voice,
            per_voice=pick.per_voice,
            seed=derive_seed(context.seed, task),
        )
        plans = []
        for number, item in enumerate(items):
            _check(item, task)
            recipe = {"stimulus": item.id, "task": task, "listen_s": block.listen_s}
            name = f"{item.id}.{task}"
            if task == "chain":
                follow_up = _follow_up(item, number, stimuli, context.seed)
                recipe |= {"follow_up": follow_up.id, "pause_s": block.pause_s}
                recipe["patience_s"] = block.patience_s
            plans.append(Plan(id=name, kind=self.name, recipe=recipe))
        return plans

    def render(self, plan: Plan, context: PlanContext) -> Rendered:
        """Lead, question, silence; and for a chain the user who goes on after the answer."""
        recipe = plan.recipe
        stimuli = context.stimuli.with_questions()
        item = stimuli.get(recipe["stimulus"])
        follow_up = stimuli.get(recipe["follow_up"]) if recipe["task"] == "chain" else None
        speech = item.speech()
        more = None if follow_up is None else follow_up.speech()
        end_s = LEAD_S + speech.size / SAMPLE_RATE_HZ
        wait_s = 0.0 if more is None else recipe["patience_s"] + recipe["pause_s"]
        total = seconds_to_samples(end_s + wait_s + recipe["listen_s"])
        total += 0 if more is None else more.size
        user = silence(frames_for(total) * FRAME_SAMPLES)
        lead = seconds_to_samples(LEAD_S)
        user[lead : lead + speech.size] = speech
        scenario = _scenario(plan, item, follow_up, end_s, context)
        if follow_up is None or more is None:
            return Rendered(scenario, user)
        cue = Cue(FOLLOW_UP, more, recipe["pause_s"], follow_up.text, when_done=True)
        react = ReactiveUser(user, [cue], from_s=end_s, room_s=recipe["listen_s"])
        return Rendered(scenario, user, react.hear)

    def score(self, scenario: Scenario, trace: Trace, heard: Evidence) -> list[Observation]:
        """The observations of the hallucination metrics."""
        return score_answer(scenario, trace, heard)

    def pool(self, items: Sequence[PoolItem], context: PoolContext) -> Pooled:
        """Accuracy corrected for the judge, and the report's tables."""
        from sts_eval.probes.hallucination_pool import pool_answers

        return pool_answers(items, context)

    def marks(self, scenario: Scenario, trace: Trace) -> list[Mark]:
        """The end of each turn, and what the agent says that it heard."""
        marks = [Mark(label="user's turn ends", start_s=scenario.turn_end_s)]
        for event in trace.meta.events:
            if event.source == "harness" and event.name == "user_event":
                times = {"start_s": event.data["start_s"], "end_s": event.data["end_s"]}
                marks.append(Mark(label="follow-up", **times))
            elif event.name == "heard":
                said = str(event.data.get("text", ""))[:80]
                marks.append(Mark(label=f"agent heard: {said}", start_s=event.t_s))
            elif event.name.startswith("stage."):
                label = event.name.removeprefix("stage.")
                marks.append(Mark(label=label, start_s=event.t_s, kind="stage"))
        return marks


_NEEDS: dict[str, tuple[str, ...]] = {
    "sum": ("answer", "op"),
    "chain": ("answer", "a", "b", "op"),
    "fact": ("key",),
    "repeat": ("word",),
}


def _check(item: Stimulus, task: str) -> None:
    """Raise ValueError where the manifest does not say what a right answer is."""
    for field in _NEEDS.get(task, ()):
        value = item.fields.get(field)
        numeric = field in ("answer", "a", "b")
        fits = isinstance(value, int | float if numeric else str) and not isinstance(value, bool)
        if not fits or value == "" or value != value:
            raise ValueError(f"stimulus {item.id!r} cannot be a {task}: its {field!r} is {value!r}")


def _follow_up(item: Stimulus, number: int, stimuli: Stimuli, seed: int) -> Stimulus:
    """The follow-up of the `number`-th sum, in the same voice; "times" only of small results."""
    many = len(stimuli.items)
    fitting = [
        found
        for found in stimuli.pick(kind=(FOLLOW_UP,), voice=(item.voice,), per_voice=many, seed=seed)
        if found.fields.get("op") in _COMPUTE
        and isinstance(found.fields.get("b"), int | float)
        and (found.fields["op"] != "times" or 0 <= item.fields["answer"] <= MAX_FACTOR)
    ]
    if not fitting:
        raise ValueError(f"the voice {item.voice!r} has no {FOLLOW_UP} for a chain")
    return fitting[number % len(fitting)]


_COMPUTE = {
    "plus": lambda a, b: a + b,
    "minus": lambda a, b: a - b,
    "times": lambda a, b: a * b,
}


def _expected(item: Stimulus, follow_up: Stimulus | None) -> dict[str, Any]:
    """What a right answer to the last turn holds; `first`: to the turn before it."""
    expected = item.expected()
    for field in ("unit", "truth"):
        if field in item.fields:
            expected[field] = item.fields[field]
    if follow_up is None:
        return expected
    before, op, b = item.fields["answer"], follow_up.fields["op"], follow_up.fields["b"]
    return {
        "kind": FOLLOW_UP,
        "op": op,
        "a": before,
        "b": b,
        "answer": _COMPUTE[op](before, b),
        "first": expected,
    }


def _scenario(
    plan: Plan, item: Stimulus, follow_up: Stimulus | None, end_s: float, context: PlanContext
) -> Scenario:
    task = plan.recipe["task"]
    expected = _expected(item, follow_up)
    text = item.text if follow_up is None else f"{item.text} / {follow_up.text}"
    conditions = {"voice": item.voice, "task": task}
    if task in ("sum", "chain"):
        conditions |= {"op": expected["op"], "chained": "yes" if task == "chain" else "no"}
        if "a" in expected:
            a, b = expected["a"], expected["b"]
            conditions["size"] = size_of(a, b)
            if carry := carry_of(expected["op"], a, b):
                conditions["carry"] = carry
        else:
            conditions["size"] = "units"
    return Scenario(
        id=plan.id,
        kind=plan.kind,
        title=text,
        text=text,
        conditions=conditions,
        cluster=item.id if context.cluster == "utterance" else item.voice,
        user_spans=[Span(start_s=LEAD_S, end_s=end_s, label="user")],
        turn_end_s=end_s,
        listen_s=plan.recipe["listen_s"],
        expected=expected,
    )
