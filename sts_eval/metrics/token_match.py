"""Copies in codec tokens: do two recordings have the same tokens, up to some that differ?

A codec turns the same recording, begun a fraction of a frame later or played through another codec,
into tokens of which many differ: equality of strings finds nothing. So

- each training recording is encoded at several starts (`SUB_FRAMES` of a frame), and
- alignments are scored by Hamming agreement: the share of equal tokens, averaged over the best
  `WINDOW_FRAMES` frames in a row. Tokens that make up more than `COMMON_SHARE` of the training
  set's frames (silence) never count as equal: they are the prior.

The index keeps, for each codebook and token, where it occurs; each token of the query votes for the
offset at which it would lie on an equal one, so that a query costs the votes it raises and not the
length of the training set. The offsets with most votes are then scored exactly.

Tokens come from encoding the target's audio again with one codec, so the measure works for any
target. Which codebooks are compared is the caller's choice (the overfit suite: the semantic one of
the reference codec, which holds the words). What agreement chance gives is measured
(`chance_agreement`), never assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]

WINDOW_FRAMES = 20  # 1.6 s at 12.5 frames a second
SUB_FRAMES = 4
COMMON_SHARE = 0.02
MAX_SCORED = 32


@dataclass(frozen=True)
class TokenMatch:
    """Where a query's tokens agree best with a recording's.

    recording: its number in the index. agreement: share of equal tokens over the window. start:
    first frame of the window in the query.
    """

    recording: int
    agreement: float
    start: int


def window_agreement(
    query: Codes, reference: Codes, offset: int, rare: NDArray[np.bool_] | None = None
) -> tuple[float, int]:
    """(agreement, first query frame) of the best window at one offset.

    query int64 [K, Q], reference [K, R]; query frame t lies on reference frame t - offset. rare:
    bool [K, codebook size], tokens that may count as equal (None: all). Fewer than WINDOW_FRAMES
    frames in common give (0.0, 0).
    """
    first, last = max(0, offset), min(query.shape[1], offset + reference.shape[1])
    if last - first < WINDOW_FRAMES:
        return 0.0, 0
    asked = query[:, first:last]
    same = asked == reference[:, first - offset : last - offset]  # [K, n]
    if rare is not None:
        same &= np.take_along_axis(rare, asked, axis=1)
    sums = np.concatenate([[0.0], np.cumsum(same.mean(axis=0))])
    windows = (sums[WINDOW_FRAMES:] - sums[:-WINDOW_FRAMES]) / WINDOW_FRAMES
    best = int(np.argmax(windows))
    return float(windows[best]), first + best


class TokenIndex:
    """Where each token of each codebook occurs in the recordings. Nothing in it changes.

    recordings: for each recording its codes int64 [K, T], one array for each start of a frame.
    codebook_size: tokens are below it.
    """

    def __init__(self, recordings: Sequence[Sequence[Codes]], codebook_size: int) -> None:
        self._codes = [codes for variants in recordings for codes in variants]
        self._recording = [n for n, variants in enumerate(recordings) for _ in variants]
        self._size = codebook_size
        lengths = [codes.shape[1] for codes in self._codes]
        # all variants on one line, with room between them so that an offset names its variant
        self._origin = np.concatenate([[0], np.cumsum(lengths)])[: len(lengths)].astype(np.int64)
        keys, places = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for codes, origin in zip(self._codes, self._origin, strict=True):
            keys.append(self._keys(codes).ravel())
            places.append(np.tile(origin + np.arange(codes.shape[1]), codes.shape[0]))
        joined = np.concatenate(keys)
        books = self._codes[0].shape[0] if self._codes else 0
        counts = np.bincount(joined, minlength=books * codebook_size)
        frames = max(1, sum(lengths))
        self.rare = (counts <= COMMON_SHARE * frames).reshape(books, codebook_size)  # [K, size]
        order = np.argsort(joined, kind="stable")
        self._keys_sorted, self._place = joined[order], np.concatenate(places)[order]

    def _keys(self, codes: Codes) -> Codes:
        """[K, T]: codebook and token in one number."""
        return codes + np.arange(codes.shape[0])[:, None] * self._size

    def find(self, query: Codes, most: int = 5) -> list[TokenMatch]:
        """The recordings whose tokens agree best with the query's, best first.

        query: int64 [K, Q] with the K of the recordings.
        """
        if not self._codes or query.shape[1] < WINDOW_FRAMES:
            return []
        counts = np.take_along_axis(self.rare, query, axis=1).ravel()
        keys = self._keys(query).ravel()[counts]
        at = np.tile(np.arange(query.shape[1]), query.shape[0])[counts]
        low = np.searchsorted(self._keys_sorted, keys, "left")
        count = np.searchsorted(self._keys_sorted, keys, "right") - low
        asked = np.repeat(np.arange(count.size), count)
        first = np.repeat(np.cumsum(count) - count, count)
        place = self._place[np.repeat(low, count) + np.arange(asked.size) - first]
        variant = np.searchsorted(self._origin, place, "right") - 1
        offset = at[asked] - (place - self._origin[variant])
        span = np.int64(1) << 32
        candidates, votes = np.unique(variant * span + offset + (span >> 1), return_counts=True)
        best: dict[int, TokenMatch] = {}
        for key in candidates[np.argsort(-votes, kind="stable")][:MAX_SCORED]:
            number = int(key // span)
            agreement, start = window_agreement(
                query, self._codes[number], int(key % span - (span >> 1)), self.rare
            )
            recording = self._recording[number]
            if recording not in best or agreement > best[recording].agreement:
                best[recording] = TokenMatch(recording, agreement, start)
        return sorted(best.values(), key=lambda m: (-m.agreement, m.recording))[:most]


def best_agreement(
    query: Codes, variants: Sequence[Codes], rare: NDArray[np.bool_] | None = None
) -> float:
    """The best window agreement at any offset with any variant, by trying them all."""
    best = 0.0
    for codes in variants:
        for offset in range(WINDOW_FRAMES - codes.shape[1], query.shape[1] - WINDOW_FRAMES + 1):
            best = max(best, window_agreement(query, codes, offset, rare)[0])
    return best


def chance_agreement(unrelated: Sequence[float]) -> float:
    """The agreement that chance does not reach: the mean of the best agreements of recordings that
    are known to differ, plus four standard deviations. 1.0 for fewer than two of them.
    """
    if len(unrelated) < 2:
        return 1.0
    values = np.asarray(unrelated, np.float64)
    return float(min(1.0, values.mean() + 4 * values.std(ddof=1)))
