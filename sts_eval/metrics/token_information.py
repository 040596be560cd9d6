"""What discrete tokens say of a label, and how far apart two token sequences are. Pure functions.

Mutual information of a token X and a label Y, in bits, from counts:

    I(X; Y) = H(X) + H(Y) - H(X, Y)

The plug-in estimate is too high by about (cells - rows - columns + 1) / (2 N ln 2). Miller and
Madow's correction ("Note on the bias of information estimates", 1955) adds (m - 1) / (2 N ln 2) to
each entropy, m the number of values that occur. With thousands of tokens and few frames that is not
enough, and frames of one recording are not independent, so that the mean over labels shuffled among
whole recordings is subtracted, too: what is left is what chance does not explain. It may be below
0, and means 0 then.

Jensen-Shannon divergence of two histograms, in bits (Lin, "Divergence measures based on the Shannon
entropy", 1991): 0 for equal ones, 1 for ones that share no token.

Edit distance of two renditions of a sentence: least insertions, deletions and substitutions
(Levenshtein, 1966) over the longer one's length, after runs of one token are made one (as with
speech units: a slower rendition repeats tokens).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Information(NamedTuple):
    """Mutual information in bits.

    plug_in: of the counts as they are. corrected: by Miller and Madow, less `chance`. chance: mean
    over shuffled labels, corrected the same way. p: share of shuffles that reach it.
    """

    plug_in: float
    corrected: float
    chance: float
    p: float


def entropy_bits(counts: FloatArray | IntArray, *, corrected: bool = False) -> float:
    """Entropy of counts of any shape; `corrected` adds Miller and Madow's term."""
    present = np.asarray(counts, np.float64)
    present = present[present > 0]
    total = present.sum()
    if total == 0:
        return 0.0
    share = present / total
    bits = float(-(share * np.log2(share)).sum())
    return bits + ((present.size - 1) / (2 * float(total) * np.log(2)) if corrected else 0.0)


def information_bits(joint: FloatArray | IntArray, *, corrected: bool = False) -> float:
    """Mutual information of rows and columns of a table of counts [tokens, labels]."""
    table = np.asarray(joint, np.float64)
    margins = (table.sum(axis=1), table.sum(axis=0))
    apart = sum(entropy_bits(margin, corrected=corrected) for margin in margins)
    return apart - entropy_bits(table, corrected=corrected)


def token_information(histograms: IntArray, labels: IntArray, shuffled: IntArray) -> Information:
    """Mutual information of a token and the label of its recording.

    histograms: [n, V] how often each recording has each token. labels: [n]; shuffled: [m, n] the
    same labels shuffled among the recordings.
    """
    used = histograms[:, histograms.sum(axis=0) > 0].astype(np.float64)
    classes = int(labels.max()) + 1

    def joint(of: IntArray) -> FloatArray:
        member = (of == np.arange(classes)[:, None]).astype(np.float64)  # [classes, n]
        return (member @ used).T  # [V, classes]

    observed = information_bits(joint(labels), corrected=True)
    null = np.array([information_bits(joint(each), corrected=True) for each in shuffled])
    reached = int(np.sum(null >= observed - 1e-12))
    return Information(
        plug_in=information_bits(joint(labels)),
        corrected=observed - float(null.mean()),
        chance=float(null.mean()),
        p=(1 + reached) / (1 + null.size),
    )


def divergence_bits(first: FloatArray | IntArray, second: FloatArray | IntArray) -> float:
    """Jensen-Shannon divergence of two histograms [V] of counts, 0 to 1.

    Raises ValueError when one is empty.
    """
    one, two = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.sum() == 0 or two.sum() == 0:
        raise ValueError("an empty histogram has no divergence")
    one, two = one / one.sum(), two / two.sum()
    found = entropy_bits((one + two) / 2) - (entropy_bits(one) + entropy_bits(two)) / 2
    return float(min(1.0, max(0.0, found)))


def divergence_excess(histograms: IntArray, labels: IntArray, speaker: IntArray) -> FloatArray:
    """How much further a speaker's tokens lie from other people's other emotions than from their
    same one, bits; one value for each speaker that has two labels, NaN for the others.

    histograms: [n, V]; labels, speaker: [n] codes. For speaker s and label e the histogram of all
    their recordings is compared with that of all other speakers' recordings of each label. The
    latter are thinned to one size, because few tokens diverge further than many. Where tokens do
    not depend on the label the expected value is 0.
    """
    classes = int(labels.max()) + 1
    excess = np.full(int(speaker.max()) + 1, np.nan)
    for who in range(excess.size):
        own = [_total(histograms, (speaker == who) & (labels == e)) for e in range(classes)]
        rest = [_total(histograms, (speaker != who) & (labels == e)) for e in range(classes)]
        size = min((h.sum() for h in rest if h.sum() > 0), default=0)
        values = []
        for e in range(classes):
            others = [f for f in range(classes) if f != e and rest[f].sum() > 0]
            if own[e].sum() == 0 or rest[e].sum() == 0 or not others:
                continue
            same = divergence_bits(own[e], _thinned(rest[e], int(size)))
            apart = [divergence_bits(own[e], _thinned(rest[f], int(size))) for f in others]
            values.append(float(np.mean(apart)) - same)
        if len(values) > 1:
            excess[who] = float(np.mean(values))
    return excess


def _total(histograms: IntArray, chosen: NDArray[np.bool_]) -> IntArray:
    total: IntArray = histograms[chosen].sum(axis=0).astype(np.int64)
    return total


def _thinned(histogram: IntArray, size: int) -> IntArray:
    """`size` of the histogram's tokens, drawn without replacement, always the same ones."""
    if histogram.sum() <= size:
        return histogram
    rng = np.random.default_rng(0)
    drawn: IntArray = rng.multivariate_hypergeometric(histogram, size)
    return drawn


def collapsed(tokens: Sequence[int] | IntArray) -> list[int]:
    """Tokens with each run of one token made one."""
    return [int(t) for i, t in enumerate(tokens) if i == 0 or t != tokens[i - 1]]


def edit_distance(first: Sequence[int] | IntArray, second: Sequence[int] | IntArray) -> float:
    """Edit distance of two token sequences without their runs, over the longer length: 0 to 1.

    Raises ValueError when one is empty.
    """
    from rapidfuzz.distance import Levenshtein

    one, two = collapsed(first), collapsed(second)
    if not one or not two:
        raise ValueError("an empty sequence of tokens has no edit distance")
    return float(Levenshtein.normalized_distance(one, two))


def histogram(tokens: Sequence[int] | IntArray, size: int) -> IntArray:
    """How often each of `size` tokens occurs, int64 [size]. Raises ValueError on one outside."""
    found = np.asarray(tokens, np.int64)
    if found.size and (found.min() < 0 or found.max() >= size):
        raise ValueError(f"tokens span [{found.min()}, {found.max()}], outside [0, {size - 1}]")
    return np.bincount(found, minlength=size).astype(np.int64)
