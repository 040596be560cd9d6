"""What the voice-clone suite says of many conversations at once: similarity over time, the table of
verifiers and detectors, and whether a voice prompt is followed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from sts_eval.audit import AuditError
from sts_eval.audit.encoders import Vector, load_encoder, similarity, speaker_scale
from sts_eval.metric import MetricSpec
from sts_eval.metrics import voice as measure
from sts_eval.observation import Estimate, Observation
from sts_eval.probes import Pooled, PoolItem
from sts_eval.probes import voice_clone_specs as specs
from sts_eval.record import Chart, Point, Section, Series, Table
from sts_eval.registry import RegistryError
from sts_eval.trace import load_trace
from sts_eval.wording import interval_brackets, quantity_words

TIME_STEP_S = 10.0
RESAMPLES = 2000


def pooled_voices(items: Sequence[PoolItem], seed: int) -> Pooled:
    """The section of the report, and the effect of voice prompts where any were asked for."""
    observations = [each for item in items for each in item.observations]
    section = Section(
        id="voices",
        title="Whose voice, over time",
        paragraphs=[
            "Each point is a mean over the conversations, with its 95 % interval. An agent that"
            " keeps its voice stays high on the upper curve and low on the lower one; where the"
            " curves cross it has become the user. What passes for one voice lies above the"
            " threshold of the encoder.",
        ],
        charts=[_over_time(observations, _judge(items), seed)],
        tables=[_systems(observations, seed)],
    )
    return Pooled(sections=[section], estimates=[_prompt_effect(items, seed)])


def _judge(items: Sequence[PoolItem]) -> str:
    names = [str(item.scenario.expected.get("judge", "dvector")) for item in items]
    return names[0] if names else "dvector"


def _over_time(observations: Sequence[Observation], judge: str, seed: int) -> Chart:
    series = []
    steps: set[float] = set()
    for spec, name in (
        (specs.OWN_SIMILARITY, "to its own first words"),
        (specs.USER_SIMILARITY, "to the user"),
    ):
        of_step: dict[float, list[Observation]] = defaultdict(list)
        for each in observations:
            if each.metric == spec.name and each.value is not None and each.span_s is not None:
                middle_s = sum(each.span_s) / 2
                of_step[(middle_s // TIME_STEP_S + 0.5) * TIME_STEP_S].append(each)
        steps |= set(of_step)
        points = []
        for at_s in sorted(of_step):
            found = _estimate(of_step[at_s], spec, "mean", seed)
            points.append(Point(x=at_s, y=found.value, lo=found.lo, hi=found.hi))
        series.append(Series(name=name, points=points))
    try:
        scale = speaker_scale(judge)
    except (AuditError, RegistryError):
        scale = None
    if scale is not None and steps:
        ends = sorted({min(steps), max(steps)})
        line = [Point(x=at_s, y=scale.threshold) for at_s in ends]
        series.append(Series(name="threshold of the encoder", points=line))
    return Chart(
        kind="line",
        title="Similarity of the agent's voice",
        x_label="time in the conversation, s",
        y_label="cosine",
        series=series,
        note=f"Encoder: {judge}; windows of {measure.WINDOW_S:g} s in steps of {TIME_STEP_S:g} s.",
    )


def _systems(observations: Sequence[Observation], seed: int) -> Table:
    """A row for each verification system and each detector."""
    rows: list[list[str]] = []
    asked = (
        (specs.ACCEPTED, "system", "takes the agent for the user"),
        (specs.HUMAN, "detector", "takes the agent for a human"),
    )
    for spec, key, what in asked:
        own = [each for each in observations if each.metric == spec.name]
        for name in sorted({each.slices[key] for each in own if key in each.slices}):
            found = _estimate([e for e in own if e.slices.get(key) == name], spec, "rate", seed)
            share = quantity_words(found.value, "", share=True)
            cell = f"{share} {interval_brackets(found.lo, found.hi, share=True)}".strip()
            rows.append([name, what, cell, str(found.n)])
        for reason in sorted({each.reason for each in own if each.value is None}):
            rows.append(["", what, f"not measured: {reason}", "0"])
    return Table(
        title="Verification systems and detectors",
        columns=["system", "what it says", "share of conversations", "n"],
        rows=[list(row) for row in rows],
        note="Being hard to tell from a human is no merit; being taken for the user is a risk.",
    )


def _estimate(
    observations: Sequence[Observation], spec: MetricSpec, statistic: str, seed: int
) -> Estimate:
    from sts_eval.stats import estimate

    return estimate(observations, spec, statistic, seed=seed)


def _prompt_effect(items: Sequence[PoolItem], seed: int) -> Estimate:
    """Cosines within one voice prompt against those between different ones."""
    asked = [item for item in items if "voice" in item.scenario.options]
    if not asked:
        return _prompt_estimate(reason="the suite asks for no voice prompt")
    vectors: list[Vector] = []
    prompts: list[str] = []
    reason = "the agent said too little under its voice prompts"
    for item in asked:
        if item.result.status != "ok" or not item.result.agent_spans:
            reason = item.result.error or reason
            continue
        trace, spans = load_trace(item.trace), item.result.agent_spans
        speech = measure.speech_in(trace.agent, spans, 0.0, trace.meta.seconds)
        try:
            vectors.append(load_encoder(_judge(items)).embed(speech))
        except (AuditError, RegistryError) as error:
            reason = str(error)
            continue
        prompts.append(str(item.scenario.options["voice"]))
    n = len(vectors)
    cosines = np.array([[similarity(a, b) for b in vectors] for a in vectors]).reshape(n, n)
    cosines[np.eye(n, dtype=bool)] = np.nan
    value = measure.prompt_effect(cosines, prompts)
    if value is None:
        few = f"{n} conversations under {len(set(prompts))} prompts: two of each are needed"
        return _prompt_estimate(n=n, missing=len(asked) - n, reason=few if n else reason)
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, n, n)
        # a conversation drawn twice has no cosine with itself: the diagonal is NaN
        found = measure.prompt_effect(cosines[np.ix_(drawn, drawn)], [prompts[k] for k in drawn])
        if found is not None:
            draws.append(found)
    lo, hi = np.quantile(draws, [0.025, 0.975])
    return _prompt_estimate(value, float(lo), float(hi), n, len(asked) - n)


def _prompt_estimate(
    value: float | None = None,
    lo: float | None = None,
    hi: float | None = None,
    n: int = 0,
    missing: int = 0,
    reason: str = "",
) -> Estimate:
    from sts_eval.stats import tidy

    def tidied(number: float | None) -> float | None:
        return None if number is None else tidy(number)

    return Estimate(
        metric=specs.PROMPT.name,
        statistic="mean",
        value=tidied(value),
        lo=tidied(lo),
        hi=tidied(hi),
        n=n,
        n_clusters=n,
        n_unmeasured=missing,
        unit=specs.PROMPT.unit,
        direction=specs.PROMPT.direction,
        method="bootstrap over conversations" if value is not None else "none",
        version=specs.PROMPT.version,
        reason=reason,
    )
