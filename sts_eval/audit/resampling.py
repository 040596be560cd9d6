"""Intervals of detection metrics: the cluster bootstrap, fast enough for a million trials.

Trials of one speaker are not independent, so whole speakers are drawn with replacement (Bolle,
Ratha and Pankanti, Error analysis of pattern recognition systems: the subsets bootstrap, Computer
Vision and Image Understanding 2004). The draw is stratified by which classes a speaker has, so that
every draw holds every class; where such a stratum is small (MIN_STRATUM) all speakers are drawn
from together instead, and draws without one of the classes are drawn again. Where no speaker is
known each trial is its own cluster, and trials are drawn within their class.

Speed. A draw is a vector of weights over clusters; all that a metric needs of it are the counts per
class and score. Scores are first gathered in at most a few thousand bins whose edges are order
statistics of every class, one per cent apart in rank from either end (singly in the tails), so both
error rates keep a relative resolution of one per cent wherever they are; then one sparse product
gives the counts of all draws, and for unclustered trials the sum over a bin of multinomial weights
is multinomial over bins. Only the spread comes from the bins: the value is always computed exactly.

Intervals are the expanded percentile intervals of `sts_eval.stats.bootstrap`, with the number of
clusters of the class that has the fewest. Where 0 lies inside, they reach at least as far as an
exact interval for no error at all would (see `zero_error_rates`): a perfect score is not certainty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sts_eval.audit.operating import FloatArray, IntArray, accepted_from
from sts_eval.stats.bootstrap import Resampled
from sts_eval.stats.proportions import Bounds, clopper_pearson, effective_n
from sts_eval.stats.sample import generator

DRAWS = 1000
MAX_EXACT_BINS = 6000
MIN_STRATUM = 5
_RANK_STEP = 0.01
_BLOCK = 64
_MANY = 2000


@dataclass(frozen=True)
class Design:
    """Which class and which cluster every trial has.

    label: [n] class index 0..C-1, every class present; cluster: [n] codes 0..K-1, all used, or None
    when every trial stands for itself.
    """

    label: IntArray
    cluster: IntArray | None = None

    @property
    def classes(self) -> int:
        """C."""
        return int(self.label.max()) + 1

    @cached_property
    def membership(self) -> IntArray:
        """[K, C] trials of each class in each cluster."""
        assert self.cluster is not None
        table = np.zeros((int(self.cluster.max()) + 1, self.classes), np.int64)
        np.add.at(table, (self.cluster, self.label), 1)
        return table

    @property
    def fewest_clusters(self) -> int:
        """Clusters that hold the class which the fewest hold."""
        if self.cluster is None:
            return int(np.bincount(self.label).min())
        return int((self.membership > 0).sum(axis=0).min())

    @property
    def n_clusters(self) -> int:
        """K."""
        return len(self.label) if self.cluster is None else len(self.membership)

    def weights(self, rng: np.random.Generator, draws: int) -> IntArray:
        """[draws, K] how often each cluster is drawn; every draw holds every class."""
        holds = self.membership > 0  # [K, C]
        kinds = holds @ (2 ** np.arange(self.classes))
        drawn = np.zeros((draws, len(kinds)), np.int64)
        sizes = np.unique(kinds, return_counts=True)[1]
        if sizes.min() < MIN_STRATUM and len(sizes) > 1:
            kinds = np.zeros_like(kinds)
        for kind in np.unique(kinds):
            members = np.flatnonzero(kinds == kind)
            share = np.full(len(members), 1 / len(members))
            drawn[:, members] = rng.multinomial(len(members), share, size=draws)
        while (lacking := np.flatnonzero((drawn @ holds == 0).any(axis=1))).size:
            share = np.full(len(kinds), 1 / len(kinds))
            drawn[lacking] = rng.multinomial(len(kinds), share, size=len(lacking))
        return drawn

    def zero_error_rates(self) -> FloatArray:
        """[C] upper 95 % bound on the error rate of a class with no error, clusters respected."""
        rates = []
        for which in range(self.classes):
            mine = self.label == which
            _, codes = np.unique(
                np.flatnonzero(mine) if self.cluster is None else self.cluster[mine],
                return_inverse=True,
            )
            n = effective_n(np.zeros(len(codes), np.int64), codes)
            rates.append(clopper_pearson(0, n).hi)
        return np.array(rates, np.float64)


@dataclass(frozen=True)
class Column:
    """One column of scores [n], with the subset of classes that it separates.

    groups: for each class of the curves the class indices of the design that make it up, e.g.
    ((0, 1), (2,)) for a countermeasure: target and nontarget against spoof.
    """

    scores: FloatArray
    groups: tuple[tuple[int, ...], ...]


def accepted_draws(
    design: Design, columns: Sequence[Column], seed: int, name: str, draws: int = DRAWS
) -> Iterator[list[IntArray]]:
    """Blocks of resampled counts, one [b, C', K+1] array per column, all from the same draws."""
    rng = generator(name, seed)
    cells = [_cells(design, column) for column in columns]
    if design.cluster is None:
        if len(columns) > 1:
            raise ValueError("several columns are resampled together by cluster only")
        return _multinomial_draws(rng, *cells[0], draws)
    return _cluster_draws(rng, design, cells, draws)


def _cells(design: Design, column: Column) -> tuple[IntArray, IntArray, tuple[int, int]]:
    """(rows used [m], flat cell of each [m], shape (classes, bins))."""
    curve_class = np.full(design.classes, -1)
    for index, group in enumerate(column.groups):
        curve_class[list(group)] = index
    rows = np.flatnonzero(curve_class[design.label] >= 0)
    kind, scores = curve_class[design.label[rows]], column.scores[rows]
    edges = _edges(scores, kind)
    bins = np.searchsorted(edges, scores, side="right") - 1
    return rows, kind * len(edges) + bins, (len(column.groups), len(edges))


def _edges(scores: FloatArray, kind: IntArray) -> FloatArray:
    """Ascending lower edges of the bins; the first is the lowest score."""
    distinct = np.unique(scores)
    if len(distinct) <= MAX_EXACT_BINS:
        return distinct
    chosen = [distinct[:1]]
    for which in range(int(kind.max()) + 1):
        ordered = np.sort(scores[kind == which])
        ranks = _ranks(len(ordered))
        chosen.append(ordered[np.concatenate([ranks, len(ordered) - 1 - ranks])])
    return np.unique(np.concatenate(chosen))


def _ranks(n: int) -> IntArray:
    """Ranks 0, 1, 2, ... up to the middle, growing by one per cent once that exceeds one."""
    steps = np.ceil((1 + _RANK_STEP) ** np.arange(0, np.log(n) / np.log1p(_RANK_STEP)))
    ranks: IntArray = np.unique(np.concatenate([np.arange(100), steps])).astype(np.int64)
    return ranks[ranks < max(1, n // 2 + 1)]


def _multinomial_draws(
    rng: np.random.Generator, rows: IntArray, flat: IntArray, shape: tuple[int, int], draws: int
) -> Iterator[list[IntArray]]:
    counts = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)
    sizes = counts.sum(axis=1)
    for start in range(0, draws, _BLOCK):
        block = min(_BLOCK, draws - start)
        drawn = np.zeros((block, *shape), np.int64)
        for which in range(shape[0]):
            used = np.flatnonzero(counts[which])
            share = counts[which, used] / sizes[which]
            drawn[:, which, used] = rng.multinomial(sizes[which], share, size=block)
        yield [accepted_from(drawn)]


def _cluster_draws(
    rng: np.random.Generator,
    design: Design,
    cells: Sequence[tuple[IntArray, IntArray, tuple[int, int]]],
    draws: int,
) -> Iterator[list[IntArray]]:
    assert design.cluster is not None
    tables = [_table(design.cluster, *cell) for cell in cells]
    for start in range(0, draws, _BLOCK):
        weight = design.weights(rng, min(_BLOCK, draws - start))
        counted = [
            (table @ weight.T).T.reshape(len(weight), *cell[2])
            for table, cell in zip(tables, cells, strict=True)
        ]
        yield [accepted_from(np.ascontiguousarray(counts)) for counts in counted]


def _table(cluster: IntArray, rows: IntArray, flat: IntArray, shape: tuple[int, int]) -> Any:
    """Sparse [cells, K] trials of each cluster in each cell."""
    from scipy.sparse import csr_array

    size = (shape[0] * shape[1], int(cluster.max()) + 1)
    ones = np.ones(len(rows), np.int64)
    return csr_array((ones, (flat, cluster[rows])), shape=size)


def mean_draws(
    design: Design, values: FloatArray, groups: tuple[tuple[int, ...], ...], seed: int, name: str
) -> FloatArray:
    """[DRAWS] of the unweighted mean over `groups` of the mean value within each of them."""
    rng = generator(name, seed)
    total = np.zeros(DRAWS)
    weight = None if design.cluster is None else design.weights(rng, DRAWS)
    for group in groups:
        mine = np.isin(design.label, group)
        if weight is None:
            total += _independent_means(rng, values[mine])
            continue
        assert design.cluster is not None
        clusters = weight.shape[1]
        sums = np.bincount(design.cluster[mine], values[mine], minlength=clusters)
        sizes = np.bincount(design.cluster[mine], minlength=clusters)
        total += (weight @ sums) / (weight @ sizes)
    return total / len(groups)


def _independent_means(rng: np.random.Generator, values: FloatArray) -> FloatArray:
    """[DRAWS] bootstrap means; for many values their normal limit, drawn directly."""
    n = len(values)
    if n > _MANY:
        return values.mean() + rng.normal(size=DRAWS) * values.std() / np.sqrt(n)
    means: FloatArray = values[rng.integers(0, n, (DRAWS, n))].mean(axis=1)
    return means


def bounds_of(
    value: float, draws: FloatArray, design: Design, ceiling: Callable[[FloatArray], float] | None
) -> Bounds:
    """The 95 % interval of a metric that cannot be negative.

    ceiling: the metric's value at the zero-error bounds [C] of the classes; None for metrics that
    are no function of error rates.
    """
    if design.fewest_clusters < 2:
        return Bounds(None, None)
    lo, hi = Resampled(value, draws, design.fewest_clusters).bounds()
    assert lo is not None and hi is not None  # noqa: PT018
    lo = max(0.0, lo)
    if ceiling is not None and lo <= 1e-12:
        hi = max(hi, ceiling(design.zero_error_rates()))
    return Bounds(lo, hi)
