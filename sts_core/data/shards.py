"""Composed conversations on disk, as the language model reads them.

    FOLDER/NNNNN.npz   ear float16 [F, 456], codes uint16 [F, 8], text, words uint16 [F],
                       tone int8 [F], speaking bool [F], first int64 [n + 1], voice uint8 [n],
                       kind [n]

Conversation i of a shard has frames first[i] to first[i + 1]. The ear is run over the whole user
channel, noise and all, so its vectors are exactly those of a live session. A trainer may read a
folder that is still growing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sts_core.data.augment import _band_limited, _in_room, _mixed, _noise
from sts_core.data.dialogue import Audio, Dialogue
from sts_core.data.scenes import Scenes
from sts_core.lm.ear import Ear
from sts_core.nn.precision import mixed_precision
from sts_core.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

SHARD_DIALOGUES = 192
EAR_BATCH = 16


class Shard(NamedTuple):
    """Conversations in a row; see the module."""

    ear: NDArray[np.float16]
    codes: NDArray[np.uint16]
    text: NDArray[np.uint16]
    words: NDArray[np.uint16]
    tone: NDArray[np.int8]
    speaking: NDArray[np.bool_]
    first: NDArray[np.int64]
    voice: NDArray[np.uint8]
    kind: NDArray[np.str_]


def in_the_room(dialogue: Dialogue, babble: Audio, rng: np.random.Generator) -> Audio:
    """The user's channel as a microphone gives it, float32 [T * 1920].

    Echo of the agent (1 in 4, 18 to 40 dB down, 20 to 200 ms late), room (1 in 5), noise or babble
    3 to 35 dB below speech (2 in 3), band limits (1 in 5), gain -9 to +5 dB: the user is never
    softer than -32 dBFS. Where somebody is overheard it is -6 to 0 dB, so they are below -38: one
    level must not ask for an answer in one conversation and for none in another, and the louder of
    the soft are the ones to learn from.

    Args:
        babble: other people's speech, at the level of speech.
    """
    audio = dialogue.user
    if rng.random() < 0.25:
        late = int(rng.uniform(0.02, 0.2) * SAMPLE_RATE_HZ)
        echo = np.pad(dialogue.leak, (late, 0))[: audio.size]
        audio = audio + echo * np.float32(10 ** (rng.uniform(-40, -18) / 20))
    if rng.random() < 0.2:
        audio = _in_room(audio, rng)
    if rng.random() < 0.65:
        noise = np.resize(babble, audio.size) if rng.random() < 0.3 else _noise(audio.size, rng)
        speech = np.full(audio.size, np.float32(0.07))  # the corpus's level: -23 dBFS
        audio = audio + _mixed(speech, noise, rng.uniform(3, 35)) - speech
    if rng.random() < 0.2:
        audio = _band_limited(audio, rng)
    gain_db = rng.uniform(-6, 0) if dialogue.kind == "background" else rng.uniform(-9, 5)
    return np.clip(audio * np.float32(10 ** (gain_db / 20)), -1, 1)


def compose(
    folder: Path,
    scenes: Scenes,
    ear: Ear,
    *,
    dialogues: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write conversations until the folder holds `dialogues`; goes on where it was interrupted.

    Shard number n depends on the seed and n alone. Returns the number of shards.
    """
    shards = -(-dialogues // SHARD_DIALOGUES)

    def deal(_: int, rng: np.random.Generator) -> list[Dialogue]:
        return [scenes.draw(rng) for _ in range(SHARD_DIALOGUES)]

    def shown(done: int, _: int) -> None:
        progress(min(done * SHARD_DIALOGUES, dialogues), dialogues)

    write_shards(folder, deal, ear, shards=shards, seed=seed, progress=shown)
    return shards


def write_shards(
    folder: Path,
    deal: Callable[[int, np.random.Generator], list[Dialogue]],
    ear: Ear,
    *,
    shards: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write the shards that are missing; `deal` gives the conversations of one by its number.

    A number that is dealt none gives no file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(shards):
        file = folder / f"{number:05d}.npz"
        if not file.exists():
            rng = np.random.default_rng([seed, number])
            dealt = deal(number, rng)
            if dealt:
                _write(file, _shard(dealt, ear, rng))
        progress(number + 1, shards)


def _shard(drawn: list[Dialogue], ear: Ear, rng: np.random.Generator) -> Shard:
    drawn = sorted(drawn, key=lambda dialogue: len(dialogue.text))
    babble = _babble(drawn, rng)
    heard: list[NDArray[np.float16]] = []
    for start in range(0, len(drawn), EAR_BATCH):
        batch = drawn[start : start + EAR_BATCH]
        longest = len(batch[-1].text)
        audio = np.zeros((len(batch), longest * FRAME_SAMPLES), np.float32)
        for row, dialogue in zip(audio, batch, strict=True):
            track = in_the_room(dialogue, babble, rng)
            row[: track.size] = track
        with mixed_precision("cpu"):
            vectors, _ = ear.step(torch.from_numpy(audio), ear.initial_state(len(batch)))
        half = vectors.float().numpy().astype(np.float16)
        heard += [half[i, : len(dialogue.text)] for i, dialogue in enumerate(batch)]
    return Shard(
        ear=np.concatenate(heard),
        codes=np.concatenate([d.codes for d in drawn]),
        text=np.concatenate([d.text for d in drawn]),
        words=np.concatenate([d.words for d in drawn]),
        tone=np.concatenate([d.tone for d in drawn]),
        speaking=np.concatenate([d.speaking for d in drawn]),
        first=np.cumsum([0, *(len(d.text) for d in drawn)]),
        voice=np.array([d.voice for d in drawn], np.uint8),
        kind=np.array([d.kind for d in drawn]),
    )


def _babble(drawn: list[Dialogue], rng: np.random.Generator) -> Audio:
    """Four user channels at once, 8 s."""
    size = 8 * SAMPLE_RATE_HZ
    picks = rng.choice(len(drawn), size=4)
    return np.sum([np.resize(drawn[i].user, size) for i in picks], axis=0).astype(np.float32)


def _write(file: Path, shard: Shard) -> None:
    partial = file.with_suffix(".partial")
    with partial.open("wb") as out:
        np.savez(out, **shard._asdict())
    os.replace(partial, file)


def read_shard(file: Path) -> Shard:
    """A shard of `compose`. Raises ValueError on a file that is none."""
    with np.load(file, allow_pickle=False) as arrays:
        missing = set(Shard._fields) - set(arrays.files)
        if missing:
            raise ValueError(f"{file}: no {', '.join(sorted(missing))} in it")
        return Shard(**{name: arrays[name] for name in Shard._fields})
