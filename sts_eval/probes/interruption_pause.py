"""The one event of the interruption suite that is no sound: a pause inside the user's turn.

The agent has not spoken yet; the user asks something, stops at the utterance's point of lowest
energy for `pause_s`, and goes on. Unlike the other events its time does not depend on the agent, so
that it stands in the scenario (`pauses`) and the user does not react.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from sts_eval.probes import PlanContext
from sts_eval.scenario import Plan, Rendered, Scenario
from sts_eval.stimuli import Stimulus, conditions
from sts_eval.trace import Span, silence
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_for, seconds_to_samples

PAUSE = "pause"
LEAD_S = 0.5  # of silence before the user's first sound


def dealt(
    requests: Sequence[Stimulus], values_s: Sequence[float]
) -> Iterator[tuple[Stimulus, int, float]]:
    """Each request with its number among those of its voice, and the time it takes, in seconds.

    Each voice starts at another time, so that few requests still cover all of them.
    """
    turns = dict.fromkeys((item.voice for item in requests), 0)
    voices = sorted(turns)
    for item in requests:
        turn = turns[item.voice]
        turns[item.voice] = turn + 1
        yield item, turn, values_s[(turn + voices.index(item.voice)) % len(values_s)]


def pause_plans(kind: str, block: Any, requests: Sequence[Stimulus]) -> list[Plan]:
    """One plan per request; those of a voice are dealt round the lengths of the pause."""
    plans = []
    for item, _, pause_s in dealt(requests, block.pause_s):
        recipe = {
            "request": item.id,
            "event": PAUSE,
            "pause_s": pause_s,
            "listen_s": block.listen_s,
        }
        plans.append(Plan(id=f"{item.id}.{PAUSE}.{pause_s:g}", kind=kind, recipe=recipe))
    return plans


def render_pause(plan: Plan, context: PlanContext) -> Rendered:
    """Lead, request with its pause, silence to listen in."""
    recipe = plan.recipe
    request = context.stimuli.get(recipe["request"])
    speech, parts = conditions.insert_pause(request.speech(), recipe["pause_s"])
    lead = seconds_to_samples(LEAD_S)
    total = lead + speech.size + seconds_to_samples(recipe["listen_s"])
    user = silence(frames_for(total) * FRAME_SAMPLES)
    user[lead : lead + speech.size] = speech
    spans = [Span(start_s=LEAD_S + a, end_s=LEAD_S + b, label="user") for a, b in parts]
    scenario = Scenario(
        id=plan.id,
        kind=plan.kind,
        title=request.text,
        text=request.text,
        conditions={
            "voice": request.voice,
            "event": PAUSE,
            "agent": "silent",
            "pause_s": f"{recipe['pause_s']:g}",
        },
        cluster=request.id if context.cluster == "utterance" else request.voice,
        user_spans=spans,
        pauses=[
            Span(start_s=before.end_s, end_s=after.start_s, label="pause")
            for before, after in itertools.pairwise(spans)
        ],
        turn_end_s=LEAD_S + speech.size / SAMPLE_RATE_HZ,
        listen_s=recipe["listen_s"],
    )
    return Rendered(scenario, user)
