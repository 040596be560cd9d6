"""Cluster targets: k-means over teacher features turns them into a vocabulary to predict.

As in HuBERT (Hsu et al., "HuBERT: Self-Supervised Speech Representation Learning by Masked
Prediction of Hidden Units", 2021), with a pretrained teacher in place of its first iteration.
Features are standardised per dimension first: a few dimensions of a transformer are far larger than
the rest and would decide every distance alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sts_core.checkpoint import WeightsError, load_weights, save_weights
from sts_core.data.cache import CacheError, SpeechCache, voices_in_turn
from sts_core.nn.quantise import kmeans

CLUSTERS_KIND = "sts-core teacher clusters"
DEFAULT_CLUSTERS = (
    Path(__file__).resolve().parent.parent / "weights" / "semantic" / "clusters.safetensors"
)


class Clusters(NamedTuple):
    """K centroids [K, D] of features standardised by `mean` [D] and `scale` [D]."""

    centroids: Tensor
    mean: Tensor
    scale: Tensor

    def assign(self, features: Tensor) -> Tensor:
        """The nearest centroid of each row: [N, D] -> int64 [N]."""
        x = (features.float() - self.mean) / self.scale
        # |x|^2 is the same for every centroid and drops out of the comparison
        return (x @ self.centroids.T - 0.5 * self.centroids.square().sum(dim=1)).argmax(dim=1)


def cluster(features: Tensor, clusters: int, *, seed: int, rounds: int = 25) -> Clusters:
    """K-means of feature frames [N, D], reproducible under a seed.

    Raises:
        ValueError: fewer frames than clusters.
    """
    mean, scale = features.mean(dim=0), features.std(dim=0).clamp(min=1e-6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        centroids = kmeans((features - mean) / scale, clusters, rounds)
    return Clusters(centroids, mean, scale)


def save_clusters(file: Path, clusters: Clusters, teacher: str) -> None:
    """Write clusters with the name of the teacher whose features they divide."""
    save_weights(file, clusters._asdict(), CLUSTERS_KIND, {"teacher": teacher})


def load_clusters(file: Path | None = None) -> Clusters:
    """Clusters of `save_clusters` (None: those that the shipped student predicts).

    Raises:
        WeightsError: missing, truncated, foreign, or incomplete.
    """
    file = file or DEFAULT_CLUSTERS
    tensors, _ = load_weights(file, CLUSTERS_KIND)
    try:
        return Clusters(**tensors)
    except TypeError as error:
        raise WeightsError(f"{file}: incomplete: {error}") from error


def sample_features(cache: SpeechCache, frames: int, *, seed: int) -> Tensor:
    """About `frames` teacher frames [N, D], voices in turn, from what the cache has by now.

    Raises:
        CacheError: the cache has no teacher features.
    """
    parts: list[NDArray[np.float16]] = []
    total = 0
    for index in voices_in_turn(cache.rows, seed):
        features = cache.teacher(index)
        if features is not None:
            parts.append(features)
            total += len(features)
            if total >= frames:
                break
    if not parts:
        raise CacheError(f"{cache.folder}: no teacher features yet (run `sts-core cache`)")
    return torch.from_numpy(np.concatenate(parts).astype(np.float32))
