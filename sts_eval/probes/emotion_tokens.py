"""Scenario kind of the emotion suite: does a codec keep emotion, and in which of its tokens?

    kind: emotion_tokens
    name: ""                  # of this block, where a suite has several (other codecs or corpora)
    codec: reference          # or encodec, dac, mimi, hf:FOLDER; null: the target's, see below
    codebooks: 8              # the first so many
    semantic: null            # how many of them are semantic; null: what is known of the codec
    pick: {kind: remark, per_voice: 8}    # packaged, where the stimuli folder has no such kind
    tones: []                 # of sts_eval.targets.core.tones(); empty: all
    strength: 1.0
    corpus: null              # or {layout: crema-d, folder: ~/CREMA-D}; then pick and tones are
                              # not used: real recordings need no vocoder
    shuffles: 400             # of the labels, for control and p-value
    perceptron: true

Each scenario is one sentence of one speaker in every emotion. Nothing is played to the target: the
codec encodes the recordings when the run is scored. With `--target codec:name=NAME` and no `codec`
in the block, that codec is probed; otherwise the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sts_eval.metric import MetricSpec
from sts_eval.observation import Observation
from sts_eval.probes import Evidence, PlanContext, PoolContext, Pooled, PoolItem, ScenarioBlock
from sts_eval.probes.emotion_token_corpora import Layout
from sts_eval.probes.emotion_token_plan import plan_block, render_plan
from sts_eval.probes.emotion_token_specs import TOKEN_METRICS
from sts_eval.probes.latency import Pick
from sts_eval.record import Mark, Word
from sts_eval.scenario import Plan, Rendered, Scenario
from sts_eval.trace import Trace


class CorpusFolder(BaseModel):
    """A download; of each speaker and emotion so many texts in so many takes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    layout: Layout
    folder: Annotated[str, Field(min_length=1, max_length=1000)]
    emotions: tuple[str, ...] = ()
    speakers: Annotated[int, Field(ge=1, le=1000)] = 24
    per_emotion: Annotated[int, Field(ge=1, le=1000)] = 12
    takes: Annotated[int, Field(ge=1, le=100)] = 2


class EmotionTokensBlock(ScenarioBlock):
    """One sentence in several emotions, as tokens of a codec: which of them tell the emotion?"""

    kind: Literal["emotion_tokens"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{0,24}$")] = ""
    codec: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    codebooks: Annotated[int, Field(ge=1, le=64)] = 8
    semantic: Annotated[int, Field(ge=0, le=64)] | None = None
    pick: Pick = Pick(kind="remark", per_voice=8)
    tones: tuple[str, ...] = ()
    strength: Annotated[float, Field(gt=0, le=2)] = 1.0
    corpus: CorpusFolder | None = None
    shuffles: Annotated[int, Field(ge=19, le=10_000)] = 400
    perceptron: bool = True


class EmotionTokensKind:
    """See the module."""

    name = "emotion_tokens"
    block: type[ScenarioBlock] = EmotionTokensBlock
    metrics: tuple[MetricSpec, ...] = TOKEN_METRICS

    def plan(self, block: Any, context: PlanContext) -> list[Plan]:
        """One plan per sentence of each speaker. Raises ValueError: no corpus, no such codec."""
        plans = plan_block(block, self.name, context)
        if block.codec is not None:
            self._check_codec(block)
        return plans

    def _check_codec(self, block: Any) -> None:
        from sts_eval.probes.emotion_token_features import load_tokenizer
        from sts_eval.target import TargetError

        try:
            load_tokenizer(block.codec, block.codebooks, block.semantic)
        except TargetError as error:
            raise ValueError(f"emotion_tokens: {error}") from error

    def render(self, plan: Plan, context: PlanContext) -> Rendered:
        """See `emotion_token_plan`."""
        return render_plan(plan, context)

    def known_words(self, scenario: Scenario) -> tuple[Word, ...]:
        """None: nobody speaks on the agent's track, so no recogniser listens to it."""
        return ()

    def score(self, scenario: Scenario, trace: Trace, heard: Evidence) -> list[Observation]:
        """Nothing: one sentence says nothing by itself (`pool`)."""
        return []

    def marks(self, scenario: Scenario, trace: Trace) -> list[Mark]:
        """Which emotion is heard when."""
        return [
            Mark(label=span.label, start_s=span.start_s, end_s=span.end_s, kind="measure")
            for span in scenario.user_spans
            if span.label
        ]

    def pool(self, items: Sequence[PoolItem], context: PoolContext) -> Pooled:
        """All metrics and the section of the report."""
        from sts_eval.probes.emotion_token_pool import pool_items

        return pool_items(items, context)
