"""Full-Duplex-Bench v1.0 and v1.5: the published turn-taking rules, exactly as they are coded.

Words are those of an item's `output.json`, times in seconds of the file, ends possibly null; speech
segments are those of Silero VAD with its own defaults. Rules (`v1_v1.5/evaluation` of the authors'
repository; Lin et al., "Full-Duplex-Bench", 2025, section 3; v1.5: 2025, section 4):

- takeover (TOR): 0 without words; 0 if (end of the last word - start of the first) < 1 s and there
  are at most 3 words; else 1. The whole file counts, before and after the user's turn.
- latency: start of the first word - end of the user's turn, TOR = 1 only, negative values become 0.
- back-channel: segments in order; longer than 3 s: TOR 1 and stop; more than 3 words, 1 s or
  longer, or more than 2 words: TOR 1 and all back-channels so far are forgotten; else TOR 0 and one
  back-channel more. Frequency = back-channels / seconds of the file.
- Jensen-Shannon distance (natural log) between the back-channels in 0.2 s bins (+ 1e-10,
  normalised) and the item's human density, resampled to as many bins; 1.0 without a back-channel.
- v1.5: user and model segments, gaps up to 0.6 s and 0.5 s closed; stop latency = length of each
  overlap, response latency = end of a user segment to the next model onset, in whole ms.

What is wrong with these rules is told by the metrics' contracts (`full_duplex_bench_specs`); none
of it is repaired here, so that published numbers can be reproduced. Where the published code stops
with an exception, `RuleUndefined` says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

Segment = tuple[float, float]
"""(start_s, end_s) of a stretch of speech."""

TURN_SPAN_S: Final = 1.0
TURN_WORDS: Final = 3
FORMAL_SPEECH_S: Final = 3.0
BACKCHANNEL_S: Final = 1.0
BACKCHANNEL_WORDS: Final = 2
BIN_S: Final = 0.2
EPSILON: Final = 1e-10
NO_BACKCHANNEL_JSD: Final = 1.0
USER_MERGE_GAP_S: Final = 0.6
MODEL_MERGE_GAP_S: Final = 0.5

VAD_RATE_HZ: Final = 16_000
VAD_CHUNK_SAMPLES: Final = 512
VAD_THRESHOLD: Final = 0.5
VAD_LOW_THRESHOLD: Final = 0.35
VAD_MIN_SPEECH_SAMPLES: Final = 4_000
VAD_MIN_SILENCE_SAMPLES: Final = 1_600
VAD_PAD_SAMPLES: Final = 480


class RuleUndefined(ValueError):
    """The published code gives no value here; the message says why."""


class FdbWord(NamedTuple):
    """A word of `output.json`: a chunk with its timestamp, either side of which may be null."""

    text: str
    start_s: float | None
    end_s: float | None


@dataclass(frozen=True)
class Backchannels:
    """What the segment rule finds: TOR, and the segments it takes for back-channels."""

    took_turn: bool
    segments: tuple[Segment, ...]


def takeover(words: Sequence[FdbWord]) -> bool:
    """The published TOR of an item. Raises RuleUndefined when an outer time is null."""
    if not words:
        return False
    start_s, end_s = words[0].start_s, words[-1].end_s
    if start_s is None or end_s is None:
        which = "first word has no start" if start_s is None else "last word has no end"
        raise RuleUndefined(f"the published code fails on this output.json: the {which} time")
    return end_s - start_s >= TURN_SPAN_S or len(words) > TURN_WORDS


def latency_s(words: Sequence[FdbWord], user_end_s: float) -> float | None:
    """The published latency, never negative; None when TOR is 0. Raises RuleUndefined."""
    if not takeover(words):
        return None
    start_s = words[0].start_s
    assert start_s is not None
    return max(0.0, start_s - user_end_s)


def silero_segments(probabilities: Sequence[float], samples: int) -> list[tuple[int, int]]:
    """Silero's segments with its defaults, in samples at 16 kHz.

    probabilities: one per 512 samples, [ceil(samples / 512)]. A segment begins at p >= 0.5, ends
    where p has been below 0.35 for 100 ms, lasts more than 250 ms and is padded by 30 ms.
    """
    found: list[tuple[int, int]] = []
    start = quiet_from = -1
    for index, probability in enumerate(probabilities):
        at = index * VAD_CHUNK_SAMPLES
        if probability >= VAD_THRESHOLD:
            quiet_from = -1
            start = at if start < 0 else start
        elif start >= 0 and probability < VAD_LOW_THRESHOLD:
            quiet_from = at if quiet_from < 0 else quiet_from
            if at - quiet_from >= VAD_MIN_SILENCE_SAMPLES:
                if quiet_from - start > VAD_MIN_SPEECH_SAMPLES:
                    found.append((start, quiet_from))
                start = quiet_from = -1
    if start >= 0 and samples - start > VAD_MIN_SPEECH_SAMPLES:
        found.append((start, samples))
    return _padded(found, samples)


def _padded(segments: list[tuple[int, int]], samples: int) -> list[tuple[int, int]]:
    """30 ms more on both sides; neighbours closer than 60 ms share what is between them."""
    padded = [list(segment) for segment in segments]
    for index, segment in enumerate(padded):
        if index == 0:
            segment[0] = max(0, segment[0] - VAD_PAD_SAMPLES)
        if index + 1 == len(padded):
            segment[1] = min(samples, segment[1] + VAD_PAD_SAMPLES)
            continue
        following = padded[index + 1]
        pad = min(VAD_PAD_SAMPLES, (following[0] - segment[1]) // 2)
        segment[1] += pad
        following[0] -= pad
    return [(start, end) for start, end in padded]


def rounded(segments: Sequence[Segment], file_s: float) -> list[Segment]:
    """Segments as the back-channel rule sees them: to 0.1 s, not beyond the file."""
    return [(round(start_s, 1), min(round(end_s, 1), file_s)) for start_s, end_s in segments]


def backchannels(segments: Sequence[Segment], words: Sequence[FdbWord]) -> Backchannels:
    """The segment rule, including that each segment overwrites the TOR of those before it."""
    took_turn = False
    kept: list[Segment] = []
    for segment in segments:
        duration_s = segment[1] - segment[0]
        if duration_s > FORMAL_SPEECH_S:
            took_turn = True
            break
        count = sum(_touches(word, segment) for word in words)
        took_turn = duration_s >= BACKCHANNEL_S or count > BACKCHANNEL_WORDS
        kept = [] if took_turn else [*kept, segment]
    return Backchannels(took_turn, tuple(kept))


def _touches(word: FdbWord, segment: Segment) -> bool:
    """Whether the published code counts a word for a segment."""
    start_s, end_s = segment
    if word.start_s is None or (word.end_s is None and word.start_s < end_s):
        return False
    word_end_s = word.start_s if word.end_s is None else word.end_s
    inside = word.start_s >= start_s and word_end_s <= end_s
    over_end = word.start_s <= end_s < word_end_s
    over_start = word.start_s <= start_s < word_end_s
    return inside or over_end or over_start


def backchannel_jsd(
    segments: Sequence[Segment], file_s: float, human_density: Sequence[float]
) -> float:
    """Distance between the back-channels' timing and people's; 1.0 without a back-channel.

    human_density: at least 2 values, not negative, not all 0.
    """
    if not segments:
        return NO_BACKCHANNEL_JSD
    from scipy.spatial.distance import jensenshannon

    counts = np.full(int(file_s / BIN_S) + 1, EPSILON)
    for start_s, end_s in segments:
        counts[int(start_s / BIN_S) : int(end_s / BIN_S) + 1] += 1
    place = np.linspace(0, 1, counts.size)
    human = np.interp(place, np.linspace(0, 1, len(human_density)), human_density)
    distance = float(jensenshannon(counts / counts.sum(), human))
    if not math.isfinite(distance):
        raise RuleUndefined("the human density gives no finite distance")
    return distance


def merged(segments: Sequence[Segment], gap_s: float) -> list[Segment]:
    """Segments with every gap of at most `gap_s` closed."""
    joined: list[Segment] = []
    for start_s, end_s in sorted(segments):
        if joined and start_s - joined[-1][1] <= gap_s:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end_s))
        else:
            joined.append((start_s, end_s))
    return joined


def stop_intervals(user: Sequence[Segment], model: Sequence[Segment]) -> list[Segment]:
    """v1.5 stop latency: every overlap of (merged) user and model segments, to the ms.

    Of overlaps that end in the same ms the shortest is kept.
    """
    shortest: dict[int, Segment] = {}
    for user_start_s, user_end_s in user:
        for model_start_s, model_end_s in model:
            start_s, end_s = max(user_start_s, model_start_s), min(user_end_s, model_end_s)
            key = round(end_s * 1000)
            known = shortest.get(key)
            if end_s > start_s and (known is None or end_s - start_s < known[1] - known[0]):
                shortest[key] = (start_s, end_s)
    return _to_ms(shortest.values())


def response_intervals(user: Sequence[Segment], model: Sequence[Segment]) -> list[Segment]:
    """v1.5 response latency: end of a user segment to the next model onset, to the ms.

    Of user segments with the same next onset the last one counts.
    """
    latest: dict[int, Segment] = {}
    for _, user_end_s in user:
        onset_s = next((start_s for start_s, _ in model if start_s > user_end_s), None)
        if onset_s is None:
            continue
        key = round(onset_s * 1000)
        if key not in latest or user_end_s > latest[key][0]:
            latest[key] = (user_end_s, onset_s)
    return _to_ms(latest.values())


def _to_ms(intervals: Iterable[Segment]) -> list[Segment]:
    ordered = sorted(intervals, key=lambda interval: interval[1])
    return [(round(start_s, 3), round(end_s, 3)) for start_s, end_s in ordered]
