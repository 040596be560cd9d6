"""Probes: the scenario kinds that a suite can ask for, and how each is rendered and scored.

A kind plans scenarios from its block of the suite file, renders one when it runs, and turns a trace
and what the judges heard into observations. Plug-ins from outside register with `KINDS[name] =
loader`.

A kind may offer more than `Kind` asks for: `notes(observations)`, sentences about a run;
`known_words(scenario)`, a transcript that came with a recording; `control`, the name of a healthy
target, which must pass (`sts-eval selftest`); and `pool` (see `Pools`), an analysis that needs many
traces at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from sts_eval.metric import MetricSpec
from sts_eval.observation import Estimate, Observation
from sts_eval.record import Mark, ScenarioResult, Section, Word
from sts_eval.registry import RegistryError
from sts_eval.scenario import Plan, Rendered, Scenario
from sts_eval.trace import Span, Trace


class ScenarioBlock(BaseModel):
    """What every scenario block of a suite has in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    kind: str
    listen_s: Annotated[float, Field(gt=0, le=60)] = 6.0


@dataclass(frozen=True)
class Evidence:
    """What the judges heard on the agent's track.

    words is None when the ASR judge did not run or failed; `asr_error` says why. second: the same
    from a second ASR judge, if the suite has one.
    """

    agent_spans: tuple[Span, ...]
    words: tuple[Word, ...] | None = None
    text: str = ""
    asr_error: str = ""
    second: tuple[Word, ...] | None = None
    second_error: str = "the suite has no second judge"


@dataclass(frozen=True)
class PlanContext:
    """What planning may depend on besides the block: stimuli, seed, and the cluster rule."""

    stimuli: Any
    seed: int
    cluster: str = "utterance"


class Kind(Protocol):
    """One kind of scenario."""

    name: str
    block: type[ScenarioBlock]
    metrics: tuple[MetricSpec, ...]

    def plan(self, block: Any, context: PlanContext) -> list[Plan]:
        """The scenarios of a block, without audio. Raises ValueError when nothing fits it."""
        ...

    def render(self, plan: Plan, context: PlanContext) -> Rendered:
        """The scenario and its user track."""
        ...

    def score(self, scenario: Scenario, trace: Trace, heard: Evidence) -> list[Observation]:
        """One observation per metric (or per event), measured or with the reason why not."""
        ...

    def marks(self, scenario: Scenario, trace: Trace) -> list[Mark]:
        """What to draw on the timeline besides the spans."""
        ...


@dataclass(frozen=True)
class PoolItem:
    """One scored scenario: what a pooled analysis works on. trace: the trace's JSON file."""

    scenario: Scenario
    trace: Path
    result: ScenarioResult
    observations: list[Observation]


@dataclass(frozen=True)
class PoolContext:
    """What a pooled analysis may depend on besides the traces.

    target: as the target described itself. blocks: the suite's blocks of this kind. judges: the
    names of the suite's judges by role ("asr", "vad", "second").
    """

    seed: int
    target: dict[str, Any]
    blocks: Sequence[ScenarioBlock]
    stimuli: Any
    judges: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pooled:
    """What a pooled analysis found.

    observations: join the run's and are estimated as its metrics say. estimates: finished ones,
    with a method and an interval of their own; they stand in place of what observations would
    give, and gates test their intervals. sections: for the report.
    """

    observations: list[Observation] = field(default_factory=list)
    estimates: list[Estimate] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)


@runtime_checkable
class Pools(Protocol):
    """A kind with a pooled analysis: trained probes, matching, operating curves."""

    name: str

    def pool(self, items: Sequence[PoolItem], context: PoolContext) -> Pooled:
        """Called once per run with all scored scenarios of the kind, errors included.

        What it raises is reported as a failure of the harness; the run is not lost.
        """
        ...


def _latency() -> Kind:
    from sts_eval.probes.latency import QuestionKind

    return QuestionKind()


def _latency_pause() -> Kind:
    from sts_eval.probes.latency import QuestionWithPauseKind

    return QuestionWithPauseKind()


def _full_duplex_bench() -> Kind:
    from sts_eval.probes.full_duplex_bench import FullDuplexBenchKind

    return FullDuplexBenchKind()


def _hallucination() -> Kind:
    from sts_eval.probes.hallucination import HallucinationKind

    return HallucinationKind()


def _interruption() -> Kind:
    from sts_eval.probes.interruption import InterruptionKind

    return InterruptionKind()


def _voice_clone() -> Kind:
    from sts_eval.probes.voice_clone import VoiceCloneKind

    return VoiceCloneKind()


def _overfit() -> Kind:
    from sts_eval.probes.overfit import OverfitKind

    return OverfitKind()


def _tone_reply() -> Kind:
    from sts_eval.probes.emotion_reply import ToneReplyKind

    return ToneReplyKind()


def _emotion_tokens() -> Kind:
    from sts_eval.probes.emotion_tokens import EmotionTokensKind

    return EmotionTokensKind()


KINDS: dict[str, Callable[[], Kind]] = {
    "question": _latency,
    "question_with_pause": _latency_pause,
    "interruption": _interruption,
    "voice_clone": _voice_clone,
    "hallucination": _hallucination,
    "overfit": _overfit,
    "tone_reply": _tone_reply,
    "emotion_tokens": _emotion_tokens,
    "full_duplex_bench": _full_duplex_bench,
}


def plan_all(blocks: Sequence[tuple[Kind, ScenarioBlock]], context: PlanContext) -> list[Plan]:
    """Plan every block. Raises RegistryError on a duplicate id, ValueError as `Kind.plan`."""
    planned: list[Plan] = []
    seen: set[str] = set()
    for kind, block in blocks:
        for plan in kind.plan(block, context):
            if plan.id in seen:
                raise RegistryError(f"two scenarios have the id {plan.id!r}")
            seen.add(plan.id)
            planned.append(plan)
    return planned


def derive_seed(*parts: object) -> int:
    """A 32-bit seed that depends on all parts and on nothing else."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
