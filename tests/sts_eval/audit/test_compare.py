"""Two detectors on the same folds: the difference of their EERs, and how sure it is."""

import numpy as np
import pytest

from sts_eval.audit.compare import difference
from sts_eval.audit.detection import eer, weighted_eer
from sts_eval.audit.folds import Fold
from sts_eval.audit.items import Item

from .conftest import item


def made_up(families: str, voices: int, each: int) -> tuple[list[Item], list[Fold]]:
    """`each` clips of every voice, genuine and of every family; one fold a family."""
    who = [
        (f"v{voice}", family)
        for family in ("", *families)
        for voice in range(voices)
        for _ in range(each)
    ]
    items = [item(f"clip{index}", family, voice) for index, (voice, family) in enumerate(who)]
    folds = []
    for family in families:
        test = [i for i, one in enumerate(items) if one.family in ("", family)]
        folds.append(Fold("family", family, 0, np.array([], np.int64), np.array(test)))
    return items, folds


def test_the_value_is_the_difference_of_the_macro_eers():
    items, folds = made_up("xy", 4, 10)
    rng = np.random.default_rng(0)
    sides = [np.array([1.0 if items[i].bonafide else -1.0 for i in f.test]) for f in folds]
    one = [0.3 * side + rng.normal(size=len(side)) for side in sides]
    other = [side + rng.normal(size=len(side)) for side in sides]

    def macro(scores):
        each = [eer(s[side > 0], s[side < 0]).value for s, side in zip(scores, sides, strict=True)]
        return 100 * np.mean(each)

    found = difference(items, folds, one, other, draws=100)
    assert found.value == pytest.approx(macro(other) - macro(one))
    assert found.value < -5
    assert found.lo < found.value < found.hi < 0
    assert (found.n_families, found.n_voices) == (2, 4)


def test_the_same_scores_do_not_differ_in_any_draw():
    items, folds = made_up("xyz", 3, 4)
    scores = [np.random.default_rng(1).normal(size=len(fold.test)) for fold in folds]
    found = difference(items, folds, scores, [2 * each + 1 for each in scores], draws=50)
    assert found[:3] == (0.0, 0.0, 0.0)


def test_a_family_that_differs_alone_widens_the_interval():
    items, folds = made_up("wxyz", 6, 10)
    rng = np.random.default_rng(2)
    sides = [np.array([1.0 if items[i].bonafide else -1.0 for i in f.test]) for f in folds]
    one = [side + rng.normal(size=len(side)) for side in sides]
    better = [*one[:3], 10 * sides[3]]
    found = difference(items, folds, one, better, draws=200)
    assert found.value < 0
    assert found.hi == 0  # drawn without the one family there is no difference
    assert found.lo < 2 * found.value  # with it twice or more


def test_a_voice_counts_as_often_as_it_is_drawn():
    genuine, spoof = np.array([0.1, 0.2, 0.9]), np.array([0.0, 0.3, 0.5])
    order = np.argsort(np.concatenate([genuine, spoof]))
    side = np.array([1, 1, 1, 0, 0, 0])[order]
    once = weighted_eer(side, 1 - side)
    assert once == pytest.approx(eer(genuine, spoof).value)
    weight = np.array([2, 1, 3, 1, 2, 1])[order]
    many = [np.repeat(v, w) for v, w in ((genuine, [2, 1, 3]), (spoof, [1, 2, 1]))]
    assert weighted_eer(weight * side, weight * (1 - side)) == pytest.approx(eer(*many).value)


def test_scores_that_do_not_fit_are_refused():
    items, folds = made_up("xy", 2, 2)
    good = [np.zeros(len(fold.test)) for fold in folds]
    with pytest.raises(ValueError, match="not as many scores"):
        difference(items, folds, good, [each[1:] for each in good])
    only = Fold("family", "x", 0, folds[0].train, folds[0].test[:2])
    with pytest.raises(ValueError, match="one class only"):
        difference(items, [only], [np.zeros(2)], [np.zeros(2)])
