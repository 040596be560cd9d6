"""Interruption: what the agent does about an event on the user's side while it speaks or is silent.

Times are seconds from the start of the trace. The agent's speech is taken as **stretches**: 10 ms
blocks at or above -50 dBFS, joined over silences of at most `JOIN_S`, so that the pause between two
sentences is no falling silent. With an event from `start` to `end`:

    yield latency = end of the stretch that holds `start`, minus `start`     (None: not speaking)
    kept talking  = yield latency > 1.0 s
    stayed silent = no agent onset from `start` until 2.0 s after `end`

The two time limits are those of tau-voice (sierra-research/tau2-bench, voice metrics, 2026): a
yield counts within 2.0 s; yielding within 1.0 s to, or answering within 2.0 s, a sound that was not
directed at the agent is an error. All offsets are signed and nothing is clamped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from sts_eval.judges.numbers import words_to_number
from sts_eval.judges.text import normalise
from sts_eval.metrics.signal import AUDIBLE_DBFS, block_dbfs
from sts_eval.target import Samples
from sts_eval.trace import Span

BLOCK_S = 0.01
JOIN_S = 0.6
KEPT_TALKING_S = 1.0
STAYED_SILENT_S = 2.0
YIELD_S = 2.0
REDELIVERY_WORDS = 4


def audible_stretches(agent: Samples) -> list[Span]:
    """The agent's track float32 [S] -> its stretches in order."""
    loud = np.flatnonzero(block_dbfs(agent) >= AUDIBLE_DBFS)
    if loud.size == 0:
        return []
    silent_blocks = np.diff(loud) - 1
    breaks = np.flatnonzero(silent_blocks > round(JOIN_S / BLOCK_S))
    firsts = loud[np.concatenate([[0], breaks + 1])]
    lasts = loud[np.concatenate([breaks, [loud.size - 1]])]
    return [
        Span(start_s=int(first) / 100, end_s=int(last + 1) / 100)
        for first, last in zip(firsts, lasts, strict=True)
    ]


def yield_latency_s(event_start_s: float, stretches: Sequence[Span]) -> float | None:
    """From the event's first sound to the agent's last; None when it was not speaking."""
    for stretch in stretches:
        if stretch.start_s <= event_start_s < stretch.end_s:
            return stretch.end_s - event_start_s
    return None


def kept_talking(latency_s: float) -> bool:
    """Whether the agent went on past an event that was not meant for it."""
    return latency_s > KEPT_TALKING_S


def stayed_silent(event: Span, agent: Sequence[Span]) -> bool:
    """Whether the agent, silent at the event's start, did not answer it."""
    until_s = event.end_s + STAYED_SILENT_S
    return not any(event.start_s <= span.start_s <= until_s for span in agent)


@dataclass(frozen=True)
class Floor:
    """How the time between the first and the last sound of a conversation was shared, seconds."""

    overlap_s: float
    gap_s: float
    total_s: float


def share_floor(user: Sequence[Span], agent: Sequence[Span]) -> Floor | None:
    """Overlap (both sound) and gap (neither) on a 10 ms grid; None when nobody made a sound."""
    spans = [*user, *agent]
    if not spans:
        return None
    blocks = round(max(span.end_s for span in spans) / BLOCK_S)
    first = round(min(span.start_s for span in spans) / BLOCK_S)
    sounding = np.zeros((2, blocks), np.bool_)  # [side, 10 ms block]
    for row, side in zip(sounding, (user, agent), strict=True):
        for span in side:
            row[round(span.start_s / BLOCK_S) : round(span.end_s / BLOCK_S)] = True
    sides = sounding[:, first:].sum(axis=0)  # [10 ms block]: how many of the two sound
    both_s, neither_s = (int(np.count_nonzero(sides == n)) * BLOCK_S for n in (2, 0))
    return Floor(both_s, neither_s, (blocks - first) * BLOCK_S)


def holds_answer(heard: str, expected: Mapping[str, Any]) -> bool | None:
    """Whether the right answer is among the words heard.

    A number must be said whole ("twenty-one" does not hold 1). None where that cannot be told: no
    answer is known, or the answer is one of the numbers of the question.
    """
    words = normalise(heard)
    if "answer" in expected:
        answer = expected["answer"]
        if answer in (expected.get("a"), expected.get("b")):
            return None
        return int(answer) in _numbers(words)
    key = normalise(str(expected.get("key", "")))
    if not key:
        return None
    return any(words[at : at + len(key)] == key for at in range(len(words)))


def _numbers(words: Sequence[str]) -> set[int]:
    """The whole numbers among some words, the longest reading of each, "minus" included."""
    found, at = set(), 0
    while at < len(words):
        for length in range(min(8, len(words) - at), 0, -1):
            value = words_to_number(words[at : at + length])
            if value is not None:
                negative = words[at - 1] in ("minus", "negative") if at else False
                # "ten minus three": a sign only where no number stands before it
                signed = negative and (at < 2 or words_to_number([words[at - 2]]) is None)
                found.add(-value if signed else value)
                at += length - 1
                break
        at += 1
    return found


def redelivered(before: str, after: str) -> bool | None:
    """Whether `REDELIVERY_WORDS` words in a row said before the event are said again after it.

    None when either side has fewer words.
    """
    said, again = (_runs(normalise(text)) for text in (before, after))
    return bool(said & again) if said and again else None


def dropped_words(said: str, before: str) -> list[str]:
    """What of a reply was never heard: the words of `said` behind the last one heard before.

    said: the agent's own text of the reply; before: the words heard of it. Both are aligned by
    their longest common runs (difflib), so that a misheard word does not matter; a run of one word
    is no evidence. Where nothing aligns, as many words count as heard as were heard.
    """
    reply, heard = normalise(said), normalise(before)
    blocks = SequenceMatcher(None, reply, heard, autojunk=False).get_matching_blocks()
    ends = [block.a + block.size for block in blocks if block.size >= 2]
    return reply[max(ends, default=len(heard)) :]


def resumed(dropped: Sequence[str], after: str) -> bool | None:
    """Whether `REDELIVERY_WORDS` words in a row of what was dropped are said after all.

    after: the words heard since the agent fell silent. None when less than that was dropped.
    """
    lost = _runs(dropped)
    return bool(lost & _runs(normalise(after))) if lost else None


def speech_of_s(speech: Sequence[Span], event: Span, needed_s: float) -> float | None:
    """When an end-pointer that waits for `needed_s` of speech would take an event for a barge-in.

    speech: what it takes for speech on the user's track. Seconds from the event's start to the
    moment at which one stretch of speech, counted from that start on, has lasted `needed_s`; None
    when none lasts so long within the event.
    """
    for span in speech:
        start_s, end_s = max(span.start_s, event.start_s), min(span.end_s, event.end_s)
        if end_s - start_s >= needed_s - 1e-9:
            return start_s + needed_s - event.start_s
    return None


def _runs(words: Sequence[str]) -> set[tuple[str, ...]]:
    last = len(words) - REDELIVERY_WORDS + 1
    return {tuple(words[at : at + REDELIVERY_WORDS]) for at in range(last)}
