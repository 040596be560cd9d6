"""Scenario kind of the emotion suite: the same words in different tones of voice.

    kind: tone_reply
    design: tones             # or words_by_tone
    pick: {kind: remark, per_voice: 8}
    replies: reference        # none, or FILE.yaml: tone -> list of sentences
    same_loudness: false      # true: all tones at the loudness of the neutral recording

`tones`: each sentence in every tone, and once more in one of them with other details (the control).
`words_by_tone`: sentences with glad or unhappy words (manifest field `valence`), each in the happy
tone and in the sad or the angry one, so that words and tone agree in half of the scenarios.

The tone is made of a neutral recording (`sts_eval.targets.core.apply_tone`); neutral passes through
the same vocoder. Kinds that the stimuli folder lacks are taken from the packaged remarks. `replies`
says which sentences the agent was made to answer each tone with; for an agent without such lists
(`none`) it is only measured whether the reply changes. Loudness alone tells these tones apart;
with `same_loudness` an agent has to hear pitch, rate or timbre.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from sts_eval.audio import active_level_dbfs
from sts_eval.metric import MetricSpec
from sts_eval.metrics.tone_reply import VALENCE
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
from sts_eval.probes.emotion_reply_specs import EMOTION_REPLY_METRICS, REPLIED
from sts_eval.probes.latency import Pick
from sts_eval.probes.latency_score import Observer
from sts_eval.record import Mark
from sts_eval.registry import nearest
from sts_eval.scenario import Plan, Rendered, Scenario
from sts_eval.stimuli import Stimulus
from sts_eval.trace import Span, Trace, silence
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_for, seconds_to_samples

LEAD_S = 0.5
MANY = 10_000  # sentences of a voice: all it has
VALENCES = tuple(sorted(set(VALENCE.values())))
MAX_REPLIES = 200
MAX_REPLY_CHARS = 300
Design = Literal["tones", "words_by_tone"]


class ToneReplyBlock(ScenarioBlock):
    """See the module."""

    kind: Literal["tone_reply"]
    design: Design
    pick: Pick
    replies: Annotated[str, Field(min_length=1, max_length=500)] = "reference"
    same_loudness: bool = False


class ToneReplyKind:
    """See the module."""

    name = "tone_reply"
    control = "scripted_empath"
    block: type[ScenarioBlock] = ToneReplyBlock
    metrics: tuple[MetricSpec, ...] = EMOTION_REPLY_METRICS

    def plan(self, block: Any, context: PlanContext) -> list[Plan]:
        """One plan per rendition, tone by tone over all sentences: every n-th plan is then a whole
        design of every n-th sentence, when n divides their number. Raises ValueError."""
        pick = block.pick
        crossed = block.design == "words_by_tone"
        items = context.stimuli.with_remarks().pick(
            kind=(pick.kind,) if isinstance(pick.kind, str) else pick.kind,
            voice=(pick.voice,) if isinstance(pick.voice, str) else pick.voice,
            per_voice=MANY if crossed else pick.per_voice,
            seed=derive_seed(context.seed, block.design),
        )
        _check_valence(items, needed=crossed)
        rows = _crossed(items, pick.per_voice) if crossed else _every_tone(items)
        common = {"design": block.design, "listen_s": block.listen_s}
        common |= {"same_loudness": block.same_loudness, "source": block.replies}
        common["replies"] = load_replies(block.replies)
        return [
            Plan(
                id=f"{item.id}.{block.design}.{tone}{take}",
                kind=self.name,
                recipe={"stimulus": item.id, "tone": tone, "take": take, **common},
            )
            for item, tone, take in rows
        ]

    def render(self, plan: Plan, context: PlanContext) -> Rendered:
        """Lead, sentence in its tone, silence. Raises MissingDependencyError, AudioError."""
        from sts_eval.targets.core import apply_tone

        recipe = plan.recipe
        item = context.stimuli.with_remarks().get(recipe["stimulus"])
        rng = np.random.default_rng(derive_seed(context.seed, plan.id))
        neutral = item.speech()
        speech = apply_tone(neutral, recipe["tone"], rng)
        if recipe["same_loudness"]:
            change_db = active_level_dbfs(neutral) - active_level_dbfs(speech)
            speech = np.clip(speech * np.float32(10 ** (change_db / 20)), -1.0, 1.0)
        end_s = LEAD_S + speech.size / SAMPLE_RATE_HZ
        total = seconds_to_samples(end_s + recipe["listen_s"])
        user = silence(frames_for(total) * FRAME_SAMPLES)
        lead = seconds_to_samples(LEAD_S)
        user[lead : lead + speech.size] = speech
        return Rendered(_scenario(plan, item, end_s, context), user)

    def score(self, scenario: Scenario, trace: Trace, heard: Evidence) -> list[Observation]:
        """Whether there was a reply; the rest needs the other tones of the sentence (`pool`)."""
        observer = Observer(scenario)
        if trace.meta.status == "error":
            observer.error(REPLIED, trace.meta.error or "the scenario failed")
        elif heard.words is None:
            observer.unmeasured(REPLIED, heard.asr_error or "no ASR judge ran")
        else:
            from_s = scenario.user_spans[0].start_s
            said = any(word.start_s >= from_s for word in heard.words)
            observer.value(REPLIED, float(said), (from_s, trace.meta.seconds))
        return observer.made

    def pool(self, items: Sequence[PoolItem], context: PoolContext) -> Pooled:
        """All other metrics and the section of the report."""
        from sts_eval.probes.emotion_reply_pool import pool_replies

        return pool_replies(items, context)

    def marks(self, scenario: Scenario, trace: Trace) -> list[Mark]:
        """The end of the remark."""
        return [Mark(label="user's turn ends", start_s=scenario.turn_end_s)]


def _check_valence(items: Sequence[Stimulus], *, needed: bool) -> None:
    for item in items:
        found = item.fields.get("valence")
        if found not in VALENCES and (needed or found is not None):
            known = " or ".join(VALENCES)
            raise ValueError(f"stimulus {item.id!r}: its valence is {found!r}, expected {known}")


def _every_tone(items: Sequence[Stimulus]) -> list[tuple[Stimulus, str, int]]:
    """Every sentence in each tone; the repeated tone goes round from sentence to sentence."""
    from sts_eval.targets.core import tones

    known = tones()
    rows = [(item, tone, 1) for tone in known for item in items]
    return rows + [(item, known[n % len(known)], 2) for n, item in enumerate(items)]


def _crossed(items: Sequence[Stimulus], per_voice: int) -> list[tuple[Stimulus, str, int]]:
    """Glad and unhappy words in glad and unhappy tones, as many of the one as of the other."""
    rows = []
    for number, voice in enumerate(sorted({item.voice for item in items})):
        by_words = {words: _worded(items, voice, words) for words in VALENCES}
        most = min(per_voice // 2, *map(len, by_words.values()))
        # by turns, and another turn in the next voice: no sentence is bound to one unhappy tone
        rows += [
            (item, ("sad", "angry")[(place + number) % 2], 1)
            for found in by_words.values()
            for place, item in enumerate(found[:most])
        ]
    if not rows:
        raise ValueError("words_by_tone needs two sentences of each voice, one of either valence")
    return [(item, "happy", 1) for item, _, _ in rows] + rows


def _worded(items: Sequence[Stimulus], voice: str, words: str) -> list[Stimulus]:
    return [item for item in items if (item.voice, item.fields["valence"]) == (voice, words)]


def load_replies(source: str) -> dict[str, list[str]]:
    """Lists of replies by tone: the reference's, none, or of a YAML file. Raises ValueError."""
    from sts_eval.targets.core import tone_replies, tones
    from sts_eval.yamlfile import SuiteErrors, read_yaml

    if source == "none":
        return {}
    if source == "reference":
        return tone_replies()
    try:
        data = read_yaml(Path(source)).data
    except SuiteErrors as error:
        raise ValueError(f"replies: {error}") from error
    if not isinstance(data, dict) or not data:
        raise ValueError(f"replies: {source}: expected a mapping of tones to lists of sentences")
    for tone, texts in data.items():
        if tone not in tones():
            raise ValueError(f"replies: {source}: no tone {tone!r}{nearest(str(tone), tones())}")
        _check_list(source, tone, texts)
    if missing := [tone for tone in tones() if tone not in data]:
        raise ValueError(f"replies: {source}: no replies for {', '.join(missing)}")
    return {str(tone): list(texts) for tone, texts in data.items()}


def _check_list(source: str, tone: str, texts: Any) -> None:
    if not isinstance(texts, list) or not 1 <= len(texts) <= MAX_REPLIES:
        raise ValueError(f"replies: {source}: {tone}: expected 1 to {MAX_REPLIES} sentences")
    for text in texts:
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_REPLY_CHARS:
            raise ValueError(f"replies: {source}: {tone}: not a sentence: {str(text)[:60]!r}")


def _scenario(plan: Plan, item: Stimulus, end_s: float, context: PlanContext) -> Scenario:
    recipe = plan.recipe
    tone, words = recipe["tone"], str(item.fields.get("valence", "open"))
    conditions = {"voice": item.voice, "design": recipe["design"], "tone": tone, "words": words}
    if words in VALENCES and tone in VALENCE:
        conditions["agree"] = "yes" if VALENCE[tone] == words else "no"
    conditions["take"] = str(recipe["take"])
    return Scenario(
        id=plan.id,
        kind=plan.kind,
        title=f"{item.text} ({tone})",
        text=item.text,
        conditions=conditions,
        cluster=item.id if context.cluster == "utterance" else item.voice,
        user_spans=[Span(start_s=LEAD_S, end_s=end_s, label="user")],
        turn_end_s=end_s,
        listen_s=recipe["listen_s"],
        expected={key: recipe[key] for key in ("stimulus", "source", "replies")},
    )
