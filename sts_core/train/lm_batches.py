"""Composed conversations as batches: a few shards, equal lengths together, padded at the end."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sts_core.data.dialogue import NO_TONE
from sts_core.data.shards import Shard, read_shard
from sts_core.lm.model import Frames
from sts_core.lm.text import PAD


class Batch(NamedTuple):
    """Conversations side by side, padded at the end."""

    frames: Frames
    codes: Tensor  # int64 [B, T, K], the agent's
    words: Tensor  # int64 [B, T]
    tone: Tensor  # int64 [B, T], the user's, or NO_TONE
    speaking: Tensor  # bool [B, T]
    inside: Tensor  # bool [B, T], false where padded
    text_weight: Tensor  # [B]
    kinds: tuple[str, ...]  # B of `sts_core.data.scenes`


_STREAMS = ("codes", "words", "tone", "speaking", "inside", "text_weight")


class Conversations:
    """All shards of a folder, looked up again from time to time."""

    def __init__(self, folder: Path, text_weights: dict[str, float]) -> None:
        self.folder, self.text_weights = folder, text_weights
        self.shards: list[Shard] = []
        self._names: set[str] = set()
        self.refresh()
        if not self.shards:
            raise FileNotFoundError(f"{folder}: no shards here (write them with sts-core compose)")

    def refresh(self) -> None:
        """Read the shards that are new."""
        for file in sorted(self.folder.glob("*.npz")):
            if file.name not in self._names:
                self._names.add(file.name)
                self.shards.append(read_shard(file))

    def batch(self, rng: np.random.Generator, frames: int) -> Batch:
        """Conversations of about equal length from a few shards, `frames` frames in all."""
        picked: list[tuple[Shard, int]] = []
        where = rng.random()  # shards are sorted by length: the same place in each
        while True:
            shard = self.shards[rng.integers(len(self.shards))]
            count = len(shard.voice)
            place = int(np.clip(where * count + rng.normal(0, 4), 0, count - 1))
            length = int(shard.first[place + 1] - shard.first[place])
            if picked and (len(picked) + 1) * max(length, *map(_length, picked)) > frames:
                return self._pad(picked)
            picked.append((shard, place))

    def spoken_codes(self, rows: int = 24, frames: int = 50) -> Tensor:
        """What the agent says in some places, int64 [rows, frames, K]."""
        said = np.concatenate([shard.codes[shard.speaking] for shard in self.shards])
        every = max(1, len(said) // rows)
        starts = (np.arange(rows) * every)[:, None] + np.arange(min(frames, every))
        return torch.from_numpy(said[starts].astype(np.int64))

    def all_batches(self, frames: int) -> list[Batch]:
        """Every conversation once, in a fixed order."""
        rows = [(shard, i) for shard in self.shards for i in range(len(shard.voice))]
        rows.sort(key=_length)
        batches, start = [], 0
        while start < len(rows):
            end = start + 1
            while end < len(rows) and (end + 1 - start) * _length(rows[end]) <= frames:
                end += 1
            batches.append(self._pad(rows[start:end]))
            start = end
        return batches

    def _pad(self, picked: list[tuple[Shard, int]]) -> Batch:
        longest = max(map(_length, picked))
        size = (len(picked), longest)
        first = picked[0][0]
        ear = np.zeros((*size, first.ear.shape[1]), np.float16)
        codes = np.zeros((*size, first.codes.shape[1]), np.int64)
        text, words = (np.full(size, PAD, np.int64) for _ in range(2))
        tone = np.full(size, NO_TONE, np.int64)
        speaking, inside = (np.zeros(size, bool) for _ in range(2))
        for row, (shard, i) in enumerate(picked):
            part = slice(shard.first[i], shard.first[i + 1])
            end = part.stop - part.start
            ear[row, :end], codes[row, :end] = shard.ear[part], shard.codes[part]
            text[row, :end], words[row, :end] = shard.text[part], shard.words[part]
            tone[row, :end] = shard.tone[part]
            speaking[row, :end], inside[row, :end] = shard.speaking[part], True
        voice = np.array([shard.voice[i] for shard, i in picked], np.int64)
        kinds = tuple(str(shard.kind[i]) for shard, i in picked)
        weight = [self.text_weights.get(kind, 1.0) for kind in kinds]
        t = torch.from_numpy
        frames = Frames(t(text), t(ear), t(voice))
        return Batch(
            frames=frames,
            codes=t(codes),
            words=t(words),
            tone=t(tone),
            speaking=t(speaking),
            inside=t(inside),
            text_weight=torch.tensor(weight),
            kinds=kinds,
        )


def _length(item: tuple[Shard, int]) -> int:
    shard, i = item
    return int(shard.first[i + 1] - shard.first[i])


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on another device."""
    if device.type == "cpu":
        return batch
    frames = Frames(*(value.to(device) for value in batch.frames))
    moved = {name: value.to(device) for name, value in batch._asdict().items() if name in _STREAMS}
    return batch._replace(frames=frames, **moved)
