"""Training batches for the student: voices balanced, sounds augmented, teacher clusters in step.

Batch number n of a seed is always the same batch, whatever came before, so that a resumed run goes
on exactly where it stopped. Utterances of about equal length stand together: each call to
`pick_batches` draws several batches' worth, sorts them by length and deals them out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sts_core.data.augment import AugmentConfig, augment
from sts_core.data.cache import SpeechCache, voice_group
from sts_core.data.manifest import Row
from sts_core.semantic.clusters import Clusters
from sts_core.semantic.phonemes import labels_of
from sts_core.units import FRAME_SAMPLES, frames_of

IGNORED = -100  # cross entropy skips these frames
DRAWN_TOGETHER = 4  # batches drawn and length-sorted at a time
# What a voice of each engine counts for: robots little, and shifts of one voice share its timing.
ENGINE_WEIGHTS = {"espeak": 0.2, "flite": 0.5, "hibari": 0.35}


class Batch(NamedTuple):
    """B utterances padded to T frames. Rows without a transcript have empty labels and text."""

    audio: Tensor  # float32 [B, T * 1920]
    frames: Tensor  # int64 [B], true lengths in 80 ms frames
    clusters: Tensor  # int64 [B, T], IGNORED where unknown
    labels: list[list[int]]
    texts: list[str]


class Sampler:
    """Draws utterance indices: a voice group by its weight, then one of its utterances."""

    def __init__(self, rows: list[Row], indices: list[int], batch_size: int, seed: int) -> None:
        groups: dict[str, list[int]] = {}
        for index in indices:
            groups.setdefault(voice_group(rows[index]), []).append(index)
        self._groups = [np.array(group) for group in groups.values()]
        weights = np.array(
            [ENGINE_WEIGHTS.get(rows[group[0]].get("engine", ""), 1.0) for group in self._groups]
        )
        self._weights = weights / weights.sum()
        self._rows, self._batch_size, self._seed = rows, batch_size, seed

    def indices(self, number: int) -> list[int]:
        """The utterances of batch `number`."""
        draw, place = divmod(number, DRAWN_TOGETHER)
        rng = np.random.default_rng([self._seed, 1, draw])
        groups = rng.choice(
            len(self._groups), size=self._batch_size * DRAWN_TOGETHER, p=self._weights
        )
        drawn = [int(rng.choice(self._groups[group])) for group in groups]
        drawn.sort(key=lambda index: self._rows[index]["samples"])
        deal = rng.permutation(DRAWN_TOGETHER)[place]
        return drawn[deal * self._batch_size : (deal + 1) * self._batch_size]


def make_batch(
    cache: SpeechCache,
    indices: list[int],
    clusters: Clusters,
    config: AugmentConfig,
    rng: np.random.Generator,
    max_frames: int,
) -> Batch:
    """Load, crop, augment and pad. An utterance longer than `max_frames` is cropped and loses its
    transcript, which would no longer fit."""
    sounds, targets, labels, texts = [], [], [], []
    for index in indices:
        audio = cache.audio(index).astype(np.float32) / np.float32(32768)
        row = cache.rows[index]
        features = cache.teacher(index)
        first = 0
        cropped = frames_of(audio.size) > max_frames
        if cropped:
            first = int(rng.integers(frames_of(audio.size) - max_frames))
            audio = audio[first * FRAME_SAMPLES : (first + max_frames) * FRAME_SAMPLES]
        other = cache.audio(int(rng.integers(len(cache)))).astype(np.float32) / np.float32(32768)
        heard = augment(audio, rng, config, other)
        source = torch.from_numpy(heard.source_frames())  # [T]
        target = torch.full((len(source),), IGNORED)
        if features is not None:
            ids = clusters.assign(torch.from_numpy(features.astype(np.float32)))[first:]
            target = torch.where(source >= 0, ids[source.clamp(min=0)], IGNORED)
        label = None if cropped else labels_of(row)
        sounds.append(torch.from_numpy(heard.audio))
        targets.append(target)
        labels.append(label or [])
        texts.append(row.get("text", "") if label else "")
    frames = torch.tensor([len(target) for target in targets])
    padded = torch.zeros(len(sounds), int(frames.max()) * FRAME_SAMPLES)
    for row_audio, sound in zip(padded, sounds, strict=True):
        row_audio[: len(sound)] = sound
    target_ids = torch.nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=IGNORED)
    return Batch(padded, frames, target_ids, labels, texts)


def span_mask(
    frames: Tensor, width: int, rng: np.random.Generator, share: float, span_frames: int
) -> Tensor:
    """bool [B, width]: spans of `span_frames` that hide about `share` of each utterance."""
    starts = rng.random((len(frames), width)) < share / span_frames
    mask = np.zeros_like(starts)
    for shift in range(span_frames):
        mask[:, shift:] |= starts[:, : width - shift]
    inside = np.arange(width)[None, :] < frames.numpy()[:, None]
    return torch.from_numpy(mask & inside)


def in_batches(items: list[int], size: int) -> Iterator[list[int]]:
    """Consecutive slices of at most `size` items."""
    for first in range(0, len(items), size):
        yield items[first : first + size]
