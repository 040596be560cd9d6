"""From a channel to turns: where they begin and end, what was said in them, what they measure.

Stretches of speech that are less than `join_s` apart are one turn; one that is longer than
`most_turn_s` is parted at its longest pauses. Each limit of `Limits` that a turn breaks is a reason
against it: "code: what was found".
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from sts_core.asr.vad import Span
from sts_core.data.synth import EDGE_S
from sts_core.recordings.quality import (
    SAME_VOICE,
    Audio,
    bleed,
    hop_powers,
    hops_inside,
    overlap_s,
    pause_power,
    power_db,
    quietest_power,
    snr_db,
)
from sts_core.recordings.sound import Recording
from sts_core.recordings.transcripts import agreement, share_out, words_said
from sts_core.units import HOP_RATE_HZ, SAMPLE_RATE_HZ

SAME_LEVEL_DB = -1.0  # a voice as loud as this on the other channel belongs there
ECHO_S = 0.3  # of sound around a stretch of speech are compared: less is alike by chance
MOST_CHARACTERS_PER_S = 40.0  # more than anybody says
HEARD_LANGUAGE = "en"  # of the recogniser and of the phonemes

Recogniser = Callable[[Audio], str]


@dataclass(frozen=True)
class Limits:
    """What a turn must be like, and how recordings are cut into turns.

    Attributes:
        least_snr_db, most_clipped, least_level_dbfs: see `sts_core.recordings.quality`.
        most_overlap: of a single utterance; a conversation may overlap as it likes.
        most_bleed_db: how loud a speaker's usual turn may be on the other channel.
        least_agreement: of a given transcript with the recogniser.
        least_speech_s: speech in a turn.
        most_turn_s, join_s: see the module.
        longest_s: length of a recording.
    """

    least_snr_db: float = 15.0
    most_clipped: float = 0.001
    least_level_dbfs: float = -45.0
    most_overlap: float = 0.5
    most_bleed_db: float = -25.0
    least_agreement: float = 0.7
    least_speech_s: float = 0.3
    most_turn_s: float = 15.0
    join_s: float = 0.5
    longest_s: float = 1800.0


@dataclass
class Turn:
    """One turn of one channel.

    heard: by the recogniser; None where it was not asked. echo: it is the other speaker's voice.
    """

    span: Span
    speech: list[Span]
    echo: bool = False
    text: str = ""
    heard: str | None = None
    measures: dict[str, float | None] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    @property
    def speech_s(self) -> float:
        """Net speech."""
        return sum(end - start for start, end in self.speech)

    @property
    def good(self) -> bool:
        """Fit for training on, were it not for the other speaker's voice over it."""
        return all(reason.startswith("overlap:") for reason in self.reasons)


def find_turns(spans: Sequence[Span], limits: Limits) -> list[Turn]:
    """Turns from stretches of speech, which are in order and apart."""
    groups: list[list[Span]] = []
    for span in spans:
        if groups and span.start_s - groups[-1][-1].end_s < limits.join_s:
            groups[-1].append(span)
        else:
            groups.append([span])
    parts = [part for group in groups for part in _parted(group, limits.most_turn_s)]
    return [Turn(Span(part[0].start_s, part[-1].end_s), part) for part in parts]


def _parted(group: list[Span], most_s: float) -> list[list[Span]]:
    if len(group) < 2 or group[-1].end_s - group[0].start_s <= most_s:
        return [group]
    pauses = [b.start_s - a.end_s for a, b in itertools.pairwise(group)]
    at = int(np.argmax(pauses)) + 1
    return _parted(group[:at], most_s) + _parted(group[at:], most_s)


def echoes(spans: Sequence[Span], own: Audio, other: Audio) -> list[Span]:
    """Those stretches of speech on a channel that are the voice of the other channel."""
    found = []
    for span in spans:
        around_s = max(0.0, ECHO_S - (span.end_s - span.start_s)) / 2
        leak_db = bleed(cut(own, span, around_s), cut(other, span, around_s)).into_other_db
        if leak_db is not None and leak_db > SAME_LEVEL_DB:
            found.append(span)
    return found


def cut(audio: Audio, span: Span, edge_s: float = EDGE_S) -> Audio:
    """The sound of a span with `edge_s` around it, silence where the recording has no more."""
    first = round((span.start_s - edge_s) * SAMPLE_RATE_HZ)
    last = round((span.end_s + edge_s) * SAMPLE_RATE_HZ)
    before, after = max(0, -first), max(0, last - audio.size)
    return np.pad(audio[max(0, first) : max(0, last)], (before, after))


def add_words(
    turns: list[Turn], audio: Audio, given: str | None, lang: str, recognise: Recogniser
) -> None:
    """Put words into turns: those given for the channel, else those the recogniser hears.

    Where both are there, `sts_core.recordings.transcripts.agreement` is measured.
    """
    if lang != HEARD_LANGUAGE:
        for turn in turns:
            turn.not_measured["agreement"] = f"the recogniser knows {HEARD_LANGUAGE}, not {lang}"
            if given is not None and len(turns) == 1:
                turn.text = given
        return
    turns = [turn for turn in turns if not turn.echo]
    for turn in turns:
        turn.heard = recognise(cut(audio, turn.span))
    heard = [turn.heard or "" for turn in turns]
    parts = heard if given is None or not turns else share_out(given, heard)
    for turn, text in zip(turns, parts, strict=True):
        turn.text = text
        agreed = agreement(text, turn.heard or "")
        if given is None:
            turn.not_measured["agreement"] = "no transcript was given"
        elif agreed is not None:
            turn.measures["agreement"] = agreed
        else:
            turn.not_measured["agreement"] = "the transcript has no words here"


def measure(turns: list[Turn], recording: Recording, channel: int) -> None:
    """Level, noise and clipping of the turns of a channel."""
    audio = recording.channels[channel]
    powers = hop_powers(audio)
    speech = [span for turn in turns for span in turn.speech]
    noise = pause_power(powers, speech)
    for turn in turns:
        inside = hops_inside(turn.speech, powers.size)
        whole = hops_inside([turn.span], powers.size)
        if not inside.any():
            turn.reasons.append("short: less than 10 ms of speech")
            continue
        power = float(powers[inside].mean())
        floor = noise if noise is not None else quietest_power(powers[whole])
        clipped = recording.clipped[channel][: powers.size][whole].sum()
        samples = whole.sum() * recording.rate_hz / HOP_RATE_HZ
        turn.measures |= {
            "speech_s": turn.speech_s,
            "level_dbfs": power_db(power),
            "snr_db": snr_db(power, floor),
            "clipped": min(1.0, float(clipped / samples)),
        }
        if noise is None:
            turn.not_measured["noise"] = "fewer than 0.3 s of pauses: from the quietest speech"


def measure_against(
    turns: list[Turn], recording: Recording, channel: int, other_speech: Sequence[Span]
) -> None:
    """Overlap and bleed of the turns of a channel of two."""
    own, other = recording.channels[channel], recording.channels[1 - channel]
    for turn in turns:
        found = bleed(cut(own, turn.span, 0.0), cut(other, turn.span, 0.0))
        turn.measures |= {
            "overlap": overlap_s(turn.speech, other_speech) / max(turn.speech_s, 1e-9),
            "bleed_correlation": found.correlation,
            "bleed_db": found.into_other_db,
        }
        if found.into_other_db is None:
            below = f"channels correlate by less than {SAME_VOICE:g}"
            turn.not_measured["bleed_db"] = below


def judge(turns: list[Turn], limits: Limits, lang: str) -> None:
    """Add every reason against each turn."""
    for turn in turns:
        found = turn.measures
        if turn.echo:
            turn.reasons.append("bleed: the voice of the other channel")
            continue
        if turn.speech_s < limits.least_speech_s:
            turn.reasons.append(f"short: {turn.speech_s:.2f} s of speech")
        length_s = turn.span.end_s - turn.span.start_s
        if length_s > limits.most_turn_s:
            turn.reasons.append(f"long: {length_s:.1f} s without a pause")
        _against(turn, "snr", found.get("snr_db"), limits.least_snr_db, "dB", low=True)
        _against(turn, "level", found.get("level_dbfs"), limits.least_level_dbfs, "dBFS", low=True)
        _against(turn, "clipped", found.get("clipped"), limits.most_clipped, "of the samples")
        _against(turn, "overlap", found.get("overlap"), limits.most_overlap, "of the speech")
        _against(turn, "agreement", found.get("agreement"), limits.least_agreement, "", low=True)
        if lang == HEARD_LANGUAGE and not words_said(turn.text):
            turn.reasons.append("words: none were heard or given")
        elif len(turn.text) > MOST_CHARACTERS_PER_S * (1.0 + length_s):
            turn.reasons.append(f"words: {len(turn.text)} characters in {length_s:.1f} s")
        elif not turn.text:
            turn.reasons.append(f"words: no transcript for this turn, and its language is {lang}")


def _against(
    turn: Turn, code: str, value: float | None, bound: float, unit: str, *, low: bool = False
) -> None:
    if value is None or (value >= bound if low else value <= bound):
        return
    side = "below" if low else "above"
    turn.reasons.append(f"{code}: {value:.3g} {unit}".rstrip() + f", {side} {bound:g}")
