"""Scenario kind `full_duplex_bench`: the items of a downloaded Full-Duplex-Bench folder.

    kind: full_duplex_bench
    folder: ~/data/full-duplex-bench     # only to drive the user side into a live target
    tasks: [candor_turn_taking]          # default: every task folder that is there
    listen_s: 6

With `--target recorded:path=FOLDER` the outputs in FOLDER are scored and `folder` is not needed.
With any other target the `input.wav` of each item is pushed and what comes back is as long as it,
as in the benchmark; `output.wav` and `output.json` in the folder are then ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from sts_eval.metric import MetricSpec
from sts_eval.observation import Observation
from sts_eval.probes import Evidence, PlanContext, ScenarioBlock
from sts_eval.probes.full_duplex_bench_files import (
    TASKS,
    V15_TASKS,
    Item,
    find_items,
    read_facts,
    read_output,
    words_of,
)
from sts_eval.probes.full_duplex_bench_score import disagreement_notes, score_item, word_notes
from sts_eval.probes.full_duplex_bench_specs import FDB_METRICS
from sts_eval.record import Mark, Word
from sts_eval.scenario import Plan, Rendered, Scenario
from sts_eval.target import Samples, TargetError
from sts_eval.trace import SCHEMA, Span, Trace, TraceMeta, padded, silence
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_for

Task = Literal[
    "candor_pause_handling",
    "synthetic_pause_handling",
    "candor_turn_taking",
    "icc_backchannel",
    "synthetic_user_interruption",
    "user_interruption",
    "user_backchannel",
    "talking_to_other",
    "background_speech",
]


class FullDuplexBenchBlock(ScenarioBlock):
    """Items of a downloaded Full-Duplex-Bench v1.0 / v1.5 folder."""

    kind: Literal["full_duplex_bench"]
    folder: str | None = None
    tasks: tuple[Task, ...] = ()


class FullDuplexBenchKind:
    """See the module."""

    name = "full_duplex_bench"
    block: type[ScenarioBlock] = FullDuplexBenchBlock
    metrics: tuple[MetricSpec, ...] = FDB_METRICS

    def plan(self, block: Any, context: PlanContext) -> list[Plan]:
        """One plan per item of `folder`. Raises ValueError without one."""
        if block.folder is None:
            raise ValueError(
                "full_duplex_bench: score recorded outputs with --target recorded:path=FOLDER, or"
                " give the block `folder:` to drive its user side into this target"
            )
        root = Path(block.folder).expanduser().resolve()
        try:
            return self._plans(block, root, {"root": str(root)})
        except (OSError, TargetError) as error:
            raise ValueError(f"full_duplex_bench: {error}") from error

    def plan_recordings(self, block: Any, root: Path) -> list[Plan]:
        """One plan per item of a folder with recorded outputs. Raises TargetError."""
        return self._plans(block, root, {})

    def _plans(self, block: Any, root: Path, recipe: dict[str, Any]) -> list[Plan]:
        items = [i for i in find_items(root) if not block.tasks or i.task in block.tasks]
        if not items:
            wanted = ", ".join(block.tasks or TASKS)
            raise TargetError(f"{root.name}: no items (<id>/input.wav) in a task folder: {wanted}")
        return [
            Plan(
                id=item.id,
                kind=self.name,
                recipe={
                    **recipe,
                    "task": item.task,
                    "item": str(item.folder.relative_to(root)),
                    "listen_s": block.listen_s,
                },
            )
            for item in items
        ]

    def render(self, plan: Plan, context: PlanContext) -> Rendered:
        """The item's input.wav; of an unreadable item a scenario that is scored as an error."""
        from sts_eval.audio import AudioError, load_audio

        root = Path(plan.recipe["root"])
        item = _item(plan, root)
        try:
            audio = load_audio(item.folder / "input.wav")
            scenario = item_scenario(plan, read_facts(item, root), audio)
        except (AudioError, TargetError, OSError) as error:
            return Rendered(_broken(plan, str(error)), silence(FRAME_SAMPLES))
        return Rendered(scenario, padded(audio, frames_for(audio.size) * FRAME_SAMPLES))

    def read_recording(self, plan: Plan, root: Path) -> Trace:
        """An item with its recorded output as a trace; an unreadable one as an error trace."""
        from sts_eval.audio import AudioError, load_audio

        item = _item(plan, root)
        meta = TraceMeta(schema=SCHEMA, scenario={}, clock="recorded", seed=0)
        try:
            if not (item.folder / "output.wav").exists():
                raise TargetError("no output.wav: the model's side is missing")
            user = load_audio(item.folder / "input.wav")
            agent = load_audio(item.folder / "output.wav")
            facts = {**read_facts(item, root), **read_output(item)}
            scenario = item_scenario(plan, facts, user)
        except (AudioError, TargetError, OSError) as error:
            meta.status, meta.error = "error", f"recording: {error}"
            scenario = _broken(plan, meta.error)
            user = agent = silence(FRAME_SAMPLES)
        size = frames_for(max(user.size, agent.size)) * FRAME_SAMPLES
        meta.scenario = scenario.model_dump(mode="json")
        meta.seconds = size / SAMPLE_RATE_HZ
        return Trace(meta=meta, user=padded(user, size), agent=padded(agent, size))

    def score(self, scenario: Scenario, trace: Trace, heard: Evidence) -> list[Observation]:
        """The observations of both scorers."""
        return score_item(scenario, trace, heard, self.metrics)

    def marks(self, scenario: Scenario, trace: Trace) -> list[Mark]:
        """The annotated event, the pauses and the end of the turn."""
        marks = [
            Mark(label="annotated pause", start_s=p.start_s, end_s=p.end_s, kind="pause")
            for p in scenario.pauses
        ]
        event = scenario.expected.get("event_s")
        if event:
            marks.append(Mark(label="annotated event", start_s=event[0], end_s=event[1]))
        if not event and "turn_end_s" in scenario.expected:
            marks.append(Mark(label="annotated end", start_s=scenario.turn_end_s))
        return marks

    def known_words(self, scenario: Scenario) -> tuple[Word, ...] | None:
        """The words of output.json, so that no ASR judge has to hear the item; v1.5 needs none."""
        words = words_of(scenario.expected)
        if words is None:
            return () if scenario.conditions.get("words") == "none needed" else None
        return tuple(
            Word(text=w.text, start_s=w.start_s, end_s=w.start_s if w.end_s is None else w.end_s)
            for w in words
            if w.start_s is not None
        )

    def notes(self, observations: Sequence[Observation]) -> list[str]:
        """What the page says above the numbers: whose words, and where the scorers disagree."""
        return [*word_notes(observations), *disagreement_notes(observations)]


def item_scenario(plan: Plan, facts: dict[str, Any], user: Samples) -> Scenario:
    """The scenario of an item. user: float32 [S] at 24 kHz. Raises TargetError without speech.

    facts: see `read_facts` and `read_output`. The user's speech is found by the VAD judge.
    """
    from sts_eval.judges import load_vad
    from sts_eval.judges.cache import cached

    vad = load_vad("silero")
    spans = cached(vad, user, lambda: vad.speech_spans(user))
    end_s = float(facts.get("turn_end_s", max((end for _, end in spans), default=0.0)))
    spoken = [Span(start_s=a, end_s=min(b, end_s), label="user") for a, b in spans if a < end_s]
    if not spoken:
        raise TargetError("no speech of the user was found")
    judged = "none needed" if facts["task"] in V15_TASKS else "ASR judge"
    return Scenario(
        id=plan.id,
        kind=plan.kind,
        title=plan.id,
        conditions={
            "task": facts["task"],
            "words": "output.json" if "words" in facts else judged,
        },
        cluster=plan.id,
        user_spans=spoken,
        pauses=[Span(start_s=a, end_s=b, label="pause") for a, b in facts.get("pauses", [])],
        turn_end_s=end_s,
        listen_s=float(plan.recipe["listen_s"]),
        expected=facts,
    )


def _item(plan: Plan, root: Path) -> Item:
    return Item(plan.recipe["task"], plan.id, root / plan.recipe["item"])


def _broken(plan: Plan, error: str) -> Scenario:
    """The scenario of an item that cannot be read; scored as an error."""
    return Scenario(
        id=plan.id,
        kind=plan.kind,
        title=plan.id,
        conditions={"task": plan.recipe["task"], "words": "none needed"},
        cluster=plan.id,
        user_spans=[Span(start_s=0.0, end_s=0.01)],
        turn_end_s=0.01,
        listen_s=float(plan.recipe["listen_s"]),
        expected={"error": error},
    )
