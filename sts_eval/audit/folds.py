"""Honest evaluation: hold out a whole attack family, speaker or channel; never split a voice.

A detector that is tested on the attacks, voices or channels of its training set is measured on its
memory. Every fold made here keeps three promises, and `verify` asserts them:

1. no speaker is in training and in test;
2. no group (a recording with its coded copies and re-syntheses) is in both;
3. nothing with the held-out property is in training.

Speakers and groups are joined to *components*: recordings that share a speaker or a group, directly
or through others, stay together. To hold out a family or a channel the components are dealt into
`parts`, balanced in both classes; each part in turn is the test side:

    family f    test: bona fide and attacks of f, of the part     train: other parts, all but f
    channel c   test: what came through c, of the part            train: other parts, all but c

so every recording with the property is tested once, by a detector that knows neither its voice nor
the property. Speakers are told apart within a corpus only: corpora built on the same voices (VCTK
is under several) must not be mixed without giving them common labels first. A recording whose
speaker its corpus does not name is kept apart by its group alone; `Fold.n_unknown_speaker` counts
them.

Report: the macro mean over what was held out, with an interval over it, and the worst case, before
any pooled number (`FoldReport`). What could not be measured is counted, never dropped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

from sts_eval.audit import AuditError
from sts_eval.audit.detection import eer
from sts_eval.audit.items import Item
from sts_eval.audit.operating import FloatArray, IntArray
from sts_eval.observation import Estimate
from sts_eval.stats import summary
from sts_eval.stats.sample import make_sample, tidy

VERSION = 1
PARTS = 2


@dataclass(frozen=True)
class Fold:
    """One split. train, test: indices of items.

    kind: "family", "channel" or "speaker"; held_out: which one; part: which part is tested.
    """

    kind: str
    held_out: str
    part: int
    train: IntArray
    test: IntArray
    n_unknown_speaker: int = 0

    @property
    def name(self) -> str:
        """For progress and messages."""
        return f"{self.kind} {self.held_out}, part {self.part + 1}"


def leave_one_family_out(items: Sequence[Item], parts: int = PARTS) -> Iterator[Fold]:
    """For each attack family and part: test on it and on unseen bona fide voices.

    Raises AuditError when there are fewer than two families, or no way to part the voices.
    """
    family = np.array([item.family for item in items])
    spoofed = np.array([not item.bonafide for item in items], bool)
    names = sorted({str(name) for name in family[spoofed]})
    if len(names) < 2:
        raise AuditError(f"at least two attack families are needed to hold one out, not {names}")
    part = _parts(items, parts)
    for name in names:
        mine = spoofed & (family == name)
        for which in range(parts):
            tested = part == which
            if (mine & tested).any():
                test, train = tested & (mine | ~spoofed), ~tested & ~mine
                yield _fold(items, "family", name, which, train, test)


def leave_one_channel_out(items: Sequence[Item], parts: int = PARTS) -> Iterator[Fold]:
    """For each channel (codec) and part: test on what came through it.

    Raises AuditError when there are fewer than two channels, or no way to part the voices.
    """
    channel = np.array([item.codec for item in items])
    names = sorted({str(name) for name in channel})
    if len(names) < 2:
        raise AuditError(f"at least two channels are needed to hold one out, not {names}")
    part = _parts(items, parts)
    for name in names:
        mine = channel == name
        for which in range(parts):
            tested = part == which
            if (mine & tested).any():
                yield _fold(items, "channel", name, which, ~tested & ~mine, tested & mine)


def leave_one_speaker_out(items: Sequence[Item]) -> Iterator[Fold]:
    """For each speaker, with all recordings tied to him by a group: test on them.

    Where genuine and synthetic voices are different ones, such a test has one class only; then use
    `leave_speakers_out`. Raises AuditError with fewer than two speakers.
    """
    component = components(items)
    if component.max(initial=0) < 1:
        raise AuditError("at least two separate speakers are needed to hold one out")
    for which in range(int(component.max()) + 1):
        mine = component == which
        names = {items[i].speaker or items[i].group for i in np.flatnonzero(mine).tolist()}
        yield _fold(items, "speaker", " + ".join(sorted(names)), 0, ~mine, mine)


def leave_speakers_out(items: Sequence[Item], parts: int = 5) -> Iterator[Fold]:
    """For each of `parts` balanced sets of speakers: test on it. Raises AuditError."""
    part = _parts(items, parts)
    for which in range(parts):
        yield _fold(items, "speaker", f"set {which + 1}", which, part != which, part == which)


def components(items: Sequence[Item]) -> IntArray:
    """[n] component of each item: the same for items that share a speaker or a group."""
    parent = list(range(len(items)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    first: dict[tuple[str, str, str], int] = {}
    for index, item in enumerate(items):
        for kind, name in (("speaker", item.speaker), ("group", item.group)):
            if name:
                other = first.setdefault((kind, item.corpus, name), index)
                parent[root(index)] = root(other)
    codes: dict[int, int] = {}
    return np.array([codes.setdefault(root(i), len(codes)) for i in range(len(items))], np.int64)


def _parts(items: Sequence[Item], parts: int) -> IntArray:
    """[n] part of each item: components dealt largest first to the part that has least."""
    if parts < 2:
        raise ValueError("at least two parts are needed: one to train on, one to test on")
    component = components(items)
    size = np.zeros((int(component.max(initial=-1)) + 1, 2))  # bona fide, spoof
    label = np.array([not item.bonafide for item in items], np.int64)
    np.add.at(size, (component, label), 1)
    if not size.size or (size.sum(axis=0) == 0).any():
        raise AuditError("both bona fide and spoofed recordings are needed")
    share = size / size.sum(axis=0)
    order = sorted(range(len(share)), key=lambda c: (-share[c].sum(), c))
    held = np.zeros((parts, 2))
    chosen = np.zeros(len(share), np.int64)
    for which in order:
        # Least of what this component brings, so that neither class ends up in one part.
        chosen[which] = int(np.argmin(held @ share[which]))
        held[chosen[which]] += share[which]
    if (held == 0).any():
        raise AuditError(
            f"the recordings form {len(share)} sets that share a speaker or a source: too few to "
            f"have both classes in each of {parts} parts"
        )
    return chosen[component]


def _fold(
    items: Sequence[Item],
    kind: str,
    held_out: str,
    part: int,
    train: np.ndarray,
    test: np.ndarray,
) -> Fold:
    unknown = sum(not items[i].speaker for i in np.flatnonzero(train | test).tolist())
    fold = Fold(kind, held_out, part, np.flatnonzero(train), np.flatnonzero(test), unknown)
    verify(items, fold)
    return fold


def verify(items: Sequence[Item], fold: Fold) -> None:
    """Assert the promises of a fold. Raises AuditError naming what is in training and in test."""
    sides = [[items[i] for i in side] for side in (fold.train, fold.test)]
    for what, keys in (
        ("recording", [{str(item.path) for item in side} for side in sides]),
        ("speaker", [{f"{i.corpus} {i.speaker}" for i in side if i.speaker} for side in sides]),
        ("group", [{f"{i.corpus} {i.group}" for i in side if i.group} for side in sides]),
    ):
        shared = keys[0] & keys[1]
        if shared:
            raise AuditError(f"{fold.name}: {what} {min(shared)} is in training and in test")
    for item in sides[0]:
        if fold.held_out in _held(item, fold.kind):
            raise AuditError(f"{fold.name}: {item.path} is in training")


def _held(item: Item, kind: str) -> tuple[str, ...]:
    if kind == "family":
        return () if item.bonafide else (item.family,)
    return (item.codec,) if kind == "channel" else ()


class FoldReport(BaseModel):
    """A metric over what was held out. Read macro and worst first; pooled numbers flatter.

    by_name: mean over its parts; None where it could not be measured (see unmeasured).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    macro: Estimate
    worst: float | None
    worst_name: str
    by_name: dict[str, float | None]
    unmeasured: dict[str, str] = {}


Scorer = Callable[[list[Item], list[Item]], ArrayLike]


def evaluate(
    items: Sequence[Item],
    folds: Iterable[Fold],
    score: Scorer,
    *,
    metric: Callable[[FloatArray, FloatArray], float] | None = None,
    name: str = "eer_percent",
    unit: str = "%",
    seed: int = 0,
) -> FoldReport:
    """Train and test on every fold; report the metric over what was held out (lower is better).

    score: (training items, test items) -> scores of the test items, higher = bona fide.
    metric: (bona fide scores, spoof scores) -> value; the default is the EER in per cent.
    """
    measure = metric or (lambda bona, spoof: 100 * eer(bona, spoof).value)
    values: dict[str, list[float]] = defaultdict(list)
    reasons: dict[str, str] = {}
    for fold in folds:
        train, test = [items[i] for i in fold.train], [items[i] for i in fold.test]
        genuine = np.array([item.bonafide for item in test], bool)
        values[fold.held_out] += []
        if reason := _one_class(train, "training") or _one_class(test, "test"):
            reasons[fold.held_out] = f"part {fold.part + 1}: {reason}"
            continue
        scores = np.asarray(score(train, test), np.float64)
        if scores.shape != genuine.shape:
            raise ValueError(f"{fold.name}: {scores.shape} scores for {len(test)} recordings")
        values[fold.held_out].append(measure(scores[genuine], scores[~genuine]))
    means = {held: sum(found) / len(found) if found else None for held, found in values.items()}
    return report(means, name=name, unit=unit, unmeasured=reasons, seed=seed)


def _one_class(items: list[Item], side: str) -> str:
    kinds = {item.bonafide for item in items}
    if kinds == {True, False}:
        return ""
    absent = (
        "no recordings" if not kinds else f"no {'spoofed' if True in kinds else 'bona fide'} ones"
    )
    return f"the {side} side has {absent}"


def report(
    by_name: Mapping[str, float | None],
    *,
    name: str,
    unit: str,
    unmeasured: Mapping[str, str] | None = None,
    seed: int = 0,
) -> FoldReport:
    """Macro mean with its interval over the held-out things, and the worst (highest) value.

    The interval says how the mean would move with other families (speakers, channels) of the kind;
    it is not about the number of recordings.
    """
    found = {held: value for held, value in by_name.items() if value is not None}
    missing = len(by_name) - len(found)
    sample = make_sample(((held, held, value) for held, value in found.items()), missing)
    result = summary.summarise(sample, "mean", seed=seed, name=name)
    macro = Estimate(
        metric=name,
        statistic="macro_mean",
        value=None if result.value is None else tidy(result.value),
        lo=None if result.bounds.lo is None else tidy(max(0.0, result.bounds.lo)),
        hi=None if result.bounds.hi is None else tidy(result.bounds.hi),
        n=sample.n,
        n_clusters=sample.n_clusters if sample.n else 0,
        n_unmeasured=missing,
        unit=unit,
        direction="lower",
        method=result.method,
        version=VERSION,
        reason=result.reason,
    )
    worst = max(found, key=lambda held: (found[held], held), default="")
    return FoldReport(
        macro=macro,
        worst=found.get(worst),
        worst_name=worst,
        by_name=dict(by_name),
        unmeasured=dict(unmeasured or {}),
    )
