"""Which of two detectors is better on unknown attacks: the difference of their macro EERs, paired.

Both were trained and tested on the same folds (`folds.leave_one_family_out`). A draw of the
bootstrap takes attack families and voices with replacement: the clips of a voice count as often as
it was drawn, the EERs of a family's parts are averaged, then those of the families that were drawn.
Both detectors hear the same draw, so what is hard for both cancels. The value is that of no draw.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sts_eval.audit.detection import weighted_eer
from sts_eval.audit.folds import Fold
from sts_eval.audit.items import Item
from sts_eval.audit.operating import FloatArray, IntArray
from sts_eval.stats.sample import generator

DRAWS = 500


class Difference(NamedTuple):
    """Macro EER of the second detector less that of the first, in points; 95 % interval."""

    value: float
    lo: float
    hi: float
    n_families: int
    n_voices: int


class _Tested(NamedTuple):
    """A fold's clips in the order of one detector's scores: codes of their voices, genuine."""

    voice: IntArray
    genuine: NDArray[np.bool_]

    @classmethod
    def of(cls, voice: IntArray, genuine: NDArray[np.bool_], scores: ArrayLike) -> _Tested:
        """See the class."""
        order = np.argsort(scores, kind="stable")
        return cls(voice[order], genuine[order])

    def eer(self, weight: IntArray) -> float:
        """Per cent; NaN where a class was not drawn."""
        drawn = weight[self.voice]
        classes = drawn * self.genuine, drawn * ~self.genuine
        return 100 * weighted_eer(*classes) if all(c.any() for c in classes) else float("nan")


def difference(
    items: Sequence[Item],
    folds: Sequence[Fold],
    one: Sequence[ArrayLike],
    other: Sequence[ArrayLike],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Difference:
    """Compare two detectors by their scores of each fold's test side, higher = bona fide.

    Raises ValueError: not one score for each item of each fold, or a fold with one class.
    """
    voices = {name: code for code, name in enumerate(sorted({item.speaker for item in items}))}
    pairs: dict[str, list[tuple[_Tested, _Tested]]] = defaultdict(list)
    for fold, *scores in zip(folds, one, other, strict=True):
        tested = [items[i] for i in fold.test.tolist()]
        if any(np.shape(each) != (len(tested),) for each in scores):
            raise ValueError(f"{fold.name}: {len(tested)} recordings, not as many scores")
        voice = np.array([voices[item.speaker] for item in tested])
        genuine = np.array([item.bonafide for item in tested])
        if genuine.all() or not genuine.any():
            raise ValueError(f"{fold.name}: recordings of one class only")
        first, second = (_Tested.of(voice, genuine, each) for each in scores)
        pairs[fold.held_out].append((first, second))
    rng, found = generator("eer_difference", seed), list[float]()
    n = len(voices)
    while len(found) < draws:
        weight = np.bincount(rng.integers(n, size=n), minlength=n)
        changes = _changes(pairs, weight)[rng.integers(len(pairs), size=len(pairs))]
        if np.isfinite(changes).any():
            found.append(float(np.nanmean(changes)))
    lo, hi = np.percentile(found, [2.5, 97.5])
    value = float(_changes(pairs, np.ones(n, np.int64)).mean())
    return Difference(value, float(lo), float(hi), len(pairs), n)


def _changes(pairs: dict[str, list[tuple[_Tested, _Tested]]], weight: IntArray) -> FloatArray:
    """[F] second less first, per cent; NaN for a family that was not drawn."""
    changes = []
    for parts in pairs.values():
        each = [second.eer(weight) - first.eer(weight) for first, second in parts]
        known = [value for value in each if np.isfinite(value)]
        changes.append(float(np.mean(known)) if known else float("nan"))
    return np.array(changes)
