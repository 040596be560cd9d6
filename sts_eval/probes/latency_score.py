"""From a trace of a question to the observations of the latency suite.

Each function measures one group of metrics; what cannot be measured says why. A trace that failed
gives an `error` observation for every metric, so that it is seen in every denominator.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sts_eval.metric import MetricSpec
from sts_eval.metrics import signal, turns
from sts_eval.metrics.turns import Turn, TurnOutcome
from sts_eval.observation import Observation, Status
from sts_eval.probes import Evidence
from sts_eval.probes import latency_specs as specs
from sts_eval.scenario import Scenario
from sts_eval.trace import Span, Trace, TraceMeta, heard_frame_s
from sts_eval.units import FRAME_MS, FRAME_S

ECHO_THRESHOLD = 0.3


class Observer:
    """Makes observations of one scenario, so that id, cluster and slices are said once."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.made: list[Observation] = []

    def value(
        self,
        spec: MetricSpec,
        value: float,
        span_s: tuple[float, float] | None = None,
        **slices: str,
    ) -> None:
        """A measured value with its evidence."""
        ordered = None if span_s is None else (min(span_s), max(span_s))
        # microunits: finer than any clock here, and free of binary tails in run.json
        self._add(spec, Status.MEASURED, round(float(value), 6), "", ordered, slices)

    def unmeasured(self, spec: MetricSpec, reason: str, **slices: str) -> None:
        """Not measured, and why."""
        self._add(spec, Status.UNMEASURED, None, reason, None, slices)

    def error(self, spec: MetricSpec, reason: str) -> None:
        """Failed, and why."""
        self._add(spec, Status.ERROR, None, reason, None, {})

    def _add(
        self,
        spec: MetricSpec,
        status: Status,
        value: float | None,
        reason: str,
        span_s: tuple[float, float] | None,
        slices: dict[str, str],
    ) -> None:
        self.made.append(
            Observation(
                metric=spec.name,
                scenario_id=self.scenario.id,
                status=status,
                value=value,
                reason=reason,
                cluster=self.scenario.cluster,
                span_s=span_s,
                slices={**self.scenario.conditions, **slices},
            )
        )


def score_turn(
    scenario: Scenario, trace: Trace, heard: Evidence, metrics: Sequence[MetricSpec]
) -> list[Observation]:
    """All observations of one question, with or without a pause in it."""
    observer = Observer(scenario)
    if trace.meta.status == "error":
        for spec in metrics:
            if _applies(spec, scenario, trace):
                observer.error(spec, trace.meta.error or "the scenario failed")
        return observer.made
    turn = Turn(
        start_s=scenario.user_spans[0].start_s,
        end_s=scenario.turn_end_s,
        listen_s=scenario.listen_s,
        pauses=tuple(scenario.pauses),
    )
    echo = signal.echo_correlation(trace.user, trace.agent, (turn.start_s, turn.end_s))
    is_echo = echo >= ECHO_THRESHOLD
    observer.value(specs.ECHO, float(is_echo), (turn.start_s, turn.end_s))
    if is_echo:
        reason = f"the agent's track carries the user's voice (correlation {echo:.2f})"
        for spec in _TURN_TAKING:
            if _applies(spec, scenario, trace):
                observer.unmeasured(spec, reason)
    else:
        _turn_taking(observer, turn, trace, heard)
    _holes(observer, trace, is_echo)
    _compute(observer, trace.meta)
    _stages(observer, trace.meta)
    known = {spec.name for spec in metrics}
    return [observation for observation in observer.made if observation.metric in known]


def _applies(spec: MetricSpec, scenario: Scenario, trace: Trace) -> bool:
    """Whether a metric can occur in a scenario at all; where not, there is no observation of it."""
    if spec is specs.TAKEOVER:
        return bool(scenario.pauses)
    return trace.meta.cold if spec is specs.COLD_START else True


_TURN_TAKING = (
    specs.RESPONSE_ONSET_AUDIO,
    specs.RESPONSE_ONSET_HEARD,
    specs.RESPONSE_RATE,
    specs.ALREADY_SPEAKING,
    specs.INTERRUPTION,
    specs.TAKEOVER,
    specs.FIRST_AUDIBLE,
    specs.FIRST_WORD,
    specs.STAGE_LATENCY,
    specs.COLD_START,
)


def _turn_taking(observer: Observer, turn: Turn, trace: Trace, heard: Evidence) -> None:
    spans = heard.agent_spans
    reaction = turns.react(turn, spans)
    _events(observer, turn, spans, reaction)
    if reaction.outcome is not TurnOutcome.RESPONDED or reaction.span is None:
        reason = f"no answer to time: {reaction.outcome}"
        timed = [
            specs.RESPONSE_ONSET_AUDIO,
            specs.RESPONSE_ONSET_HEARD,
            specs.FIRST_AUDIBLE,
            specs.FIRST_WORD,
            specs.STAGE_LATENCY,
        ]
        for spec in timed + ([specs.COLD_START] if trace.meta.cold else []):
            observer.unmeasured(spec, reason)
        return
    onset_s = reaction.span.start_s
    observer.value(specs.RESPONSE_ONSET_AUDIO, 1000 * (onset_s - turn.end_s), (turn.end_s, onset_s))
    _as_heard(observer, turn, trace.meta, onset_s)
    _first_sound(observer, turn, trace, heard)
    _stage_latencies(observer, turn, trace.meta, onset_s)


def _as_heard(observer: Observer, turn: Turn, meta: TraceMeta, onset_s: float) -> None:
    """The onset on the clock of a listener, and after a cold start."""
    if meta.batch > 1:
        observer.unmeasured(specs.RESPONSE_ONSET_HEARD, _shared(meta))
        return
    heard_s = heard_time_s(meta, onset_s)
    observer.value(specs.RESPONSE_ONSET_HEARD, 1000 * (heard_s - turn.end_s), (turn.end_s, heard_s))
    if meta.cold:  # a warm session is no failed measurement of a cold start: it is none
        wall_ms = meta.open_wall_ms + 1000 * (heard_s - turn.end_s)
        observer.value(specs.COLD_START, wall_ms, (turn.end_s, heard_s))


def _events(
    observer: Observer, turn: Turn, spans: Sequence[Span], reaction: turns.Reaction
) -> None:
    """The rates: answered, already speaking, cut off, took a pause."""
    already = reaction.outcome is TurnOutcome.ALREADY_SPEAKING
    evidence = (turn.start_s, turn.end_s)
    observer.value(specs.ALREADY_SPEAKING, float(already), evidence)
    if already:
        reason = "already speaking when the turn began"
        unseen = [specs.RESPONSE_RATE, specs.INTERRUPTION]
        for spec in unseen + ([specs.TAKEOVER] if turn.pauses else []):
            observer.unmeasured(spec, reason)
        return
    responded = reaction.outcome is TurnOutcome.RESPONDED
    if reaction.outcome is TurnOutcome.CUT_IN:
        observer.unmeasured(specs.RESPONSE_RATE, "cut into the turn and spoke past its end")
    else:
        answer = reaction.span.start_s if reaction.span else turn.end_s + turn.listen_s
        observer.value(specs.RESPONSE_RATE, float(responded), (turn.end_s, answer))
    if turns.speaking_at(spans, turn.start_s):
        observer.unmeasured(specs.INTERRUPTION, "already speaking when the turn began")
    else:
        cut = turns.interruption_onset(turn, spans)
        shown = (cut.start_s, cut.end_s) if cut else evidence
        observer.value(specs.INTERRUPTION, float(cut is not None), shown)
    if not turn.pauses:
        return  # nothing to take over in: not a failed measurement, none
    took = turns.takeover_onset(turn, spans)
    pause = turn.pauses[0]
    observer.value(
        specs.TAKEOVER,
        float(took is not None),
        (took.start_s, took.end_s) if took else (pause.start_s, pause.end_s),
    )


def _first_sound(observer: Observer, turn: Turn, trace: Trace, heard: Evidence) -> None:
    from_s = turns.answer_from_s(turn, heard.agent_spans)
    audible_s = signal.first_audible_s(trace.agent, from_s)
    if audible_s is None:
        observer.unmeasured(specs.FIRST_AUDIBLE, "nothing reaches -50 dBFS")
    else:
        observer.value(
            specs.FIRST_AUDIBLE, 1000 * (audible_s - turn.end_s), (turn.end_s, audible_s)
        )
    if heard.words is None:
        observer.unmeasured(specs.FIRST_WORD, heard.asr_error or "no ASR judge ran")
        return
    word = next((word for word in heard.words if word.start_s >= from_s), None)
    if word is None:
        observer.unmeasured(specs.FIRST_WORD, "the ASR judge heard no word")
        return
    observer.value(specs.FIRST_WORD, 1000 * (word.start_s - turn.end_s), (turn.end_s, word.start_s))


def _holes(observer: Observer, trace: Trace, is_echo: bool) -> None:
    if is_echo:
        observer.unmeasured(specs.DROPOUTS, "the agent's track carries the user's voice")
    elif not np.any(trace.agent):
        observer.unmeasured(specs.DROPOUTS, "the agent's track is silent")
    else:
        holes = signal.dropouts(trace.agent)
        observer.value(specs.DROPOUTS, float(bool(holes)), holes[0] if holes else None)


def _compute(observer: Observer, meta: TraceMeta) -> None:
    compute = (
        specs.PUSH_P50,
        specs.PUSH_P95,
        specs.PUSH_P99,
        specs.REAL_TIME_FACTOR,
        specs.MISSED_DEADLINES,
    )
    if meta.batch > 1 or meta.clock != "lockstep" or not meta.push_wall_ms:
        hidden = f"the compute of a {meta.clock} target is not visible"
        reason = _shared(meta) if meta.batch > 1 else hidden
        for spec in compute:
            observer.unmeasured(spec, reason)
        return
    walls = np.asarray(meta.push_wall_ms)
    for spec, quantile in (
        (specs.PUSH_P50, 0.5),
        (specs.PUSH_P95, 0.95),
        (specs.PUSH_P99, 0.99),
    ):
        observer.value(spec, float(np.quantile(walls, quantile)))
    observer.value(specs.REAL_TIME_FACTOR, float(walls.sum() / 1000 / (walls.size * FRAME_S)))
    observer.value(specs.MISSED_DEADLINES, float(np.mean(walls > FRAME_MS)))


def _stages(observer: Observer, meta: TraceMeta) -> None:
    if meta.batch > 1:
        observer.unmeasured(specs.STAGE_COMPUTE, _shared(meta))
        return
    found = False
    for event in meta.events:
        compute_ms = _number(event.data.get("compute_ms"))
        if not event.name.startswith("stage.") or compute_ms is None:
            continue
        found = True
        stage = event.name.removeprefix("stage.")
        observer.value(specs.STAGE_COMPUTE, compute_ms, (event.t_s, event.t_s), stage=stage)
    if not found:
        observer.unmeasured(specs.STAGE_COMPUTE, "the target reports no stages")


def _stage_latencies(observer: Observer, turn: Turn, meta: TraceMeta, onset_s: float) -> None:
    """The last event of each stage before the answer: waiting plus computing."""
    last = {
        event.name.removeprefix("stage."): event
        for event in meta.events
        if event.name.startswith("stage.") and event.t_s <= onset_s + FRAME_S
    }
    if not last:
        observer.unmeasured(specs.STAGE_LATENCY, "the target reports no stages")
    for stage, event in last.items():
        if meta.batch > 1 and "wait_ms" not in event.data:
            observer.unmeasured(specs.STAGE_LATENCY, _shared(meta), stage=stage)
            continue
        added_ms = _number(event.data.get("wait_ms", event.data.get("compute_ms")))
        if added_ms is not None:
            observer.value(specs.STAGE_LATENCY, added_ms, (turn.end_s, onset_s), stage=stage)


def _shared(meta: TraceMeta) -> str:
    """Why no wall time is a scenario's own."""
    return "stepped together with other conversations"


def _number(value: object) -> float | None:
    """A finite number, or None: events come from the target."""
    if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value):
        return float(value)
    return None


def heard_time_s(meta: TraceMeta, moment_s: float) -> float:
    """When a moment of the agent's track was heard (see `heard_frame_s`)."""
    frames = heard_frame_s(meta)
    if frames.size == 0:
        return moment_s
    tick = min(int(moment_s / FRAME_S + 1e-9), frames.size - 1)
    return float(frames[tick] + (moment_s - tick * FRAME_S))
