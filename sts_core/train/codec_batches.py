"""Batches for the codec: crops of augmented speech with the teacher's features beside them.

Voices are drawn first and files second, so that a voice with few files is heard as often as one
with many; `shares` gives some groups of voices a larger or smaller part. A batch depends on
(seed, step) only, so a resumed run continues exactly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sts_core.data.augment import AugmentConfig, augment
from sts_core.data.cache import SpeechCache, voice_group
from sts_core.data.manifest import Row
from sts_core.units import FRAME_SAMPLES

LONGEST_WARP = 1.2  # a crop must still be full when it is played faster


@dataclass(frozen=True)
class Shares:
    """Parts of all rows for groups of voices; the rest is shared equally by voice."""

    agent: float = 0.12  # what has the role of agent
    robotic: float = 0.06
    robotic_prefix: str = "espeak"
    human: float = 0.18
    human_corpus: str = "human"


class CodecBatch(NamedTuple):
    """One training batch."""

    audio: Tensor  # [B, S], S in whole frames
    teacher: Tensor  # [B, T, D], zeros where unknown
    known: Tensor  # bool [B, T]


class CodecSampler:
    """Draws batches from a speech cache."""

    def __init__(
        self,
        cache: SpeechCache,
        rows: int,
        frames: int,
        seed: int,
        config: AugmentConfig,
        shares: Shares,
    ) -> None:
        self.cache, self.rows, self.frames, self.seed = cache, rows, frames, seed
        self.config = config
        self.groups, self.weights = voice_weights(cache.rows, shares)
        self.teacher_dim = _teacher_dim(cache)

    def batch(self, step: int) -> CodecBatch:
        """The batch of a step, the same whenever it is asked for."""
        rng = np.random.default_rng((self.seed, step))
        items = [self._item(rng) for _ in range(self.rows)]
        audio, teacher, known = (
            torch.from_numpy(np.stack(part)) for part in zip(*items, strict=True)
        )
        return CodecBatch(audio, teacher, known)

    def apart(self, count: int) -> Iterator[CodecBatch]:
        """Batches of steps that training never reaches."""
        return (self.batch(-1 - number & 0x7FFFFFFF) for number in range(count))

    def stream(self, first_step: int, threads: int = 1) -> Iterator[CodecBatch]:
        """Batches from `first_step` on, prepared in threads while earlier ones are used."""
        with ThreadPoolExecutor(max_workers=threads) as pool:
            ahead = range(2 * threads + 1)
            pending = [pool.submit(self.batch, first_step + number) for number in ahead]
            step = first_step + len(pending)
            while True:
                ready = pending.pop(0)
                pending.append(pool.submit(self.batch, step))
                step += 1
                yield ready.result()

    def _draw(self, rng: np.random.Generator) -> int:
        group = self.groups[rng.choice(len(self.groups), p=self.weights)]
        return int(group[rng.integers(len(group))])

    def _item(
        self, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        index = self._draw(rng)
        source = self.cache.audio(index)
        longest = int(self.frames * LONGEST_WARP)
        spare = max(0, -(-source.size // FRAME_SAMPLES) - longest)
        first = int(rng.integers(spare + 1))
        clip = _float(source[first * FRAME_SAMPLES : (first + longest) * FRAME_SAMPLES])
        other = _float(self.cache.audio(self._draw(rng)))
        changed = augment(clip, rng, self.config, other)
        samples = self.frames * FRAME_SAMPLES
        # short utterances start anywhere in the crop; whole frames keep the teacher aligned
        room = max(0, self.frames - -(-changed.audio.size // FRAME_SAMPLES))
        lead = int(rng.integers(room + 1))
        audio = np.zeros(samples, dtype=np.float32)
        part = changed.audio[: samples - lead * FRAME_SAMPLES]
        audio[lead * FRAME_SAMPLES :][: part.size] = part
        teacher = np.zeros((self.frames, self.teacher_dim), dtype=np.float32)
        known = np.zeros(self.frames, dtype=bool)
        features = self.cache.teacher(index)
        if features is not None:
            frames = changed.source_frames()[: self.frames - lead]  # [T'], -1: added silence
            frames = np.where(frames >= 0, frames + first, -1)
            inside = (frames >= 0) & (frames < len(features))
            positions = lead + np.flatnonzero(inside)
            teacher[positions] = features[frames[inside]]
            known[positions] = True
        return audio, teacher, known


def _float(audio: NDArray[np.int16]) -> NDArray[np.float32]:
    return audio.astype(np.float32) / np.float32(32768)


def _teacher_dim(cache: SpeechCache) -> int:
    for index in range(len(cache)):
        features = cache.teacher(index)
        if features is not None:
            return int(features.shape[1])
    return 1


def voice_weights(
    rows: Sequence[Row], shares: Shares
) -> tuple[list[NDArray[np.int64]], NDArray[np.float64]]:
    """Row indices of each voice, and how often each voice is drawn."""
    by_voice: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        by_voice[_kind(row, shares), voice_group(row)].append(index)
    voices_of_kind: dict[str, int] = defaultdict(int)
    for kind, _ in by_voice:
        voices_of_kind[kind] += 1
    part = {"agent": shares.agent, "robotic": shares.robotic, "human": shares.human}
    part = {kind: share for kind, share in part.items() if kind in voices_of_kind}
    if "rest" in voices_of_kind:
        part["rest"] = 1.0 - sum(part.values())
    weights = np.array([part[kind] / voices_of_kind[kind] for kind, _ in by_voice])
    return [np.array(group) for group in by_voice.values()], weights / weights.sum()


def _kind(row: Row, shares: Shares) -> str:
    if row.get("corpus") == shares.human_corpus:
        return "human"
    if row.get("role") == "agent":
        return "agent"
    return "robotic" if str(row.get("voice")).startswith(shares.robotic_prefix) else "rest"


def teacher_statistics(cache: SpeechCache, frames: int, seed: int) -> tuple[Tensor, Tensor]:
    """Mean and deviation [D] of about `frames` teacher features, to standardise them.

    Raises:
        ValueError: the cache holds no teacher features yet.
    """
    have = np.flatnonzero(cache.has_teacher())
    if have.size == 0:
        raise ValueError(f"{cache.folder}: no teacher features yet; run the teacher fill first")
    pieces, total = [], 0
    for index in np.random.default_rng(seed).permutation(have):
        features = cache.teacher(int(index))
        assert features is not None
        pieces.append(features.astype(np.float32))
        total += len(features)
        if total >= frames:
            break
    stacked = torch.from_numpy(np.concatenate(pieces))
    return stacked.mean(dim=0), stacked.std(dim=0).clamp(min=1e-3)
