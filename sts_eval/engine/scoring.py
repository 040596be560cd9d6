"""Scoring: traces in, observations out. Never talks to a target; uses all cores; caches the judges.

What a judge heard on a track depends on the samples and on the judge's version only, so it is
cached by
the hash of both: scoring a run twice costs one pass over the files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from sts_eval.observation import Observation, Status
from sts_eval.probes import KINDS, Evidence, Kind
from sts_eval.record import Mark, ScenarioResult, Word
from sts_eval.scenario import Scenario
from sts_eval.trace import Span, Trace, TraceError, load_trace

POOL_FROM = 8  # traces; below this, starting processes costs more than it saves


@dataclass(frozen=True)
class JudgeNames:
    """Which judges to use (names of `sts_eval.judges`)."""

    asr: str
    vad: str
    second: str = "none"


@dataclass(frozen=True)
class Scored:
    """A scored trace; batch, retried: as in its `TraceMeta`."""

    result: ScenarioResult
    observations: list[Observation]
    batch: int = 1
    retried: str = ""


def score_all(
    traces: Sequence[Path],
    judges: JudgeNames,
    *,
    workers: int | None = None,
    on_scored: Callable[[], None] = lambda: None,
) -> list[Scored]:
    """Score traces in the given order. Raises TraceError when one cannot be read."""
    workers = min(workers or os.cpu_count() or 1, max(1, len(traces) // (POOL_FROM // 2)))
    score = partial(score_trace, judges=judges)
    if workers <= 1 or len(traces) < POOL_FROM:
        return _collect(map(score, traces), on_scored)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return _collect(pool.map(score, traces), on_scored)


def _collect(results: Iterable[Scored], on_scored: Callable[[], None]) -> list[Scored]:
    scored = []
    for result in results:
        scored.append(result)
        on_scored()
    return scored


def score_trace(path: Path, judges: JudgeNames) -> Scored:
    """One trace: what the judges hear on it, then the observations of its kind."""
    trace = load_trace(path)
    stored = trace.meta.scenario
    recorded = {key: stored[key] for key in Scenario.model_fields if key in stored}
    try:
        scenario = Scenario.model_validate(recorded)
        kind = KINDS[scenario.kind]()
    except (ValueError, KeyError) as error:
        raise TraceError(f"{path.name}: not a scenario of this version: {error}") from error
    known = getattr(kind, "known_words", None)  # a transcript that came with the recording
    words = known(scenario) if known else None
    heard = listen(trace, judges, words) if trace.meta.status == "ok" else Evidence(())
    return Scored(
        _result(path, scenario, trace, heard, kind.marks(scenario, trace)),
        _observations(kind, scenario, trace, heard),
        trace.meta.batch,
        trace.meta.retried,
    )


def _observations(
    kind: Kind, scenario: Scenario, trace: Trace, heard: Evidence
) -> list[Observation]:
    """What the kind makes of a trace; where the target lacks an option, nothing was measured."""
    if trace.meta.status != "skipped":
        return kind.score(scenario, trace, heard)
    # a kind scores a failed scenario as one error for each metric it would have had: these are
    failed = Trace(
        meta=trace.meta.model_copy(update={"status": "error"}), user=trace.user, agent=trace.agent
    )
    return [
        item.model_copy(
            update={"status": Status.UNMEASURED, "value": None, "reason": trace.meta.error}
        )
        for item in kind.score(scenario, failed, heard)
    ]


def listen(trace: Trace, judges: JudgeNames, words: tuple[Word, ...] | None = None) -> Evidence:
    """What the judges hear on the agent's track; with `words` given no ASR judge runs."""
    from sts_eval.judges import JudgeError, load_vad
    from sts_eval.judges.cache import cached

    vad = load_vad(judges.vad)
    spans: Any = cached(vad, trace.agent, lambda: vad.speech_spans(trace.agent))
    agent_spans = tuple(Span(start_s=a, end_s=b, label="agent") for a, b in spans)
    evidence = Evidence(agent_spans)
    if words is not None:
        text = " ".join(word.text.strip() for word in words)
        evidence = replace(evidence, words=words, text=text)
    elif judges.asr == "none":
        evidence = replace(evidence, asr_error="no ASR judge was asked for")
    else:
        try:
            heard = _transcribe(judges.asr, trace)
            evidence = replace(evidence, words=tuple(heard.words), text=heard.text)
        except JudgeError as error:
            evidence = replace(evidence, asr_error=str(error))
    if judges.second != "none":
        try:
            second = tuple(_transcribe(judges.second, trace).words)
            evidence = replace(evidence, second=second, second_error="")
        except JudgeError as error:
            evidence = replace(evidence, second_error=str(error))
    return evidence


def _transcribe(name: str, trace: Trace) -> Any:
    """What an ASR judge hears on the agent's track. Raises JudgeError."""
    from sts_eval.judges import load_asr
    from sts_eval.judges.cache import cached

    asr = load_asr(name)
    return cached(asr, trace.agent, lambda: asr.transcribe(trace.agent))


def _result(
    path: Path, scenario: Scenario, trace: Trace, heard: Evidence, marks: list[Mark]
) -> ScenarioResult:
    said = [event.data.get("text", "") for event in trace.meta.events if event.name == "text"]
    return ScenarioResult(
        id=scenario.id,
        kind=scenario.kind,
        title=scenario.title,
        status=trace.meta.status,
        error=trace.meta.error,
        conditions=scenario.conditions,
        trace=f"traces/{path.name}",
        seconds=trace.meta.seconds,
        user_text=scenario.text,
        agent_text="".join(str(text) for text in said),
        heard_text=heard.text,
        user_spans=scenario.user_spans,
        agent_spans=list(heard.agent_spans),
        words=list(heard.words or ()),
        marks=marks,
    )
