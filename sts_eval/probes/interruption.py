"""Scenario kind of the interruption suite: the user does something while the agent speaks.

    kind: interruption
    event: barge_in            # stop, correction, backchannel, vocal_tic, side_talk,
                               # background_speech, pause
    agent: speaking            # or `silent`: the event comes out of silence, without a request
    pick: {kind: long, per_voice: 6}
    at_s: [0.6, 2.5, 5.0]      # after the agent's first audible sound: early, middle, late
    times: 1                   # barge_in: so many of them, each into the answer to the last one
    again_at_s: 0.5            # ... so long after the agent has begun that answer
    listen_s: 5

The user asks something with a long answer (`pick`); the agent begins to answer within `patience_s`;
`at_s` later the event happens (`sts_eval.user`). The requests are dealt round the `at_s`. With a
silent agent nothing is asked, the event comes `at_s` after the start, and `pick` only says how many
events each voice makes.

A `correction` follows a sum (`pick: {kind: arithmetic}`): while the agent answers it, or right
after, the user objects and says the sum as it was meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from sts_eval.metric import MetricSpec
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
from sts_eval.probes.interruption_curve import operating_section
from sts_eval.probes.interruption_events import (
    correction_audio,
    correction_stimuli,
    event_audio,
    event_stimulus,
)
from sts_eval.probes.interruption_pause import LEAD_S, PAUSE, dealt, pause_plans, render_pause
from sts_eval.probes.interruption_score import (
    CORRECTION,
    DIRECTED,
    REQUEST,
    event_spans,
    score_event,
)
from sts_eval.probes.interruption_specs import INTERRUPTION_METRICS, SELECTIVITY, YIELD_1S
from sts_eval.probes.latency import Pick
from sts_eval.record import Mark
from sts_eval.scenario import Plan, Rendered, Scenario
from sts_eval.stimuli import Stimuli, Stimulus
from sts_eval.target import Samples
from sts_eval.trace import Span, Trace, silence
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_for, seconds_to_samples
from sts_eval.user import Cue, ReactiveUser
from sts_eval.wording import interval_words, quantity_words

AtSeconds = Annotated[float, Field(ge=0.2, le=30)]


class InterruptionBlock(ScenarioBlock):
    """See the module."""

    kind: Literal["interruption"]
    event: Literal[
        "barge_in",
        "stop",
        "correction",
        "backchannel",
        "vocal_tic",
        "side_talk",
        "background_speech",
        "pause",
    ]
    agent: Literal["speaking", "silent"] = "speaking"
    pick: Pick
    at_s: tuple[AtSeconds, ...] = ()
    pause_s: tuple[Annotated[float, Field(gt=0, le=10)], ...] = ()
    times: Annotated[int, Field(ge=1, le=4)] = 1
    again_at_s: AtSeconds = 0.5
    patience_s: Annotated[float, Field(gt=0, le=30)] = 3.0

    @model_validator(mode="after")
    def _has_a_metric(self) -> InterruptionBlock:
        if self.times > 1 and self.event != REQUEST:
            raise ValueError(f"only barge_in comes {self.times} times, not {self.event}")
        if self.event == CORRECTION and self.pick.kind not in ("arithmetic", ("arithmetic",)):
            raise ValueError("a correction follows a sum: pick {kind: arithmetic}")
        if self.agent == "silent" and self.event in DIRECTED:
            raise ValueError(f"{self.event} is for the agent: out of silence it is no interruption")
        if self.event == PAUSE and self.agent != "silent":
            raise ValueError("the agent listens while the user pauses: agent: silent")
        wanted, other = ("pause_s", "at_s") if self.event == PAUSE else ("at_s", "pause_s")
        if not getattr(self, wanted) or getattr(self, other):
            raise ValueError(f"{self.event} needs {wanted}, and takes no {other}")
        return self


class InterruptionKind:
    """See the module."""

    name = "interruption"
    control = "scripted_duplex"
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
        if block.event == PAUSE:
            return pause_plans(self.name, block, requests)
        plans = []
        for item, turn, at_s in dealt(requests, block.at_s):
            recipe = {
                "request": item.id,
                "event": block.event,
                "agent": block.agent,
                "stimuli": _stimuli_of(block, item, turn, stimuli, seed),
                "at_s": at_s,
                "again_at_s": block.again_at_s,
                "patience_s": block.patience_s,
                "listen_s": block.listen_s,
            }
            again = f".x{block.times}" if block.times > 1 else ""
            name = f"{item.id}.{block.event}.{block.agent}.{at_s:g}{again}"
            plans.append(Plan(id=name, kind=self.name, recipe=recipe))
        return plans

    def render(self, plan: Plan, context: PlanContext) -> Rendered:
        """Lead, request, silence; and the user who will put the events into it."""
        if plan.recipe["event"] == PAUSE:
            return render_pause(plan, context)
        recipe = plan.recipe
        event, speaking = recipe["event"], recipe["agent"] == "speaking"
        request = context.stimuli.get(recipe["request"])
        said = [None if name is None else context.stimuli.get(name) for name in recipe["stimuli"]]
        asked = request.speech()
        rng = np.random.default_rng(derive_seed(context.seed, plan.id))
        cues = _cues(recipe, said, asked, rng)
        lead = seconds_to_samples(LEAD_S)
        end_s = LEAD_S + (asked.size / SAMPLE_RATE_HZ if speaking else 0.0)
        # an agent may take its patience before each event that waits for it
        waits_s = sum(cue.at_s + (recipe["patience_s"] if speaking else 0.0) for cue in cues)
        sounds = sum(cue.audio.size for cue in cues)
        total = seconds_to_samples(end_s + waits_s + recipe["listen_s"]) + sounds
        user = silence(frames_for(total) * FRAME_SAMPLES)
        if speaking:
            user[lead : lead + asked.size] = asked
        react = ReactiveUser(user, cues, from_s=end_s, room_s=recipe["listen_s"])
        text = " / ".join([*([request.text] if speaking else []), *(cue.text for cue in cues)])
        times = {"barge_ins": str(len(cues))} if len(cues) > 1 else {}
        expected = said[-1].expected() if said[-1] and event in (REQUEST, CORRECTION) else {}
        scenario = Scenario(
            id=plan.id,
            kind=plan.kind,
            title=text,
            text=text,
            conditions={
                "voice": request.voice,
                "event": event,
                "agent": recipe["agent"],
                "at_s": f"{recipe['at_s']:g}",
                **times,
            },
            cluster=request.id if context.cluster == "utterance" else request.voice,
            user_spans=[Span(start_s=LEAD_S, end_s=end_s, label="user")] if speaking else [],
            turn_end_s=end_s,
            listen_s=recipe["listen_s"],
            expected=expected,
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
        marks += [
            Mark(label="pause", start_s=p.start_s, end_s=p.end_s, kind="pause")
            for p in scenario.pauses
        ]
        for event in event_spans(trace.meta):
            label = event.label.replace("_", " ")
            marks.append(Mark(label=label, start_s=event.start_s, end_s=event.end_s))
        own = (e for e in trace.meta.events if e.source == "agent" and e.name != "text")
        for reported in own:
            stage = reported.name.startswith("stage.")
            label = reported.name.removeprefix("stage.")
            kind: Literal["stage", "event"] = "stage" if stage else "event"
            marks.append(Mark(label=f"agent: {label}", start_s=reported.t_s, kind=kind))
        return marks

    def pool(self, items: Sequence[PoolItem], context: PoolContext) -> Pooled:
        """The operating curve of an end-pointer on the same events, and where the agent lies."""
        return Pooled(sections=[operating_section(items, context.seed)])

    def notes(self, observations: Sequence[Observation]) -> list[str]:
        """Yield and selectivity as the one operating point they are."""
        return [operating_point(observations)]


def _stimuli_of(
    block: InterruptionBlock, request: Stimulus, turn: int, stimuli: Stimuli, seed: int
) -> list[str | None]:
    """Ids of what the user says in the event; a correction has two parts."""
    if block.event == CORRECTION:
        return [*correction_stimuli(request, turn, stimuli, seed)]
    return [
        event_stimulus(block.event, request.voice, turn + nth, stimuli, seed)
        for nth in range(block.times)
    ]


def _cues(
    recipe: dict[str, Any],
    said: Sequence[Stimulus | None],
    asked: Samples,
    rng: np.random.Generator,
) -> list[Cue]:
    event, speaking = recipe["event"], recipe["agent"] == "speaking"
    if event == CORRECTION:
        objection, corrected = said
        assert objection is not None
        assert corrected is not None
        sound = correction_audio(objection, corrected)
        return [Cue(event, sound, recipe["at_s"], f"{objection.text} {corrected.text}")]
    cues = []
    for nth, item in enumerate(said):
        sound = event_audio(event, item, asked, rng)
        text = f"({event.replace('_', ' ')})" if item is None else item.text
        at_s = recipe["again_at_s"] if nth else recipe["at_s"]
        cues.append(Cue(event, sound, at_s, text, after_agent=speaking))
    return cues


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
