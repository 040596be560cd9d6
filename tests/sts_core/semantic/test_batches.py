"""Clusters and batches: deterministic, balanced, aligned with the teacher."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from sts_core.data.augment import AugmentConfig
from sts_core.data.cache import SpeechCache
from sts_core.semantic.batches import IGNORED, Sampler, in_batches, make_batch, span_mask
from sts_core.semantic.clusters import Clusters, cluster, sample_features
from sts_core.semantic.phonemes import labels_of
from sts_core.units import FRAME_SAMPLES, frames_of

OFF = AugmentConfig(rate=0, gain=0, band=0, room=0, second=0, noise=0, silence=0)


@pytest.fixture(scope="module")
def clusters(speech_cache: SpeechCache) -> Clusters:
    return cluster(sample_features(speech_cache, 10_000, seed=0), 16, seed=0)


def test_kmeans_finds_separated_groups() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    truth = torch.arange(300) % 3
    points = centres[truth] + 0.1 * torch.randn(300, 2, generator=generator)
    found = cluster(points, 3, seed=4).assign(points)
    groups = {(int(a), int(b)) for a, b in zip(truth, found, strict=True)}
    assert len(groups) == 3  # each true group is one cluster, and each cluster one group
    with pytest.raises(ValueError, match="k-means needs at least 3 points, got 2"):
        cluster(points[:2], 3, seed=0)


def test_large_dimensions_do_not_decide_alone() -> None:
    """One dimension a thousand times larger carries noise only; clusters follow the small one."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.arange(400) % 2
    small = truth.float() * 2 - 1 + 0.05 * torch.randn(400, generator=generator)
    large = 1_000 * torch.randn(400, generator=generator)
    points = torch.stack([small, small, small, large], dim=1)
    found = cluster(points, 2, seed=0).assign(points)
    agreement = (found == truth).float().mean().item()
    assert max(agreement, 1 - agreement) > 0.95


def test_kmeans_is_reproducible(speech_cache: SpeechCache, clusters: Clusters) -> None:
    again = cluster(sample_features(speech_cache, 10_000, seed=0), 16, seed=0)
    torch.testing.assert_close(again.centroids, clusters.centroids, atol=0, rtol=0)
    features = sample_features(speech_cache, 10_000, seed=0)
    assert len(clusters.assign(features).unique()) > 12


def test_plain_batches_hold_the_cache_s_own_frames(
    speech_cache: SpeechCache, clusters: Clusters
) -> None:
    indices = [0, 1, 2, 3]
    batch = make_batch(speech_cache, indices, clusters, OFF, np.random.default_rng(0), 1_000)
    assert batch.audio.shape == (4, int(batch.frames.max()) * FRAME_SAMPLES)
    for row, index in enumerate(indices):
        samples = speech_cache.audio(index)
        np.testing.assert_allclose(batch.audio[row, : samples.size] * 32768, samples)
        frames = frames_of(samples.size)
        assert batch.frames[row] == frames
        features = speech_cache.teacher(index)
        assert features is not None
        wanted = clusters.assign(torch.from_numpy(features.astype(np.float32)))
        assert torch.equal(batch.clusters[row, :frames], wanted)
        assert (batch.clusters[row, frames:] == IGNORED).all()
        assert batch.labels[row] == labels_of(speech_cache.rows[index])
        assert batch.texts[row] == speech_cache.rows[index]["text"]


def test_cropped_rows_lose_their_transcript_but_keep_their_targets(
    speech_cache: SpeechCache, clusters: Clusters
) -> None:
    longest = int(np.argmax([row["samples"] for row in speech_cache.rows]))
    batch = make_batch(speech_cache, [longest], clusters, OFF, np.random.default_rng(1), 10)
    assert batch.frames.tolist() == [10]
    assert batch.labels == [[]]
    assert batch.texts == [""]
    samples = speech_cache.audio(longest).astype(np.float32) / 32768
    crop = batch.audio[0].numpy()
    starts = range(0, samples.size - crop.size + 1, FRAME_SAMPLES)
    (first,) = [s for s in starts if np.allclose(samples[s : s + crop.size], crop)]
    features = speech_cache.teacher(longest)
    assert features is not None
    wanted = clusters.assign(torch.from_numpy(features.astype(np.float32)))
    start_frame = first // FRAME_SAMPLES
    assert torch.equal(batch.clusters[0], wanted[start_frame : start_frame + 10])


def test_the_sampler_balances_voices_and_repeats_itself() -> None:
    rows = [{"voice": f"v{i % 50 and 1}", "engine": "kokoro", "samples": i} for i in range(1_000)]
    sampler = Sampler(rows, list(range(1_000)), 16, seed=3)
    drawn = Counter(rows[i]["voice"] for n in range(100) for i in sampler.indices(n))
    assert drawn["v0"] / drawn.total() == pytest.approx(0.5, abs=0.05)  # 20 of 1000 files
    assert sampler.indices(7) == Sampler(rows, list(range(1_000)), 16, seed=3).indices(7)
    assert sampler.indices(7) != sampler.indices(8)
    lengths = [rows[i]["samples"] for i in sampler.indices(0)]
    assert max(lengths) - min(lengths) < 600  # sorted by length over four batches


def test_masks_cover_their_share_inside_the_utterance() -> None:
    frames = torch.tensor([200, 50])
    mask = span_mask(frames, 200, np.random.default_rng(0), 0.3, 4)
    assert not mask[1, 50:].any()
    assert mask[0].float().mean().item() == pytest.approx(0.3, abs=0.1)
    edges = torch.diff(mask[0].int()).abs().sum().item()
    assert edges < 0.3 * 200  # spans, not single frames


def test_in_batches() -> None:
    assert list(in_batches([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]
