"""Verbatim copies in text: which words of an output are words of a training text, in order.

Texts are normalised words (`sts_eval.judges.text.normalise`). A training set becomes an index of
all its word trigrams (sorted 64-bit keys), so that a query costs time in proportion to the output
and to what it hits, not to the training set. For each training text that shares a trigram:

    span        longest run of words in a row that both have
    edits       fewest insertions, deletions and substitutions that turn the text into a part of
                the output (Sellers, J. Algorithms 1980); similarity = 1 - edits / words of the text
    distinctive words of the copied part that no *licence* explains, less the edits

A licence is the prior control: word positions of the output that lie in a trigram which the prompt,
the expected answer, a list of common phrases, or more than `TEMPLATE_TEXTS` different training
texts hold ("the capital of"). Such words would have been said by a model that never saw this text
(prior-aware and counterfactual memorisation: Zhang et al. 2023, arXiv:2112.12938).

A **copy** is a run of `SPAN_WORDS` distinctive words, or a text of which at most `EDIT_SHARE` is
wrong with `DISTINCTIVE_WORDS` distinctive words. Texts under `SHORT_WORDS` words are never copies:
chance says them too. Every such near-verbatim copy shares a trigram with its text: of n >= 6 words
with floor(n/5) errors, three in a row are right, so the index misses none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GRAM = 3
SPAN_WORDS = 8
EDIT_SHARE = 0.2
DISTINCTIVE_WORDS = 5
SHORT_WORDS = 6
TEMPLATE_TEXTS = 4
MAX_ALIGNED = 64  # texts that are aligned for one output, those with most trigrams in common first

Words = Sequence[str]
Gram = tuple[str, ...]
_BITS = 21  # a trigram of word numbers in one 64-bit key


@dataclass(frozen=True)
class TextMatch:
    """What an output shares with one training text.

    text: its number in the index. start, end: words of the output. span: longest run in common.
    distinctive: words of [start, end) that no licence explains, less the edits (see the module).
    similarity: 1 - edits / words of the text, at least 0. copy: see the module.
    """

    text: int
    start: int
    end: int
    span: int
    distinctive: int
    similarity: float
    copy: bool


def grams(words: Words) -> set[Gram]:
    """All trigrams of some words."""
    return {tuple(words[at : at + GRAM]) for at in range(len(words) - GRAM + 1)}


def align(text: Words, output: Words) -> tuple[int, int, int]:
    """(edits, start, end): the part of the output that is nearest to the whole text (Sellers).

    Of equally near parts the first and, from the same end, the shortest is taken. An empty output
    costs every word of the text.
    """
    # row i: cost of text[:i] against a part of the output that ends at j, and where it starts
    cost = [0] * (len(output) + 1)
    begin = list(range(len(output) + 1))
    for i, word in enumerate(text, start=1):
        above, above_begin = cost, begin
        cost, begin = [i], [0]
        for j, said in enumerate(output, start=1):
            best = (above[j - 1] + (word != said), -above_begin[j - 1])
            best = min(best, (above[j] + 1, -above_begin[j]), (cost[j - 1] + 1, -begin[j - 1]))
            cost.append(best[0])
            begin.append(-best[1])
    end = min(range(len(cost)), key=lambda j: (cost[j], j))
    return cost[end], begin[end], end


def similarity(text: Words, output: Words) -> float:
    """1 - edits / words of the text, between 0 and 1; 0 for an empty text."""
    if not text:
        return 0.0
    return max(0.0, 1.0 - align(text, output)[0] / len(text))


class TextIndex:
    """The trigrams of a training set. Build once, ask often; nothing in it changes.

    texts: normalised words of each text; the same words twice are two texts of which the first is
    found.
    """

    def __init__(self, texts: Iterable[Words]) -> None:
        self.texts: tuple[tuple[str, ...], ...] = tuple(tuple(words) for words in texts)
        self._number = {
            word: n for n, word in enumerate(sorted({w for t in self.texts for w in t}), start=1)
        }
        if len(self._number) >= 1 << _BITS:
            raise ValueError(f"more than {1 << _BITS} different words")
        keys, texts_of, places = [], [], []
        first: dict[tuple[str, ...], int] = {}
        for number, words in enumerate(self.texts):
            if first.setdefault(words, number) != number or len(words) < GRAM:
                continue
            made = self._keys(words)
            keys.append(made)
            texts_of.append(np.full(made.size, number, np.int64))
            places.append(np.arange(made.size))
        joined = _joined(keys)
        order = np.argsort(joined, kind="stable")
        self._keys_sorted = joined[order]
        self._text_of = _joined(texts_of)[order]
        self._place_of = _joined(places)[order]

    def _keys(self, words: Words) -> NDArray[np.int64]:
        """int64 [n - 2]: one key for each trigram; 0 where a word is unknown."""
        ids = np.array([self._number.get(word, 0) for word in words], np.int64)
        if ids.size < GRAM:
            return np.zeros(0, np.int64)
        key = (ids[:-2] << 2 * _BITS) | (ids[1:-1] << _BITS) | ids[2:]
        known = (ids[:-2] > 0) & (ids[1:-1] > 0) & (ids[2:] > 0)
        return np.where(known, key, 0)

    def _ranges(self, words: Words) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each trigram of some words, where its postings begin and how many there are."""
        keys = self._keys(words)
        low = np.searchsorted(self._keys_sorted, keys, "left")
        high = np.searchsorted(self._keys_sorted, keys, "right")
        return low, np.where(keys > 0, high - low, 0)

    def template_positions(self, words: Words) -> NDArray[np.bool_]:
        """bool [n]: words that lie in a trigram of more than TEMPLATE_TEXTS different texts."""
        covered = np.zeros(len(words), np.bool_)
        low, count = self._ranges(words)
        for at in np.flatnonzero(count > TEMPLATE_TEXTS):
            where = slice(low[at], low[at] + count[at])
            if np.unique(self._text_of[where]).size > TEMPLATE_TEXTS:
                covered[at : at + GRAM] = True
        return covered

    def hits(self, words: Words) -> NDArray[np.int64]:
        """int64 [hits, 3]: (text, place in the text, place in the words) of shared trigrams."""
        low, count = self._ranges(words)
        said = np.repeat(np.arange(count.size), count)
        first = np.repeat(np.cumsum(count) - count, count)
        rows = np.repeat(low, count) + np.arange(said.size) - first
        return np.stack([self._text_of[rows], self._place_of[rows], said], axis=1)


def licensed_positions(
    index: TextIndex, output: Words, licences: Collection[Gram]
) -> NDArray[np.bool_]:
    """bool [n]: words of the output that a licence or a template explains (see the module)."""
    covered = index.template_positions(output)
    for at in range(len(output) - GRAM + 1):
        if tuple(output[at : at + GRAM]) in licences:
            covered[at : at + GRAM] = True
    return covered


def find_copies(
    index: TextIndex,
    output: Words,
    licences: Collection[Gram] = (),
    skip: Collection[int] = (),
) -> list[TextMatch]:
    """What the output shares with the training set: copies first, then the most distinctive.

    skip: numbers of texts that do not count here (all that they say is licensed).
    """
    hits = index.hits(output)
    if skip:
        hits = hits[~np.isin(hits[:, 0], list(skip))]
    if not hits.size:
        return []
    free = ~licensed_positions(index, output, licences)
    runs = _longest_runs(hits)
    texts, shared = np.unique(hits[:, 0], return_counts=True)
    nearest = texts[np.argsort(-shared, kind="stable")][:MAX_ALIGNED]
    matches = [_match(int(text), index, output, free, runs[int(text)]) for text in nearest]
    key = lambda m: (not m.copy, -m.distinctive, -m.similarity, m.text)  # noqa: E731
    return sorted(matches, key=key)


def _match(
    text: int, index: TextIndex, output: Words, free: NDArray[np.bool_], run: tuple[int, int]
) -> TextMatch:
    words = index.texts[text]
    edits, start, end = align(words, output)
    near = max(0, int(free[start:end].sum()) - edits)
    wrong = edits / len(words)
    run_start, span = run
    run_free = int(free[run_start : run_start + span].sum())
    is_near = len(words) >= SHORT_WORDS and wrong <= EDIT_SHARE and near >= DISTINCTIVE_WORDS
    if run_free > near:
        start, end = run_start, run_start + span
    copy = is_near or run_free >= SPAN_WORDS
    return TextMatch(text, start, end, span, max(near, run_free), max(0.0, 1.0 - wrong), copy)


def _longest_runs(hits: NDArray[np.int64]) -> dict[int, tuple[int, int]]:
    """Per text the longest run of words: (place in the output, words)."""
    order = np.lexsort((hits[:, 2], hits[:, 1] - hits[:, 2], hits[:, 0]))
    text, place, said = hits[order].T
    goes_on = (np.diff(text) == 0) & (np.diff(place - said) == 0) & (np.diff(said) == 1)
    starts = np.flatnonzero(np.concatenate([[True], ~goes_on]))
    lengths = np.diff(np.concatenate([starts, [text.size]])) + GRAM - 1
    best: dict[int, tuple[int, int]] = {}
    for at, length in zip(starts, lengths, strict=True):
        if length > best.get(int(text[at]), (0, 0))[1]:
            best[int(text[at])] = (int(said[at]), int(length))
    return best


def copied_share(
    index: TextIndex, output: Words, licences: Collection[Gram] = (), skip: Collection[int] = ()
) -> float | None:
    """Share of the words that lie in a trigram of the training set and are not licensed.

    None for fewer than GRAM words.
    """
    if len(output) < GRAM:
        return None
    hits = index.hits(output)
    if skip:
        hits = hits[~np.isin(hits[:, 0], list(skip))]
    copied = np.zeros(len(output), np.bool_)
    for at in np.unique(hits[:, 2]):
        copied[at : at + GRAM] = True
    return float(np.mean(copied & ~licensed_positions(index, output, licences)))


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
