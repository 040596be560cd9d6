"""From a trace of an interruption scenario to its observations.

The time of the event comes from the trace (`user_event`): it depended on the agent. A scenario
whose event never happened leaves its metrics unmeasured, with the reason.
"""

from __future__ import annotations

from sts_eval.metric import MetricSpec
from sts_eval.metrics import interruption as measure
from sts_eval.metrics import turns
from sts_eval.observation import Observation
from sts_eval.probes import Evidence
from sts_eval.probes import interruption_specs as specs
from sts_eval.probes.interruption_pause import PAUSE
from sts_eval.probes.latency_score import Observer
from sts_eval.scenario import Scenario
from sts_eval.trace import Span, Trace, TraceMeta
from sts_eval.user import EVENT, MISSED

REQUEST, STOP, CORRECTION = "barge_in", "stop", "correction"
DIRECTED = (REQUEST, STOP, CORRECTION)

_SPOKE_FIRST = "already speaking when the turn began"
_NOT_SPEAKING = "the agent was not speaking when the event began"
_YIELDS = ((specs.YIELD_500MS, 0.5), (specs.YIELD_1S, 1.0), (specs.YIELD_2S, measure.YIELD_S))
_OF_BARGE_IN = (*(spec for spec, _ in _YIELDS), specs.YIELD_LATENCY)
_OF_REQUEST = (specs.NEW_ANSWER, specs.ANSWERED, specs.REDELIVERY, specs.RESUMED)


def event_spans(meta: TraceMeta) -> list[Span]:
    """When the user's events were played; empty when none was."""
    return [
        Span(start_s=event.data["start_s"], end_s=event.data["end_s"], label=event.data["event"])
        for event in meta.events
        if event.name == EVENT and event.source == "harness"
    ]


def score_event(scenario: Scenario, trace: Trace, heard: Evidence) -> list[Observation]:
    """All observations of one scenario."""
    observer = Observer(scenario)
    if trace.meta.status == "error":
        for spec in _applicable(scenario):
            observer.error(spec, trace.meta.error or "the scenario failed")
        return observer.made
    if scenario.conditions["event"] == PAUSE:
        _request(observer, heard)
        _pause(observer, heard)
        return observer.made
    stretches = measure.audible_stretches(trace.agent)
    events = event_spans(trace.meta)
    event = scenario.conditions["event"]
    if scenario.user_spans:
        _request(observer, heard)
    if event in DIRECTED:
        _floor(observer, [*scenario.user_spans, *events], stretches)
    wanted = int(scenario.conditions.get("barge_ins", "1"))
    if len(events) < wanted:
        for spec in _of_event(scenario):
            observer.unmeasured(spec, _why_missed(trace.meta))
    elif event == CORRECTION:
        _holds_answer(observer, specs.CORRECTED, events[-1], heard)
    elif event in DIRECTED:
        _barge_ins(observer, events, stretches, trace.meta, heard)
    else:
        _selectivity(observer, events[0], stretches, heard)
    return observer.made


def _of_event(scenario: Scenario) -> tuple[MetricSpec, ...]:
    """The metrics that an event of this kind can have."""
    event = scenario.conditions["event"]
    if event == REQUEST:
        again = (specs.REPEATED,) if "barge_ins" in scenario.conditions else ()
        return (*_OF_BARGE_IN, *_OF_REQUEST, *again)
    if event == CORRECTION:
        return (specs.CORRECTED,)
    if event == PAUSE:
        return (specs.PAUSE_TAKEN,)
    return _OF_BARGE_IN if event == STOP else (specs.SELECTIVITY,)


def _applicable(scenario: Scenario) -> tuple[MetricSpec, ...]:
    request = (specs.INTERRUPTION,) if scenario.user_spans else ()
    # a sound that is no turn takes no floor, so only barge-ins have overlap and gap
    floor = (specs.OVERLAP, specs.GAP) if scenario.conditions["event"] in DIRECTED else ()
    return (*_of_event(scenario), *request, *floor)


def _why_missed(meta: TraceMeta) -> str:
    missed = (event.data["reason"] for event in meta.events if event.name == MISSED)
    return str(next(missed, "the agent never spoke"))


def _request(observer: Observer, heard: Evidence) -> None:
    """Whether the agent cut into the user's first request."""
    turn = _turn(observer.scenario)
    if turns.speaking_at(heard.agent_spans, turn.start_s):
        return observer.unmeasured(specs.INTERRUPTION, _SPOKE_FIRST)
    cut = turns.interruption_onset(turn, heard.agent_spans)
    shown = (cut.start_s, cut.end_s) if cut else (turn.start_s, turn.end_s)
    return observer.value(specs.INTERRUPTION, float(cut is not None), shown)


def _pause(observer: Observer, heard: Evidence) -> None:
    """Whether the agent took the turn while the user paused."""
    turn = _turn(observer.scenario)
    pause = turn.pauses[0]
    if turns.speaking_at(heard.agent_spans, pause.start_s):
        return observer.unmeasured(specs.PAUSE_TAKEN, "already speaking when the pause began")
    took = turns.takeover_onset(turn, heard.agent_spans) or pause
    return observer.value(specs.PAUSE_TAKEN, float(took is not pause), (took.start_s, took.end_s))


def _turn(scenario: Scenario) -> turns.Turn:
    """The user's first turn, its pauses with it."""
    return turns.Turn(
        scenario.user_spans[0].start_s,
        scenario.turn_end_s,
        scenario.listen_s,
        tuple(scenario.pauses),
    )


def _floor(observer: Observer, user: list[Span], stretches: list[Span]) -> None:
    floor = measure.share_floor(user, stretches)
    if floor is None:
        for spec in (specs.OVERLAP, specs.GAP):
            observer.unmeasured(spec, "nobody made a sound")
        return
    observer.value(specs.OVERLAP, 60 * floor.overlap_s / floor.total_s)
    observer.value(specs.GAP, 60 * floor.gap_s / floor.total_s)


def _barge_ins(
    observer: Observer, events: list[Span], stretches: list[Span], meta: TraceMeta, heard: Evidence
) -> None:
    """Each yield; what came of the last request only, since the others were interrupted too."""
    latencies = [measure.yield_latency_s(event.start_s, stretches) for event in events]
    for nth, (event, latency_s) in enumerate(zip(events, latencies, strict=True), start=1):
        which = {"barge_in": str(nth)} if len(events) > 1 else {}
        _yield(observer, event, latency_s, which)
    last, latency_s = events[-1], latencies[-1]
    if len(events) > 1:
        _every_time(observer, events, latencies)
    if last.label != REQUEST:
        return
    if latency_s is None:
        for spec in _OF_REQUEST:
            observer.unmeasured(spec, _NOT_SPEAKING)
        return
    _new_answer(observer, last, heard)
    _words(observer, last, heard)
    _resumed(observer, last, latency_s, meta, heard)


def _yield(observer: Observer, event: Span, latency_s: float | None, which: dict[str, str]) -> None:
    if latency_s is None:
        for spec in _OF_BARGE_IN:
            observer.unmeasured(spec, _NOT_SPEAKING)
        return
    evidence = (event.start_s, event.start_s + latency_s)
    for spec, limit_s in _YIELDS:
        observer.value(spec, float(latency_s <= limit_s), evidence, **which)
    if latency_s <= measure.YIELD_S:
        observer.value(specs.YIELD_LATENCY, 1000 * latency_s, evidence, **which)
    else:
        observer.unmeasured(specs.YIELD_LATENCY, "the agent did not yield within 2 s")


def _every_time(observer: Observer, events: list[Span], latencies: list[float | None]) -> None:
    met = [latency_s for latency_s in latencies if latency_s is not None]
    if len(met) < len(events):
        return observer.unmeasured(specs.REPEATED, "one of the barge-ins met a silent agent")
    every = all(latency_s <= measure.KEPT_TALKING_S for latency_s in met)
    span = (events[0].start_s, events[-1].start_s + met[-1])
    return observer.value(specs.REPEATED, float(every), span)


def _resumed(
    observer: Observer, event: Span, latency_s: float, meta: TraceMeta, heard: Evidence
) -> None:
    """Whether what the yield cut off is said after all, by the agent's own text of it."""
    spec = specs.RESUMED
    if latency_s > measure.YIELD_S:
        return observer.unmeasured(spec, "the agent did not yield within 2 s")
    if heard.words is None:
        return observer.unmeasured(spec, heard.asr_error or "no ASR judge ran")
    fell_silent_s = event.start_s + latency_s
    texts = [(e.t_s, str(e.data.get("text", ""))) for e in meta.events if e.name == "text"]
    if not texts:
        reason = "the target has no text of its own: what it dropped is not known"
        return observer.unmeasured(spec, reason)
    said = "".join(text for t_s, text in texts if t_s <= event.start_s)
    before = " ".join(word.text for word in heard.words if word.start_s < fell_silent_s)
    after = " ".join(word.text for word in heard.words if word.start_s >= fell_silent_s)
    found = measure.resumed(measure.dropped_words(said, before), after)
    if found is None:
        return observer.unmeasured(spec, "fewer than four words of the reply were dropped")
    until_s = max([fell_silent_s, *(word.end_s for word in heard.words)])
    return observer.value(spec, float(found), (fell_silent_s, until_s))


def _new_answer(observer: Observer, event: Span, heard: Evidence) -> None:
    turn = turns.Turn(event.start_s, event.end_s, observer.scenario.listen_s)
    onset_s = turns.response_onset_s(turn, heard.agent_spans)
    if onset_s is None:
        outcome = turns.react(turn, heard.agent_spans).outcome
        return observer.unmeasured(specs.NEW_ANSWER, f"no answer to time: {outcome}")
    return observer.value(specs.NEW_ANSWER, 1000 * onset_s, (event.end_s, event.end_s + onset_s))


def _words(observer: Observer, event: Span, heard: Evidence) -> None:
    """What the ASR judge's words say: the new request answered, the old reply said again."""
    if heard.words is None:
        for spec in (specs.ANSWERED, specs.REDELIVERY):
            observer.unmeasured(spec, heard.asr_error or "no ASR judge ran")
        return
    before = " ".join(word.text for word in heard.words if word.end_s <= event.start_s)
    after = " ".join(word.text for word in heard.words if word.start_s > event.start_s)
    evidence = (event.end_s, event.end_s + observer.scenario.listen_s)
    _holds_answer(observer, specs.ANSWERED, event, heard)
    again = measure.redelivered(before, after)
    if again is None:
        observer.unmeasured(specs.REDELIVERY, "fewer than four words before or after the event")
    else:
        observer.value(specs.REDELIVERY, float(again), evidence)


def _holds_answer(observer: Observer, spec: MetricSpec, event: Span, heard: Evidence) -> None:
    """Whether the right answer is heard from the event's start on."""
    if heard.words is None:
        return observer.unmeasured(spec, heard.asr_error or "no ASR judge ran")
    after = " ".join(word.text for word in heard.words if word.start_s > event.start_s)
    answered = measure.holds_answer(after, observer.scenario.expected)
    if answered is None:
        return observer.unmeasured(spec, "no answer that words could show")
    evidence = (event.end_s, event.end_s + observer.scenario.listen_s)
    return observer.value(spec, float(answered), evidence)


def _selectivity(observer: Observer, event: Span, stretches: list[Span], heard: Evidence) -> None:
    latency_s = measure.yield_latency_s(event.start_s, stretches)
    if observer.scenario.conditions["agent"] == "silent":
        if latency_s is not None:
            return observer.unmeasured(specs.SELECTIVITY, "the agent was speaking, unasked")
        silent = measure.stayed_silent(event, heard.agent_spans)
        until_s = event.end_s + measure.STAYED_SILENT_S
        return observer.value(specs.SELECTIVITY, float(silent), (event.start_s, until_s))
    if latency_s is None:
        return observer.unmeasured(specs.SELECTIVITY, _NOT_SPEAKING)
    evidence = (event.start_s, event.start_s + latency_s)
    return observer.value(specs.SELECTIVITY, float(measure.kept_talking(latency_s)), evidence)
