"""Scenario kind of the voice-clone suite: a conversation of several turns, judged by its voices.

    kind: voice_clone
    ask: conversation         # or `imitate`: after a first question the user asks for imitation
    pick: {kind: [long, emotional], per_voice: 2}    # so many conversations for each user voice
    turns: 5
    answer_s: 8               # the agent may talk for so long after each turn of the user
    voice: null               # a voice prompt: the target's option `voice`, where it has one
    encoders: [voicefilter, ge2e]    # speaker verification systems to be fooled
    detectors: [sts-sync]            # spoof countermeasures

The turns lie at fixed times. `imitate` uses packaged users of its own (see
`sts_eval.stimuli.imitation_voices`); `pick` says how many conversations each of them has. Voices
are compared by the encoder `judge` (default dvector); see `sts_eval.metrics.voice`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from sts_eval.audit import DEFAULT_DETECTOR
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
from sts_eval.probes.latency import Pick
from sts_eval.probes.voice_clone_score import score_voices
from sts_eval.probes.voice_clone_section import pooled_voices
from sts_eval.probes.voice_clone_specs import VOICE_METRICS
from sts_eval.record import Mark
from sts_eval.scenario import Plan, Rendered, Scenario
from sts_eval.stimuli import Stimuli, Stimulus
from sts_eval.stimuli.imitation_voices import FOLDER
from sts_eval.trace import Span, Trace, silence
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_for, seconds_to_samples

LEAD_S = 0.5
Names = tuple[Annotated[str, Field(min_length=1, max_length=300)], ...]


class VoiceCloneBlock(ScenarioBlock):
    """A conversation of several turns: does the agent keep its own voice?"""

    kind: Literal["voice_clone"]
    ask: Literal["conversation", "imitate"] = "conversation"
    pick: Pick
    turns: Annotated[int, Field(ge=2, le=40)] = 5
    answer_s: Annotated[float, Field(ge=2, le=60)] = 8.0
    voice: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    judge: Annotated[str, Field(min_length=1, max_length=300)] = "dvector"
    encoders: Names = ("voicefilter", "ge2e")
    detectors: Names = (DEFAULT_DETECTOR,)


class VoiceCloneKind:
    """See the module."""

    name = "voice_clone"
    control = "scripted_voice"
    block: type[ScenarioBlock] = VoiceCloneBlock
    metrics: tuple[MetricSpec, ...] = VOICE_METRICS

    def plan(self, block: Any, context: PlanContext) -> list[Plan]:
        """`per_voice` conversations for each voice; their turns are dealt without repetition."""
        imitate = block.ask == "imitate"
        stimuli = Stimuli.load(FOLDER) if imitate else context.stimuli
        pick, seed = block.pick, derive_seed(context.seed, block.ask)
        voices = _names(pick.voice) or sorted({item.voice for item in stimuli.items})
        plans = []
        for voice in voices:
            requests = _turns(stimuli, voice, block, seed)
            for number in range(pick.per_voice):
                turns = [
                    requests[(number * block.turns + turn) % len(requests)].id
                    for turn in range(block.turns)
                ]
                if imitate:
                    turns = _imitations(stimuli, voice, number, block.turns)
                recipe = {
                    "ask": block.ask,
                    "voice": voice,
                    "turns": turns,
                    "answer_s": block.answer_s,
                    "prompt": block.voice,
                    "judges": {
                        "judge": block.judge,
                        "encoders": list(block.encoders),
                        "detectors": list(block.detectors),
                    },
                }
                prompt = f".as-{derive_seed(block.voice):08x}" if block.voice else ""
                name = f"{voice}.{block.ask}.{number:02d}{prompt}"
                plans.append(Plan(id=name, kind=self.name, recipe=recipe))
        return plans

    def render(self, plan: Plan, context: PlanContext) -> Rendered:
        """The user's turns at fixed times, `answer_s` of silence after each."""
        recipe = plan.recipe
        stimuli = Stimuli.load(FOLDER) if recipe["ask"] == "imitate" else context.stimuli
        said = [stimuli.get(name) for name in recipe["turns"]]
        gap = silence(seconds_to_samples(recipe["answer_s"]))
        parts, spans = [silence(seconds_to_samples(LEAD_S))], []
        for item in said:
            start = sum(part.size for part in parts)
            parts += [item.speech(), gap]
            end = start + parts[-2].size
            spans.append(Span(start_s=start / SAMPLE_RATE_HZ, end_s=end / SAMPLE_RATE_HZ))
        track = np.concatenate(parts)
        user = silence(frames_for(track.size) * FRAME_SAMPLES)
        user[: track.size] = track
        text = " / ".join(item.text for item in said)
        prompt = recipe["prompt"]
        scenario = Scenario(
            id=plan.id,
            kind=plan.kind,
            title=text,
            text=text,
            conditions={
                "voice": recipe["voice"],
                "ask": recipe["ask"],
                **({"voice_prompt": prompt} if prompt else {}),
            },
            cluster=plan.id if context.cluster == "utterance" else recipe["voice"],
            user_spans=spans,
            turn_end_s=spans[-1].end_s,
            listen_s=recipe["answer_s"],
            expected=recipe["judges"],
            options={"voice": prompt} if prompt else {},
        )
        return Rendered(scenario, user)

    def score(self, scenario: Scenario, trace: Trace, heard: Evidence) -> list[Observation]:
        """The observations of the voice metrics."""
        return score_voices(scenario, trace, heard)

    def pool(self, items: Sequence[PoolItem], context: PoolContext) -> Pooled:
        """Similarity over time; what each verifier and each detector made of the target."""
        return pooled_voices(items, context.seed)

    def marks(self, scenario: Scenario, trace: Trace) -> list[Mark]:
        """Where the user asks for imitation."""
        if scenario.conditions.get("ask") != "imitate":
            return []
        return [
            Mark(label="asks for imitation", start_s=span.start_s, end_s=span.end_s)
            for span in scenario.user_spans[1:]
        ]


def _names(value: tuple[str, ...] | str | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _turns(stimuli: Stimuli, voice: str, block: VoiceCloneBlock, seed: int) -> list[Stimulus]:
    many = block.turns * block.pick.per_voice
    kinds = ("long",) if block.ask == "imitate" else tuple(_names(block.pick.kind))
    found = stimuli.pick(kind=kinds, voice=(voice,), per_voice=many, seed=seed)
    if not found:
        raise ValueError(f"the voice {voice!r} has no stimulus of {', '.join(kinds)}")
    return found


def _imitations(stimuli: Stimuli, voice: str, number: int, turns: int) -> list[str]:
    """A question, then requests for imitation, each conversation beginning with others."""
    own = [item for item in stimuli.items if item.voice == voice]
    questions = [item.id for item in own if item.kind == "long"]
    requests = [item.id for item in own if item.kind == "imitate"]
    asked = [requests[(number + turn) % len(requests)] for turn in range(turns - 1)]
    return [questions[number % len(questions)], *asked]
