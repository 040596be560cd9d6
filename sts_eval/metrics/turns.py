"""Turn taking: who spoke when, measured from the user's turn and the agent's speech spans.

All times are seconds from the start of the trace, all offsets are signed, nothing is clamped. The
user's turn runs from its first to its last speech (true times of the stimulus); the agent's spans
come from a VAD refined to 10 ms. What the agent does about a turn is exactly one of:

- `ALREADY_SPEAKING`: audible at the turn's end in a span that began before the turn did. A class of
  its own, never a latency of 0 (Full-Duplex-Bench counts it as an instant answer).
- `CUT_IN`: audible at the turn's end in a span that began inside the turn, earlier than the allowed
  overlap before its end.
- `RESPONDED`: its first onset after (turn end - allowed overlap) lies within the listening time;
  the offset onset - turn end may be slightly negative, as between people.
- `NO_RESPONSE`: none of these.

The allowed overlap is 0.5 s: terminal overlaps between people are mostly shorter (Levinson and
Torreira, Timing in turn-taking, 2015, section 3).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from sts_eval.trace import Span

ALLOWED_OVERLAP_S = 0.5


class TurnOutcome(enum.StrEnum):
    """What the agent did about a turn."""

    RESPONDED = "responded"
    NO_RESPONSE = "no response"
    ALREADY_SPEAKING = "already speaking"
    CUT_IN = "cut in"


@dataclass(frozen=True)
class Turn:
    """A user's turn: start, end, how long an answer counts, and the pauses inside it."""

    start_s: float
    end_s: float
    listen_s: float
    pauses: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Reaction:
    """The outcome, and the agent span that decided it (None for no response)."""

    outcome: TurnOutcome
    span: Span | None


def react(turn: Turn, agent: Sequence[Span]) -> Reaction:
    """Classify what the agent did about a turn. `agent`: its speech spans in order."""
    earliest_s = turn.end_s - ALLOWED_OVERLAP_S
    for span in agent:
        if span.start_s < earliest_s and span.end_s > turn.end_s:
            before = span.start_s < turn.start_s
            outcome = TurnOutcome.ALREADY_SPEAKING if before else TurnOutcome.CUT_IN
            return Reaction(outcome, span)
    for span in agent:
        if earliest_s <= span.start_s <= turn.end_s + turn.listen_s:
            return Reaction(TurnOutcome.RESPONDED, span)
    return Reaction(TurnOutcome.NO_RESPONSE, None)


def response_onset_s(turn: Turn, agent: Sequence[Span]) -> float | None:
    """Signed offset of the answer's onset from the turn's end, or None unless it responded."""
    reaction = react(turn, agent)
    if reaction.outcome is not TurnOutcome.RESPONDED or reaction.span is None:
        return None
    return reaction.span.start_s - turn.end_s


def interruption_onset(turn: Turn, agent: Sequence[Span]) -> Span | None:
    """First agent span that begins while the user speaks: inside the turn, outside its pauses and
    earlier than the allowed overlap before its end."""
    for span in agent:
        inside = turn.start_s < span.start_s < turn.end_s - ALLOWED_OVERLAP_S
        if inside and not any(p.start_s <= span.start_s <= p.end_s for p in turn.pauses):
            return span
    return None


def takeover_onset(turn: Turn, agent: Sequence[Span]) -> Span | None:
    """First agent span that begins inside a pause of the user's turn."""
    for span in agent:
        if any(p.start_s <= span.start_s <= p.end_s for p in turn.pauses):
            return span
    return None


def answer_from_s(turn: Turn, agent: Sequence[Span]) -> float:
    """From when on a sound belongs to the answer: not before the allowed overlap, and not before
    the end of what the agent had been saying until then."""
    earliest_s = turn.end_s - ALLOWED_OVERLAP_S
    before = [span.end_s for span in agent if span.start_s < earliest_s]
    return max([earliest_s, *before])


def speaking_at(agent: Sequence[Span], moment_s: float) -> Span | None:
    """The agent span that holds a moment, or None."""
    return next((span for span in agent if span.start_s <= moment_s < span.end_s), None)
