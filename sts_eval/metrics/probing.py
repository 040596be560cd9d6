"""Probes: can a small classifier read a label (emotion, speaker, words) off fixed features?

What is asked is whether the label is *there*, not how well a large model could use it. Three rules
keep the answer honest:

    folds       a probe is tested on speakers and on texts that it was not trained on. The
                recordings of a held-out speaker with a training text, and of a training speaker
                with a held-out text, belong to neither side of a fold.
    recall      unweighted average recall (UAR): the mean over the classes of the share of a class
                that is recognised. Chance is 1 / classes whatever the class sizes (Schuller et al.,
                "The INTERSPEECH 2009 Emotion Challenge", 2009).
    control     the same probe learns labels that are shuffled within blocks, a speaker or a
                sentence of his (control task: Hewitt & Liang, "Designing and interpreting probes
                with control tasks", 2019). It must come out at chance; the share of shuffles that
                reach the true recall is the permutation p-value (Phipson & Smyth, 2010:
                (1 + b) / (1 + m), never 0).

The linear probe is ridge regression on the classes' indicators; the class is the one whose
regressed share is largest beside its share of the training data, so that a common class has no
advantage. Its solution is one matrix for all label sets, which is what makes hundreds of shuffles
cheap. The other probe is a multilayer perceptron with one hidden layer. Both are scikit-learn's.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

RIDGE = 0.3  # beside features whose squared length is about 1
HIDDEN = 32
MLP_EPOCHS = 150
MLP_DECAY = 0.1
_MOST_TARGETS = 8_000_000  # numbers held at once while label sets are learnt together


class NotMeasurableError(ValueError):
    """The data cannot answer the question; the message is the reason."""


@dataclass(frozen=True)
class Features:
    """What a probe reads of n items: values [n, D] in blocks of columns of these widths.

    Every block weighs the same, and each column as much as any other of its block.
    """

    values: FloatArray
    widths: tuple[int, ...]

    @staticmethod
    def of(*blocks: FloatArray) -> Features:
        """Blocks [n, D_b] side by side."""
        return Features(np.hstack(blocks), tuple(block.shape[1] for block in blocks))

    @property
    def weight(self) -> FloatArray:
        """[D] so that the squared length of a standardised item is about 1."""
        return np.repeat([1 / np.sqrt(len(self.widths) * width) for width in self.widths],
                         self.widths)  # fmt: skip

    def rows(self, chosen: IntArray) -> Features:
        """The same of some of the items."""
        return Features(self.values[chosen], self.widths)


@dataclass(frozen=True)
class Fold:
    """Indices of one training and one test side; they share no speaker and no text."""

    train: IntArray
    test: IntArray


def codes_of(names: Sequence[str]) -> IntArray:
    """[n] index of each name in the sorted list of the names that occur."""
    order = {name: code for code, name in enumerate(sorted(set(names)))}
    return np.array([order[name] for name in names], np.int64)


def partition(groups: Sequence[str], parts: int, seed: int) -> IntArray:
    """[n] part of each item: whole groups, dealt at random, always to the part with fewest items.

    Fewer groups than parts give as many parts as groups.
    """
    code = codes_of(groups)
    sizes = np.bincount(code)
    rng = np.random.default_rng(seed)
    order = rng.permutation(sizes.size)
    order = order[np.argsort(-sizes[order], kind="stable")]  # equal sizes stay shuffled
    held = np.zeros(min(parts, sizes.size))
    part_of = np.zeros(sizes.size, np.int64)
    for group in order:
        part_of[group] = int(np.argmin(held))
        held[part_of[group]] += sizes[group]
    return part_of[code]


def crossed_folds(
    speakers: Sequence[str],
    texts: Sequence[str],
    *,
    speaker_parts: int = 8,
    text_parts: int = 3,
    seed: int = 0,
) -> list[Fold]:
    """Folds that are disjoint in speakers and in texts; every item is tested exactly once.

    Raises NotMeasurableError with one speaker or one text.
    """
    for what, names in (("speaker", speakers), ("text", texts)):
        if len(set(names)) < 2:
            raise NotMeasurableError(
                f"{len(set(names))} {what}: nothing is left to train on when it is held out"
            )
    by_speaker = partition(speakers, speaker_parts, seed)
    by_text = partition(texts, text_parts, seed + 1)
    folds = []
    for which in range(int(by_speaker.max()) + 1):
        for text in range(int(by_text.max()) + 1):
            test = np.flatnonzero((by_speaker == which) & (by_text == text))
            train = np.flatnonzero((by_speaker != which) & (by_text != text))
            if test.size:
                folds.append(Fold(train, test))
    return folds


def group_folds(groups: Sequence[str], parts: int, seed: int = 0) -> list[Fold]:
    """Folds that are disjoint in one thing only (for a label that the other one determines).

    Raises NotMeasurableError with one group.
    """
    if len(set(groups)) < 2:
        raise NotMeasurableError("one group: nothing is left to train on when it is held out")
    part = partition(groups, parts, seed)
    every = range(int(part.max()) + 1)
    return [Fold(np.flatnonzero(part != which), np.flatnonzero(part == which)) for which in every]


def check_learnable(labels: Sequence[str], folds: Sequence[Fold]) -> None:
    """Raise NotMeasurableError where a probe would be asked for a class that it never saw."""
    names = np.array(labels, dtype=object)
    if len(set(labels)) < 2:
        raise NotMeasurableError(f"{len(set(labels))} class: there is nothing to tell apart")
    for fold in folds:
        missing = set(names[fold.test]) - set(names[fold.train])
        if missing:
            raise NotMeasurableError(
                f"the class {min(missing)!r} is not in the training side of a fold: it needs more"
                " speakers or texts"
            )


def shuffled_labels(
    labels: IntArray,
    within: Sequence[str],
    count: int,
    seed: int,
    *,
    units: Sequence[str] | None = None,
) -> IntArray:
    """[count, n] labels shuffled among the items of each group of `within`, groups apart.

    units: items of one unit have one label and keep one (None: each item is a unit). Raises
    ValueError where a unit has two labels or lies in two groups.
    """
    rng = np.random.default_rng(seed)
    unit = codes_of(units) if units is not None else np.arange(labels.size)
    first = np.unique(unit, return_index=True)[1]
    group = codes_of(within)
    if (labels[first][unit] != labels).any() or (group[first][unit] != group).any():
        raise ValueError("a unit has two labels, or lies in two groups")
    out = np.tile(labels[first], (count, 1))
    for which in range(int(group.max()) + 1):
        own = np.flatnonzero(group[first] == which)
        out[:, own] = rng.permuted(out[:, own], axis=1)
    return out[:, unit]


def recall(labels: IntArray, predicted: IntArray) -> FloatArray:
    """[...] unweighted average recall of predictions [..., n] for labels [..., n]."""
    labels, predicted = np.broadcast_arrays(labels, predicted)
    right = labels == predicted
    shares = []
    for code in np.unique(labels):
        own = labels == code
        shares.append((right & own).sum(axis=-1) / own.sum(axis=-1))
    mean: FloatArray = np.mean(shares, axis=0)
    return mean


def permutation_p(observed: float, null: FloatArray) -> float:
    """p-value of `observed` among the values [m] that chance gave: (1 + b) / (1 + m)."""
    reached = int(np.sum(null >= observed - 1e-12))
    return (1 + reached) / (1 + null.size)


def linear_predictions(features: Features, labels: IntArray, folds: Sequence[Fold]) -> IntArray:
    """Classes that the linear probe gives to each item when it is tested, int64 [m, n].

    features: of n items; they are standardised by the training side of each fold. labels: [m, n],
    m label sets with one number of classes; a probe is trained for each.
    """
    from sklearn.linear_model import Ridge

    classes = int(labels.max()) + 1
    predicted = np.zeros(labels.shape, np.int64)
    for fold, train, test in _scaled(features, folds):
        at_once = max(1, _MOST_TARGETS // (fold.train.size * classes))
        for first in range(0, len(labels), at_once):
            some = labels[first : first + at_once, fold.train]
            targets = some[..., None] == np.arange(classes)  # [b, train, classes]
            prior = targets.mean(axis=1)  # [b, classes]
            flat = targets.transpose(1, 0, 2).reshape(fold.train.size, -1).astype(np.float64)
            found = Ridge(alpha=RIDGE).fit(train, flat).predict(test)
            share = found.reshape(fold.test.size, len(some), classes) / np.maximum(prior, 1e-9)
            share[:, prior == 0] = -np.inf
            predicted[first : first + at_once, fold.test] = share.argmax(axis=2).T
    return predicted


def mlp_predictions(
    features: Features, labels: IntArray, folds: Sequence[Fold], seed: int
) -> IntArray:
    """Classes that the perceptron gives to each item when it is tested, int64 [n].

    Features as for the linear probe; labels [n].
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    predicted = np.zeros(labels.size, np.int64)
    for fold, train, test in _scaled(features, folds):
        model = MLPClassifier(
            (HIDDEN,),
            alpha=MLP_DECAY,
            learning_rate_init=0.01,
            max_iter=MLP_EPOCHS,
            random_state=seed,
        )
        scale = np.sqrt(features.values.shape[1])  # a perceptron starts best from unit deviations
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(train * scale, labels[fold.train])
        prior = np.array([np.mean(labels[fold.train] == code) for code in model.classes_])
        share = model.predict_proba(test * scale) / prior
        predicted[fold.test] = model.classes_[share.argmax(axis=1)]
    return predicted


def _scaled(
    features: Features, folds: Sequence[Fold]
) -> Iterator[tuple[Fold, FloatArray, FloatArray]]:
    """Each fold with its training and test values, standardised by the training side alone."""
    weight = features.weight
    for fold in folds:
        train, test = features.values[fold.train], features.values[fold.test]
        mean, deviation = train.mean(axis=0), train.std(axis=0)
        scale = np.where(deviation > 1e-9, weight / np.maximum(deviation, 1e-9), 0.0)
        yield fold, (train - mean) * scale, (test - mean) * scale


@dataclass(frozen=True)
class Reading:
    """What a probe read.

    predicted: int64 [n]. recall: of the true labels; chance: 1 / classes. shuffled: [m] recall of
    the same probe on shuffled labels (the control).
    """

    predicted: IntArray
    recall: float
    chance: float
    shuffled: FloatArray

    @property
    def control(self) -> float:
        """Mean recall on shuffled labels."""
        return float(self.shuffled.mean())

    @property
    def p(self) -> float:
        """Permutation p-value of the recall."""
        return permutation_p(self.recall, self.shuffled)


def read_linear(
    features: Features, labels: Sequence[str], folds: Sequence[Fold], shuffled: IntArray
) -> Reading:
    """The linear probe with its control: `shuffled` [m, n] from `shuffled_labels`.

    Raises NotMeasurableError as `check_learnable`.
    """
    check_learnable(labels, folds)
    tried = np.concatenate([codes_of(labels)[None], shuffled])
    return _reading(tried, linear_predictions(features, tried, folds))


def read_mlp(
    features: Features,
    labels: Sequence[str],
    folds: Sequence[Fold],
    shuffled: IntArray,
    seed: int,
) -> Reading:
    """The perceptron with its control; each row of `shuffled` [m, n] costs a training."""
    check_learnable(labels, folds)
    tried = np.concatenate([codes_of(labels)[None], shuffled])
    return _reading(
        tried, np.stack([mlp_predictions(features, each, folds, seed) for each in tried])
    )


def _reading(tried: IntArray, predicted: IntArray) -> Reading:
    recalls = recall(tried, predicted)  # [1 + shuffles]
    return Reading(
        predicted=predicted[0],
        recall=float(recalls[0]),
        chance=1 / (int(tried[0].max()) + 1),
        shuffled=recalls[1:],
    )


def weighted_recall(
    weight: IntArray, labels: IntArray, predicted: IntArray, cluster: IntArray
) -> FloatArray:
    """[b] recall when cluster c is drawn weight[b, c] times; the probes stay as they are.

    A class that a draw does not hold is left out of its mean.
    """
    clusters, classes = weight.shape[1], int(labels.max()) + 1
    cell = cluster * classes + labels
    size = np.bincount(cell, minlength=clusters * classes).reshape(clusters, classes)
    right = np.bincount(cell, labels == predicted, minlength=clusters * classes)
    total = weight @ size  # [b, classes]
    hits = weight @ right.reshape(clusters, classes)
    share = np.divide(hits, total, out=np.full(hits.shape, np.nan), where=total > 0)
    mean: FloatArray = np.nanmean(share, axis=1)
    return mean


def separation(acoustic: float, semantic: float) -> float:
    """recall(acoustic) - recall(semantic): from 1 (emotion in the acoustic tokens only) to -1."""
    return acoustic - semantic
