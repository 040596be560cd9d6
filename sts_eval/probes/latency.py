"""Scenario kinds of the latency suite: a question, and a question with a pause inside it.

    kind: question
    pick: {kind: [arithmetic, fact], per_voice: 8}
    conditions: {snr_db: [null, 20, 10, 5], noise: [babble, street, white], rate: [0.9, 1.0, 1.15]}
    assign: rotate            # or `cross`: every utterance under every condition
    lead_s: [0.5, 2.0]        # silence before the question, drawn at random
    listen_s: 6

With `rotate` the utterances are dealt round the conditions, so that each condition gets as many
utterances of each voice as any other, and no utterance occurs twice. `snr_db: null` is clean.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sts_eval.metric import MetricSpec
from sts_eval.observation import Observation
from sts_eval.probes import Evidence, PlanContext, ScenarioBlock, derive_seed
from sts_eval.probes.latency_score import score_turn
from sts_eval.probes.latency_specs import LATENCY_METRICS
from sts_eval.record import Mark
from sts_eval.scenario import Plan, Rendered, Scenario
from sts_eval.trace import Span, Trace, silence
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_for, seconds_to_samples

Noise = Literal["babble", "street", "white"]
SnrDb = Annotated[float, Field(ge=-10, le=60)]
Rate = Annotated[float, Field(ge=0.5, le=2.0)]
Seconds = Annotated[float, Field(ge=0, le=30)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Pick(_Part):
    """Which stimuli: of these kinds (and voices), so many per voice."""

    kind: tuple[str, ...] | str
    per_voice: Annotated[int, Field(ge=1)] = 4
    voice: tuple[str, ...] | str | None = None


class Conditions(_Part):
    """What is varied. A null SNR is clean, whatever the noise."""

    snr_db: Annotated[tuple[SnrDb | None, ...], Field(min_length=1)] = (None,)
    noise: Annotated[tuple[Noise, ...], Field(min_length=1)] = ("babble",)
    rate: Annotated[tuple[Rate, ...], Field(min_length=1)] = (1.0,)

    def cells(self) -> list[dict[str, Any]]:
        """Every distinct combination, in order of the file."""
        cells: list[dict[str, Any]] = []
        for snr_db, noise, rate in itertools.product(self.snr_db, self.noise, self.rate):
            cell = {"snr_db": snr_db, "noise": None if snr_db is None else noise, "rate": rate}
            if cell not in cells:
                cells.append(cell)
        return cells


class QuestionBlock(ScenarioBlock):
    """A question; the turn ends with its last sound."""

    kind: Literal["question"]
    pick: Pick
    conditions: Conditions = Conditions()
    assign: Literal["rotate", "cross"] = "rotate"
    lead_s: tuple[Seconds, Seconds] = (0.5, 1.5)

    @model_validator(mode="after")
    def _ordered(self) -> QuestionBlock:
        if self.lead_s[0] > self.lead_s[1]:
            raise ValueError("lead_s is [shortest, longest]")
        return self


class PauseBlock(ScenarioBlock):
    """A question with a pause inside it, at its point of lowest energy."""

    kind: Literal["question_with_pause"]
    pick: Pick
    pause_s: Annotated[tuple[Annotated[float, Field(gt=0, le=10)], ...], Field(min_length=1)]
    conditions: Conditions = Conditions()
    assign: Literal["rotate", "cross"] = "rotate"
    lead_s: tuple[Seconds, Seconds] = (0.5, 1.5)


class QuestionKind:
    """See the module."""

    name = "question"
    control = "scripted"
    block: type[ScenarioBlock] = QuestionBlock
    metrics: tuple[MetricSpec, ...] = LATENCY_METRICS

    def plan(self, block: Any, context: PlanContext) -> list[Plan]:
        """One plan per utterance (rotate) or per utterance and condition (cross)."""
        cells = self.cells(block)
        items = context.stimuli.pick(
            kind=_as_tuple(block.pick.kind),
            voice=None if block.pick.voice is None else _as_tuple(block.pick.voice),
            per_voice=block.pick.per_voice,
            seed=context.seed,
        )
        plans = []
        for item, cell in _assign(items, cells, block.assign):
            recipe = {
                "stimulus": item.id,
                "lead_s": list(block.lead_s),
                "listen_s": block.listen_s,
                **cell,
            }
            plans.append(Plan(id=f"{item.id}.{_label(cell)}", kind=self.name, recipe=recipe))
        return plans

    def cells(self, block: Any) -> list[dict[str, Any]]:
        """The conditions to deal out."""
        return list(block.conditions.cells())

    def render(self, plan: Plan, context: PlanContext) -> Rendered:
        """Utterance -> rate -> pause -> lead and listening silence -> noise."""
        from sts_eval.stimuli import conditions

        recipe = plan.recipe
        item = context.stimuli.get(recipe["stimulus"])
        seed = derive_seed(context.seed, plan.id)
        rng = np.random.default_rng(seed)
        speech = conditions.change_rate(item.speech(), recipe["rate"])
        spans = [(0.0, speech.size / SAMPLE_RATE_HZ)]
        if recipe.get("pause_s"):
            speech, spans = conditions.insert_pause(speech, recipe["pause_s"])
        lead_s = round(float(rng.uniform(*recipe["lead_s"])), 3)
        lead = seconds_to_samples(lead_s)
        total = lead + speech.size + seconds_to_samples(recipe["listen_s"])
        user = silence(frames_for(total) * FRAME_SAMPLES)
        user[lead : lead + speech.size] = speech
        if recipe["snr_db"] is not None:
            user = conditions.add_noise(
                user,
                kind=recipe["noise"],
                snr_db=recipe["snr_db"],
                speech_spans=[(lead_s + a, lead_s + b) for a, b in spans],
                seed=seed,
                stimuli=context.stimuli,
            )
        user_spans = [Span(start_s=lead_s + a, end_s=lead_s + b, label="user") for a, b in spans]
        return Rendered(_scenario(plan, item, user_spans, context), user)

    def score(self, scenario: Scenario, trace: Trace, heard: Evidence) -> list[Observation]:
        """The observations of the latency metrics."""
        return score_turn(scenario, trace, heard, self.metrics)

    def marks(self, scenario: Scenario, trace: Trace) -> list[Mark]:
        """Pauses, the end of the turn, and the target's own events."""
        marks = [Mark(label="user's turn ends", start_s=scenario.turn_end_s)]
        marks += [
            Mark(label="pause", start_s=p.start_s, end_s=p.end_s, kind="pause")
            for p in scenario.pauses
        ]
        for event in trace.meta.events:
            if event.name == "text":
                continue
            kind: Literal["stage", "event"] = (
                "stage" if event.name.startswith("stage.") else "event"
            )
            known = event.data if trace.meta.batch == 1 else {}  # else its compute is of all rows
            marks.append(Mark(label=_event_label(event.name, known), start_s=event.t_s, kind=kind))
        return marks


class QuestionWithPauseKind(QuestionKind):
    """See the module."""

    name = "question_with_pause"
    block: type[ScenarioBlock] = PauseBlock

    def cells(self, block: Any) -> list[dict[str, Any]]:
        """The conditions, for each pause length."""
        return [
            {**cell, "pause_s": pause_s}
            for pause_s in block.pause_s
            for cell in block.conditions.cells()
        ]


def _as_tuple(value: tuple[str, ...] | str) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _assign(
    items: Sequence[Any], cells: list[dict[str, Any]], how: str
) -> list[tuple[Any, dict[str, Any]]]:
    if how == "cross":
        return list(itertools.product(items, cells))
    dealt: dict[str, int] = {}
    voices = sorted({item.voice for item in items})
    pairs = []
    for item in items:
        turn = dealt.get(item.voice, 0)
        dealt[item.voice] = turn + 1
        # each voice starts at another condition, so that a short deal stays balanced over voices
        offset = voices.index(item.voice) * len(cells) // len(voices)
        pairs.append((item, cells[(turn + offset) % len(cells)]))
    return pairs


def _label(cell: dict[str, Any]) -> str:
    noise = "clean" if cell["snr_db"] is None else f"{cell['noise']}{cell['snr_db']:g}"
    pause = f".pause{cell['pause_s']:g}" if cell.get("pause_s") else ""
    return f"{noise}.rate{cell['rate']:g}{pause}"


def _scenario(plan: Plan, item: Any, spans: list[Span], context: PlanContext) -> Scenario:
    recipe = plan.recipe
    conditions = {
        "voice": item.voice,
        "question": item.kind,
        "snr_db": "clean" if recipe["snr_db"] is None else f"{recipe['snr_db']:g}",
        "noise": recipe["noise"] or "clean",
        "rate": f"{recipe['rate']:g}",
    }
    if recipe.get("pause_s"):
        conditions["pause_s"] = f"{recipe['pause_s']:g}"
    pauses = [
        Span(start_s=before.end_s, end_s=after.start_s, label="pause")
        for before, after in itertools.pairwise(spans)
    ]
    return Scenario(
        id=plan.id,
        kind=plan.kind,
        title=item.text,
        text=item.text,
        conditions=conditions,
        cluster=item.id if context.cluster == "utterance" else item.voice,
        user_spans=spans,
        pauses=pauses,
        turn_end_s=spans[-1].end_s,
        listen_s=recipe["listen_s"],
        expected=item.expected(),
    )


def _event_label(name: str, data: dict[str, Any]) -> str:
    compute_ms = data.get("compute_ms")
    label = name.removeprefix("stage.")
    return f"{label} {compute_ms:.0f} ms" if isinstance(compute_ms, int | float) else label
