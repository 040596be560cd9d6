"""Scenario kind of the interruption suite: the user does something while the agent speaks.

    kind: interruption
    event: barge_in            # stop, backchannel, vocal_tic, side_talk, background_speech
    agent: speaking            # or `silent`: the event comes out of silence, without a request
    pick: {kind: long, per_voice: 6}
    at_s: [0.6, 2.5, 5.0]      # after the agent's first audible sound: early, middle, late
    listen_s: 5

The user asks something with a long answer (`pick`); the agent begins to answer within `patience_s`;
`at_s` later the event happens (`sts_eval.user`). The requests are dealt round the `at_s`. With a
silent agent nothing is asked, the event comes `at_s` after the start, and `pick` only says how many
events each voice makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from sts_eval.metric import MetricSpec
from sts_eval.observation import Observation
from sts_eval.probes import Evidence, PlanContext, ScenarioBlock, derive_seed
from sts_eval.probes.interruption_events import event_audio, event_stimulus
from sts_eval.probes.interruption_score import DIRECTED, REQUEST, event_span, score_event
from sts_eval.probes.interruption_specs import INTERRUPTION_METRICS, SELECTIVITY, YIELD_1S
from sts_eval.probes.latency import Pick
from sts_eval.record import Mark
from sts_eval.scenario import Plan, Rendered, Scenario
from sts_eval.trace import Span, Trace, silence
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_for, seconds_to_samples
from sts_eval.user import Cue, ReactiveUser
from sts_eval.wording import interval_words, quantity_words

LEAD_S = 0.5

AtSeconds = Annotated[float, Field(ge=0.2, le=30)]


class InterruptionBlock(ScenarioBlock):
    """See the module."""

    kind: Literal["interruption"]
    event: Literal["barge_in", "stop", "backchannel", "vocal_tic", "side_talk", "background_speech"]
    agent: Literal["speaking", "silent"] = "speaking"
    pick: Pick
    at_s: Annotated[tuple[AtSeconds, ...], Field(min_length=1)]
    patience_s: Annotated[float, Field(gt=0, le=30)] = 3.0

    @model_validator(mode="after")
    def _has_a_metric(self) -> InterruptionBlock:
        if self.agent == "silent" and self.event in DIRECTED:
            raise ValueError(f"{self.event} is for the agent: out of silence it is no interruption")
        return self


class InterruptionKind:
    """See the module."""

    name = "interruption"
    block: type[ScenarioBlock] = InterruptionBlock
    metrics: tuple[MetricSpec, ...] = INTERRUPTION_METRICS

    def plan(self, block: Any, context: PlanContext) -> list[Plan]:
        """One plan per request; the n-th of a voice takes the n-th moment and the n-th event."""
        stimuli, seed, pick = context.stimuli, context.seed, block.pick
        requests = stimuli.pick(
            kind=(pick.kind,) if isinstance(pick.kind, str) else pick.kind,
            voice=(pick.voice,) if isinstance(pick.voice, str) else pick.voice,
            per_voice=pick.per_voice,
            seed=derive_seed(seed, block.event, block.agent),
        )
        plans, dealt = [], dict.fromkeys({item.voice for item in requests}, 0)
        voices = sorted(dealt)
        for item in requests:
            turn = dealt[item.voice]
            dealt[item.voice] = turn + 1
            # each voice starts at another moment, so that few requests still cover all of them
            at_s = block.at_s[(turn + voices.index(item.voice)) % len(block.at_s)]
            recipe = {
                "request": item.id,
                "event": block.event,
                "agent": block.agent,
                "stimulus": event_stimulus(block.event, item.voice, turn, stimuli, seed),
                "at_s": at_s,
                "patience_s": block.patience_s,
                "listen_s": block.listen_s,
            }
            name = f"{item.id}.{block.event}.{block.agent}.{at_s:g}"
            plans.append(Plan(id=name, kind=self.name, recipe=recipe))
        return plans

    def render(self, plan: Plan, context: PlanContext) -> Rendered:
        """Lead, request, silence; and the user who will put the event into it."""
        recipe = plan.recipe
        request = context.stimuli.get(recipe["request"])
        stimulus = recipe["stimulus"] and context.stimuli.get(recipe["stimulus"])
        asked = request.speech()
        rng = np.random.default_rng(derive_seed(context.seed, plan.id))
        sound = event_audio(recipe["event"], stimulus, asked, rng)
        text = f"({recipe['event'].replace('_', ' ')})" if stimulus is None else stimulus.text
        speaking = recipe["agent"] == "speaking"
        lead = seconds_to_samples(LEAD_S)
        end_s = LEAD_S + (asked.size / SAMPLE_RATE_HZ if speaking else 0.0)
        wait_s = recipe["at_s"] + (recipe["patience_s"] if speaking else 0.0)
        total = seconds_to_samples(end_s + wait_s + recipe["listen_s"]) + sound.size
        user = silence(frames_for(total) * FRAME_SAMPLES)
        if speaking:
            user[lead : lead + asked.size] = asked
        cue = Cue(recipe["event"], sound, recipe["at_s"], text, after_agent=speaking)
        react = ReactiveUser(user, cue, from_s=end_s, room_s=recipe["listen_s"])
        scenario = Scenario(
            id=plan.id,
            kind=plan.kind,
            title=f"{request.text} / {text}" if speaking else text,
            text=f"{request.text} / {text}" if speaking else text,
            conditions={
                "voice": request.voice,
                "event": recipe["event"],
                "agent": recipe["agent"],
                "at_s": f"{recipe['at_s']:g}",
            },
            cluster=request.id if context.cluster == "utterance" else request.voice,
            user_spans=[Span(start_s=LEAD_S, end_s=end_s, label="user")] if speaking else [],
            turn_end_s=end_s,
            listen_s=recipe["listen_s"],
            expected=stimulus.expected() if stimulus and recipe["event"] == REQUEST else {},
        )
        return Rendered(scenario, user, react.hear)

    def score(self, scenario: Scenario, trace: Trace, heard: Evidence) -> list[Observation]:
        """The observations of the interruption metrics."""
        return score_event(scenario, trace, heard)

    def marks(self, scenario: Scenario, trace: Trace) -> list[Mark]:
        """The event as it was played, and what the target says of itself."""
        marks = []
        if scenario.user_spans:
            marks.append(Mark(label="user's turn ends", start_s=scenario.turn_end_s))
        event = event_span(trace.meta)
        if event is not None:
            label = event.label.replace("_", " ")
            marks.append(Mark(label=label, start_s=event.start_s, end_s=event.end_s))
        own = (e for e in trace.meta.events if e.source == "agent" and e.name != "text")
        for reported in own:
            stage = reported.name.startswith("stage.")
            label = reported.name.removeprefix("stage.")
            kind: Literal["stage", "event"] = "stage" if stage else "event"
            marks.append(Mark(label=f"agent: {label}", start_s=reported.t_s, kind=kind))
        return marks

    def notes(self, observations: Sequence[Observation]) -> list[str]:
        """Yield and selectivity as the one operating point they are."""
        return [operating_point(observations)]


def operating_point(observations: Sequence[Observation]) -> str:
    """One sentence; a share that was not measured says so."""
    from sts_eval.stats import estimate

    shares = []
    for spec in (YIELD_1S, SELECTIVITY):
        found = estimate(observations, spec, "rate", seed=0)
        value = quantity_words(found.value, found.unit, share=True)
        interval = interval_words(found.lo, found.hi, found.unit, share=True)
        measured = f"{interval}, n = {found.n}" if found.value is not None else found.reason
        shares.append(f"{value} ({measured})")
    return (
        f"Operating point: barge-ins yielded to within 1 s {shares[0]}; other sounds not thrown"
        f" off by {shares[1]}. Either alone can be had for nothing: by stopping always, or never."
    )
