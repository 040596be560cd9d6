"""The strict scorer of Full-Duplex-Bench items: signed, tied to the annotated event, unclamped.

The agent's speech is what the VAD judge hears, gaps up to 0.5 s closed (a pause between two words
is no new turn; the benchmark merges the same way). Times are seconds from the start of the file.

- turn: `sts_eval.metrics.turns.react`: answered, no answer, already speaking, or cut in.
- pause: an onset inside an annotated pause takes the turn. An agent that was speaking already at
  the beginning of every pause took no turn: a class of its own.
- interruption: an agent that speaks at its onset yields when its stretch of speech ends.
- event that is not meant for the agent (tau-voice's rule): wrong if a speaking agent falls silent
  within 1 s of the onset, or a silent one speaks up before 2 s after its end.
- back-channel: a stretch below 1 s; a longer one takes the turn, whatever comes after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sts_eval.metrics.fdb import (
    BACKCHANNEL_S,
    MODEL_MERGE_GAP_S,
    Segment,
    backchannel_jsd,
    merged,
)
from sts_eval.metrics.turns import Turn, TurnOutcome, react, speaking_at, takeover_onset
from sts_eval.probes import full_duplex_bench_files as layout
from sts_eval.probes.full_duplex_bench_item import FdbObserver, Item, Said
from sts_eval.trace import Span

YIELD_WITHIN_S: Final = 2.0
SILENT_WITHIN_S: Final = 1.0
SPEAKS_UP_WITHIN_S: Final = 2.0
END_SLACK_S: Final = 0.1


@dataclass(frozen=True)
class Yielding:
    """Whether an agent that spoke at the onset of an interruption stopped, and when.

    latency_s is None when its speech runs to the end of the recording.
    """

    latency_s: float | None

    @property
    def in_time(self) -> bool:
        """Stopped within 2 s."""
        return self.latency_s is not None and self.latency_s <= YIELD_WITHIN_S


def stretches(spans: Sequence[Span]) -> list[Span]:
    """The agent's stretches of speech: its spans with gaps of up to 0.5 s closed."""
    joined = merged([(span.start_s, span.end_s) for span in spans], MODEL_MERGE_GAP_S)
    return [Span(start_s=a, end_s=b, label="agent") for a, b in joined]


def took_pause(turn: Turn, agent: Sequence[Span]) -> bool | None:
    """Whether the agent began to speak inside a pause; None if it could not have begun in any,
    because it was speaking since before each of them."""
    if takeover_onset(turn, agent) is not None:
        return True
    free = [p for p in turn.pauses if not was_speaking(agent, p.start_s)]
    return False if free else None


def was_speaking(agent: Sequence[Span], moment_s: float) -> bool:
    """Whether the agent speaks at a moment, since before it."""
    span = speaking_at(agent, moment_s)
    return span is not None and span.start_s < moment_s


def yielding(onset_s: float, agent: Sequence[Span], recording_s: float) -> Yielding | None:
    """What an agent that spoke at the onset of an interruption did; None if it was silent."""
    span = speaking_at(agent, onset_s)
    if span is None:
        return None
    endless = span.end_s >= recording_s - END_SLACK_S
    return Yielding(None if endless else span.end_s - onset_s)


def was_selective(event: Segment, agent: Sequence[Span]) -> bool:
    """Whether the agent did not let itself be moved by an event that is not meant for it."""
    onset_s, end_s = event
    span = speaking_at(agent, onset_s)
    if span is not None:
        return span.end_s - onset_s > SILENT_WITHIN_S
    return not any(onset_s <= s.start_s <= end_s + SPEAKS_UP_WITHIN_S for s in agent)


def backchannel_stretches(agent: Sequence[Span]) -> list[Segment]:
    """Stretches below 1 s."""
    return [(s.start_s, s.end_s) for s in agent if s.end_s - s.start_s < BACKCHANNEL_S]


def took_floor(agent: Sequence[Span]) -> bool:
    """Whether any stretch is longer than a back-channel."""
    return any(span.end_s - span.start_s >= BACKCHANNEL_S for span in agent)


def score_pause(observer: FdbObserver, item: Item, agent: Sequence[Span]) -> Said:
    """Takeover inside the annotated pauses."""
    turn = item.turn()
    tor, already = (observer.spec("strict", name) for name in ("tor", "already_speaking_rate"))
    shown = (turn.pauses[0].start_s, turn.pauses[-1].end_s)
    before = any(was_speaking(agent, pause.start_s) for pause in turn.pauses)
    observer.value(already, float(before), shown)
    took = took_pause(turn, agent)
    if took is None:
        observer.unmeasured(tor, "the agent was speaking since before every pause")
        return Said("was speaking since before every pause")
    observer.value(tor, float(took), shown)
    return Said("took the turn in a pause" if took else "took no pause", took)


def score_turn(observer: FdbObserver, item: Item, agent: Sequence[Span]) -> Said:
    """The reaction to the end of a turn or of an interruption."""
    turn = item.turn()
    reaction = react(turn, agent)
    span = reaction.span
    until_s = max(turn.end_s, min(turn.end_s + turn.listen_s, item.seconds))
    shown = (turn.end_s, span.start_s if span else until_s)
    for name, outcome in (
        ("tor", TurnOutcome.RESPONDED),
        ("already_speaking_rate", TurnOutcome.ALREADY_SPEAKING),
        ("cut_in_rate", TurnOutcome.CUT_IN),
    ):
        observer.value(observer.spec("strict", name), float(reaction.outcome is outcome), shown)
    latency = observer.spec("strict", "latency_s")
    if reaction.outcome is not TurnOutcome.RESPONDED or span is None:
        observer.unmeasured(latency, f"no answer to time: {reaction.outcome}")
        return Said(str(reaction.outcome), took_turn=False)
    latency_s = span.start_s - turn.end_s
    observer.value(latency, latency_s, shown)
    return Said(f"answered after {latency_s:+.2f} s", True, latency_s)


def score_yield(observer: FdbObserver, item: Item, agent: Sequence[Span]) -> float | None:
    """Yield rate and latency; returns the latency, if any."""
    onset_s = item.evidence[0]
    rate, latency = (observer.spec("strict", name) for name in ("yield_rate", "yield_latency_s"))
    found = yielding(onset_s, agent, item.seconds)
    if found is None:
        for spec in (rate, latency):
            observer.unmeasured(spec, "the agent was silent when the interruption began")
        return None
    stop_s = item.seconds if found.latency_s is None else onset_s + found.latency_s
    observer.value(rate, float(found.in_time), (onset_s, stop_s))
    if found.latency_s is None:
        observer.unmeasured(latency, "the agent did not stop before the recording ended")
    else:
        observer.value(latency, found.latency_s, (onset_s, stop_s))
    return found.latency_s


def score_event(observer: FdbObserver, item: Item, agent: Sequence[Span]) -> Said:
    """v1.5: an interruption, or an event that is not meant for the agent."""
    if item.task in layout.DIRECTED_TASKS:
        answer = score_turn(observer, item, agent)
        stop_s = score_yield(observer, item, agent)
        stopped = "no stop" if stop_s is None else f"stopped after {stop_s:.2f} s"
        return replace(answer, label=f"{stopped}, {answer.label}", stop_s=stop_s)
    kept = was_selective(item.evidence, agent)
    observer.value(observer.spec("strict", "selectivity_rate"), float(kept), item.evidence)
    label = "not moved by the event" if kept else "moved by the event"
    found = yielding(item.evidence[0], agent, item.seconds)
    stop_s = found.latency_s if found else None
    if found:
        label += ", no stop" if stop_s is None else f", stopped after {stop_s:.2f} s"
    return Said(label, stop_s=stop_s)


def score_backchannel(observer: FdbObserver, item: Item, agent: Sequence[Span]) -> Said:
    """Floor, frequency and timing of back-channels."""
    floor, short = took_floor(agent), backchannel_stretches(agent)
    whole = (0.0, item.seconds)
    observer.value(observer.spec("strict", "tor"), float(floor), whole)
    frequency = observer.spec("strict", "backchannel_freq_hz")
    observer.value(frequency, len(short) / item.seconds, whole)
    jsd = observer.spec("strict", "jsd")
    if "density" not in item.facts:
        observer.unmeasured(jsd, item.facts["density_missing"])
    elif not short:
        observer.unmeasured(jsd, "no back-channel: silence has no timing")
    else:
        observer.value(jsd, backchannel_jsd(short, item.seconds, item.facts["density"]), whole)
    return Said("took the floor" if floor else f"{len(short)} back-channels", floor)
