"""When each word is spoken: forced alignment with the semantic student's phoneme posteriors.

    path = argmax over CTC paths that spell the phonemes of  sum_t log p(path_t | audio)

(Viterbi over blank, p1, blank, p2, ...: Graves et al., 2006.) Words are found by the boundaries in
the phoneme string; resolution 20 ms, the rate of the student's CTC logits.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sts_core.semantic.phonemes import BLANK, phoneme_ids

BOUNDARY = phoneme_ids("a b")[1]


class AlignError(ValueError):
    """The phonemes cannot be laid over the audio, or do not match the words."""


@dataclass(frozen=True)
class WordSpan:
    """A word and when it is spoken, in seconds."""

    word: str
    start_s: float
    end_s: float


def ctc_path(log_p: NDArray[np.float32], labels: list[int]) -> NDArray[np.int64]:
    """The best CTC path: for each frame the index of its label, or -1 where it is blank.

    Args:
        log_p: [T, V] log-probabilities, blank at 0.
        labels: label ids (1..), not empty.

    Returns:
        int64 [T], non-decreasing where not -1; every label has at least one frame.

    Raises:
        AlignError: no labels, or fewer frames than the labels need.
    """
    if not labels:
        raise AlignError("nothing to align")
    states = np.full(2 * len(labels) + 1, BLANK)
    states[1::2] = labels
    # a label may follow another without a blank only when they differ
    skip = np.zeros(states.size, dtype=bool)
    skip[3::2] = states[3::2] != states[1:-2:2]
    frames = len(log_p)
    score = np.full(states.size, -np.inf)
    score[:2] = log_p[0, states[:2]]
    back = np.zeros((frames, states.size), dtype=np.int8)
    for t in range(1, frames):
        stay, one, two = score, np.roll(score, 1), np.roll(score, 2)
        one[0] = two[:2] = -np.inf
        two = np.where(skip, two, -np.inf)
        options = np.stack([stay, one, two])
        back[t] = options.argmax(axis=0)
        score = options.max(axis=0) + log_p[t, states]
    state = states.size - 1 if score[-1] >= score[-2] else states.size - 2
    if not np.isfinite(score[state]):
        raise AlignError(f"{frames} frames are too few for {len(labels)} phonemes")
    path = np.empty(frames, dtype=np.int64)
    for t in range(frames - 1, -1, -1):
        path[t] = state // 2 if state % 2 else -1
        state -= int(back[t, state])
    return path


def align_words(
    log_p: NDArray[np.float32], phonemes: str, words: list[str], rate_hz: float
) -> list[WordSpan]:
    """The spans of the words of an utterance.

    Args:
        log_p: [T, V] log-probabilities of the student's phonemes at `rate_hz`.
        phonemes: its misaki string, words parted by spaces.
        words: its written words; where a written word is two in the string or the other way round
            (thirty-one), the spans are shared out by the number of letters.

    Raises:
        AlignError: as `ctc_path`; ValueError: phonemes outside the alphabet.
    """
    labels = phoneme_ids(phonemes)
    path = ctc_path(log_p, labels)
    group = np.cumsum(np.array(labels) == BOUNDARY)  # the spoken word that a label belongs to
    spans: list[tuple[float, float]] = []
    for number in range(int(group[-1]) + 1):
        own = [i for i in range(len(labels)) if group[i] == number and labels[i] != BOUNDARY]
        at = np.flatnonzero(np.isin(path, own))
        spans.append((at[0] / rate_hz, (at[-1] + 1) / rate_hz))
    if len(spans) != len(words):
        spans = _shared_out(spans, words)
    return [WordSpan(word, a, b) for word, (a, b) in zip(words, spans, strict=True)]


def _shared_out(spans: list[tuple[float, float]], words: list[str]) -> list[tuple[float, float]]:
    """Spans of `words` by their share of the letters, laid over the time the spans cover."""
    if not words:
        raise AlignError("phonemes without words")
    spoken = np.cumsum([0.0, *(b - a for a, b in spans)])
    letters = np.cumsum([0, *(len(word) for word in words)]) / sum(map(len, words)) * spoken[-1]
    starts = np.array([a for a, _ in spans])

    def at(position: float, side: str) -> float:
        index = int(np.clip(np.searchsorted(spoken, position, side) - 1, 0, len(spans) - 1))  # type: ignore[call-overload]
        return float(starts[index] + position - spoken[index])

    return [(at(a, "right"), at(b, "left")) for a, b in itertools.pairwise(letters)]
