"""A Sample: the measured observations of one metric, in an order that nothing can disturb.

Observations of one cluster (one utterance, speaker or dialogue) are not independent; an observation
without a cluster is its scenario's own. Values are sorted by (cluster, scenario, value), so that
sums, and everything computed from them, do not depend on the order in which workers finished.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sts_eval.observation import Observation, Status

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """Measured values with their clusters.

    values: [n]; cluster: [n] index into cluster_sizes; scenario: [n] scenario ids.
    n_unmeasured, n_error: observations without a value. labels: [C] names of the clusters.
    """

    values: FloatArray
    cluster: IntArray
    scenario: tuple[str, ...]
    n_unmeasured: int = 0
    n_error: int = 0
    labels: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """How many observations have a value."""
        return len(self.values)

    @property
    def n_all(self) -> int:
        """How many observations there are, with or without a value."""
        return self.n + self.n_unmeasured + self.n_error

    @cached_property
    def cluster_sizes(self) -> IntArray:
        """[C] observations per cluster."""
        return np.bincount(self.cluster).astype(np.int64)

    @property
    def n_clusters(self) -> int:
        """How many independent groups the values form."""
        return len(self.cluster_sizes)

    @property
    def independent(self) -> bool:
        """Whether every observation is a cluster of its own."""
        return self.n_clusters == self.n

    def cluster_sums(self) -> FloatArray:
        """[C] sum of the values of each cluster."""
        return np.bincount(self.cluster, self.values).astype(np.float64)


def make_sample(
    rows: Iterable[tuple[str, str, float]], n_unmeasured: int = 0, n_error: int = 0
) -> Sample:
    """A sample of (cluster, scenario id, value) rows; a value that is not finite is unmeasured."""
    every = list(rows)
    kept = sorted(row for row in every if math.isfinite(row[2]))
    labels = {label: code for code, label in enumerate(sorted({row[0] for row in kept}))}
    return Sample(
        values=np.array([row[2] for row in kept], np.float64),
        cluster=np.array([labels[row[0]] for row in kept], np.int64),
        scenario=tuple(row[1] for row in kept),
        n_unmeasured=n_unmeasured + len(every) - len(kept),
        n_error=n_error,
        labels=tuple(labels),
    )


def sample_of(
    observations: Iterable[Observation], metric: str, where: Mapping[str, str] | None = None
) -> Sample:
    """The sample of one metric, on the slice `where` (all of it when empty)."""
    rows: list[tuple[str, str, float]] = []
    missing = {Status.UNMEASURED: 0, Status.ERROR: 0}
    for item in observations:
        if item.metric != metric or not in_slice(item, where or {}):
            continue
        if item.value is None:
            missing[item.status] += 1
        else:
            rows.append((cluster_label(item), item.scenario_id, item.value))
    return make_sample(rows, missing[Status.UNMEASURED], missing[Status.ERROR])


def cluster_label(item: Observation) -> str:
    """The cluster of an observation; its scenario where none is named."""
    return item.cluster or f"scenario:{item.scenario_id}"


def in_slice(item: Observation, where: Mapping[str, str]) -> bool:
    """Whether an observation meets every condition ("10" also meets "10.0")."""
    return all(key in item.slices and _same(item.slices[key], where[key]) for key in where)


def _same(a: str, b: str) -> bool:
    if a == b:
        return True
    try:
        return float(a) == float(b)
    except ValueError:
        return False


def slices_by(observations: Iterable[Observation], keys: Iterable[str]) -> list[dict[str, str]]:
    """One slice per value of each key that occurs, in a stable order (numbers by size)."""
    wanted = list(keys)
    seen: dict[str, set[str]] = {key: set() for key in wanted}
    for item in observations:
        for key in wanted:
            if key in item.slices:
                seen[key].add(item.slices[key])
    return [{key: value} for key in wanted for value in sorted(seen[key], key=_by_size)]


def _by_size(text: str) -> tuple[int, float, str]:
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)


def generator(name: str, seed: int) -> np.random.Generator:
    """Random numbers that depend on nothing but the name of the quantity and the run's seed."""
    digest = hashlib.sha256(f"{name}|{seed}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def tidy(value: float) -> float:
    """Ten significant digits: below them sums differ between processors and mean nothing."""
    return float(f"{value:.10g}") + 0.0
