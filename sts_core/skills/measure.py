"""From runs to outcomes: what counts for a skill, and how it is found on the agent's channel.

    answer       what the recogniser hears from the user's end on (barge-in: from the cue's end on)
    onset        first 10 ms at or above -45 dBFS after the user's end, minus that end
    silent       nothing audible from 400 ms to 1 s after the user's barge-in began
    keeps on     after a back-channel never silent for so long that 700 ms are missing of what
                 the same answer has if nobody speaks (its own pauses are not missing), counted in
                 silences that begin within 1.5 s
    takeover     audible inside the user's pause (until its end)
    false start  a stretch of speech, 1 s or more after the one before, while nobody asked anything
    agreement    word errors between the inner monologue and what the recogniser heard

An outcome is a number of one take: 0 or 1 for a share, else milliseconds, errors or counts. What
cannot be measured on a take (the agent never spoke, so it was not interrupted) has no outcome and
is counted apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sts_core.data.scenes import is_unseen
from sts_core.skills.answers import heard_words, is_refusal, is_right, reply_tone, word_errors
from sts_core.skills.run import Audio, Ran, audible_blocks
from sts_core.units import SAMPLE_RATE_HZ

Hear = Callable[[Audio], str]
"""A recogniser: speech float32 [S] at 24 kHz -> its words."""

STOP_S, STOP_FOR_S = 0.4, 0.6
ON_S, ON_MISSING_S = 1.5, 0.7
NEW_START_S = 1.0
EDGE_S = 0.1


@dataclass(frozen=True)
class Outcome:
    """One value of one skill's measure; weight: reference words of word errors, else 1."""

    measure: str
    take: str
    voice: str
    value: float
    weight: float = 1.0


@dataclass
class Outcomes:
    """All outcomes, what was heard, and how often each measure could not be taken."""

    found: list[Outcome] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)
    transcripts: list[dict[str, str]] = field(default_factory=list)

    def of(self, measure: str) -> list[Outcome]:
        """The outcomes of one measure."""
        return [each for each in self.found if each.measure == measure]

    def add(self, ran: Ran, measure: str, value: float | None, weight: float = 1.0) -> None:
        """An outcome of a take; None: it could not be measured."""
        if value is None:
            self.missing[measure] = self.missing.get(measure, 0) + 1
            return
        voice = str(ran.take.row.get("voice", ran.take.row.get("id", "")))
        self.found.append(Outcome(measure, ran.take.id, voice, float(value), weight))


def measure(runs: Iterable[Ran], hear: Hear) -> Outcomes:
    """The outcomes of runs of any skills."""
    outcomes = Outcomes()
    for ran in runs:
        _OF[ran.take.skill](ran, hear, outcomes)
    return outcomes


def _heard(
    ran: Ran, from_s: float, hear: Hear, outcomes: Outcomes
) -> tuple[list[str], float | None]:
    """The words of the answer after a moment, and when it begins."""
    onset_s = ran.onset_s(from_s)
    words: list[str] = []
    if onset_s is not None:
        last = np.flatnonzero(ran.audible)[-1] / 100 + EDGE_S
        start = round(max(0.0, onset_s - EDGE_S) * SAMPLE_RATE_HZ)
        words = heard_words(hear(ran.agent[start : round(last * SAMPLE_RATE_HZ)]))
    row = {
        "take": ran.take.id,
        "skill": ran.take.skill,
        "user": str(ran.take.row.get("text", "")),
        "inner": " ".join("".join(text for _, text in ran.text).split()),
        "heard": " ".join(words),
    }
    outcomes.transcripts.append(row)
    return words, onset_s


def _question(ran: Ran, hear: Hear, outcomes: Outcomes) -> None:
    take, row = ran.take, ran.take.row
    words, onset_s = _heard(ran, take.turn_end_s, hear, outcomes)
    right = float(is_right(row, words))
    if take.skill == "sums":
        unseen = is_unseen(row["op"], row["a"], row["b"])
        outcomes.add(ran, "sums_never_trained" if unseen else "sums", right)
    elif take.skill == "facts":
        outcomes.add(ran, "facts", right)
    else:
        outcomes.add(ran, "refusals", right)
    if take.skill != "unanswerable":
        outcomes.add(ran, "false_refusals", float(is_refusal(words)))
    _onset(ran, onset_s, outcomes)
    _agreement(ran, words, outcomes)


def _onset(ran: Ran, onset_s: float | None, outcomes: Outcomes) -> None:
    """Signed: an agent that is speaking when the turn ends began before it."""
    end_s = ran.take.turn_end_s
    if onset_s is not None and onset_s - end_s < 0.02:
        heard = ran.audible[: round(end_s * 100) + 1]
        quiet = np.flatnonzero(~heard)
        onset_s = (int(quiet[-1]) + 1) / 100 if quiet.size else 0.0
    outcomes.add(ran, "onset_ms", None if onset_s is None else 1000 * (onset_s - end_s))


def _agreement(ran: Ran, words: list[str], outcomes: Outcomes) -> None:
    inner = heard_words("".join(text for _, text in ran.text))
    if not inner and not words:
        outcomes.add(ran, "agreement", None)
        return
    outcomes.add(ran, "agreement", word_errors(inner, words), weight=len(inner))


def _pause(ran: Ran, hear: Hear, outcomes: Outcomes) -> None:
    assert ran.take.pause_s is not None
    start_s, end_s = ran.take.pause_s
    inside = ran.audible[round(start_s * 100) : round(end_s * 100)]
    outcomes.add(ran, "takeovers", float(inside.any()))


def _barge_in(ran: Ran, hear: Hear, outcomes: Outcomes) -> None:
    cue, event_s = ran.take.cue, ran.event_s
    speaking = event_s is not None and _near(ran, event_s)
    if cue is None or event_s is None or not speaking:
        outcomes.add(ran, "stops", None)
        outcomes.add(ran, "answers_new", None)
        return
    after = round((event_s + STOP_S) * 100)
    outcomes.add(
        ran, "stops", float(not ran.audible[after : after + round(STOP_FOR_S * 100)].any())
    )
    words, _ = _heard(ran, event_s + cue.audio.size / SAMPLE_RATE_HZ, hear, outcomes)
    outcomes.add(ran, "answers_new", float(is_right(cue.row, words)))


def _near(ran: Ran, moment_s: float) -> bool:
    """Whether the agent is speaking around a moment (200 ms either way)."""
    at = round(moment_s * 100)
    return bool(ran.audible[max(0, at - 20) : at + 20].any())


def _back_channel(ran: Ran, hear: Hear, outcomes: Outcomes) -> None:
    if ran.event_s is None or ran.undisturbed is None or not _near(ran, ran.event_s):
        outcomes.add(ran, "keeps_on", None)
        return
    at = round(ran.event_s * 100)
    missing = _longest_missing(ran.audible[at:], audible_blocks(ran.undisturbed)[at:])
    outcomes.add(ran, "keeps_on", float(missing < ON_MISSING_S * 100))


def _longest_missing(audible: NDArray[np.bool_], undisturbed: NDArray[np.bool_]) -> int:
    """Blocks of 10 ms that are missing in the worst silence that begins within ON_S."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], audible, [True]]).astype(int)))
    silences = [(a, b) for a, b in edges.reshape(-1, 2).tolist() if a < ON_S * 100]
    return max((int(undisturbed[a:b].sum()) for a, b in silences), default=0)


def _tone(ran: Ran, hear: Hear, outcomes: Outcomes) -> None:
    words, _ = _heard(ran, ran.take.turn_end_s, hear, outcomes)
    outcomes.add(ran, "tones", float(reply_tone(words) == ran.take.tone))


def _quiet(ran: Ran, hear: Hear, outcomes: Outcomes) -> None:
    outcomes.add(ran, "false_starts", false_starts(ran), weight=ran.agent.size / SAMPLE_RATE_HZ)


def false_starts(ran: Ran) -> int:
    """How often the agent began to speak, a second or more after it had last been heard."""
    loud = np.flatnonzero(ran.audible)
    return int(loud.size > 0) + int((np.diff(loud) > NEW_START_S * 100).sum()) if loud.size else 0


_OF: dict[str, Callable[[Ran, Hear, Outcomes], None]] = {
    "sums": _question,
    "facts": _question,
    "unanswerable": _question,
    "pauses": _pause,
    "barge_in": _barge_in,
    "back_channel": _back_channel,
    "tones": _tone,
    "quiet": _quiet,
}
