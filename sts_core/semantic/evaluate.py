"""How well the student hears: phoneme error rate and speech-to-text retrieval on chosen voices.

    phoneme error rate   edits / reference phonemes over all utterances (counts pooled, divided
                         once), greedy CTC reading, word boundaries left out; lower is better
    retrieval top-1      share of utterances whose own text has the most similar embedding among all
                         distinct texts of the set (chance: 1 / texts); higher is better
    cluster accuracy     share of frames whose teacher cluster is the likeliest one

Each comes as a record of counts for each utterance, so that a caller can pool them by voice and
compute intervals; nothing here draws random numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sts_core.data.manifest import load_audio, read_manifest, select, voice_of
from sts_core.semantic.batches import in_batches
from sts_core.semantic.phonemes import collapse, edit_distance, labels_of, without_boundaries
from sts_core.semantic.student import CTC_PER_FRAME, Student, TextEncoder
from sts_core.units import FRAME_SAMPLES, frames_of

# One-word greetings and back-channels are too short to be told apart by anyone: kept out of
# retrieval, counted in the phoneme error.
MIN_RETRIEVAL_WORDS = 3


@dataclass(frozen=True)
class Utterance:
    """One labelled utterance for evaluation."""

    id: str
    voice: str
    text: str
    labels: list[int]
    audio: NDArray[np.float32]  # [S], 24 kHz


@dataclass(frozen=True)
class Heard:
    """Counts for one utterance."""

    id: str
    voice: str
    edits: int
    phonemes: int
    retrieved: bool | None  # None: its text is too short for retrieval


def load_utterances(
    folder: Path,
    *,
    splits: tuple[str, ...],
    limit: int | None = None,
    phonemize: Callable[[str], str] | None = None,
) -> list[Utterance]:
    """The utterances of a corpus folder that have English phonemes, evenly thinned to `limit`.

    Args:
        phonemize: makes the phonemes of rows that have an English text alone.

    Raises:
        ManifestError: no manifest, or unreadable audio.
    """
    rows = select(read_manifest(folder), splits=splits)
    if phonemize is not None:
        for row in rows:
            if row.get("lang") == "en" and row.get("text") and not row.get("phonemes"):
                row["phonemes"] = phonemize(row["text"])
    rows = [row for row in rows if labels_of(row)]
    if limit is not None and len(rows) > limit:
        rows = [rows[i] for i in np.linspace(0, len(rows) - 1, limit).round().astype(int)]
    utterances = []
    for row in rows:
        audio = load_audio(folder / row["path"]).astype(np.float32) / np.float32(32768)
        labels = labels_of(row)
        assert labels is not None
        utterances.append(Utterance(row["id"], voice_of(row), row.get("text", ""), labels, audio))
    return utterances


def _padded(sounds: list[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """[B, T * 1920] and true lengths in frames [B]."""
    frames = torch.tensor([frames_of(sound.size) for sound in sounds])
    audio = torch.zeros(len(sounds), int(frames.max()) * FRAME_SAMPLES)
    for row, sound in zip(audio, sounds, strict=True):
        row[: sound.size] = torch.from_numpy(sound)
    return audio, frames


@torch.inference_mode()
def evaluate(
    student: Student,
    text_encoder: TextEncoder,
    utterances: list[Utterance],
    *,
    batch_size: int = 32,
) -> list[Heard]:
    """Listen to all utterances; one record each, in their order."""
    device = student.mask.device
    order = sorted(range(len(utterances)), key=lambda i: utterances[i].audio.size)
    edits: dict[int, int] = {}
    embeddings = torch.zeros(len(utterances), student.config.embedding_dim)
    for batch in in_batches(order, batch_size):
        audio, frames = _padded([utterances[i].audio for i in batch])
        y = student(audio.to(device))  # [B, T, D]
        best = student.phoneme_logits(y).argmax(dim=-1).cpu()  # [B, 4 T]
        embeddings[batch] = student.pool(y, frames.to(device)).float().cpu()
        for i, row, length in zip(batch, best, frames.tolist(), strict=True):
            heard = without_boundaries(collapse(row[: CTC_PER_FRAME * length].tolist()))
            edits[i] = edit_distance(without_boundaries(utterances[i].labels), heard)
    texts = sorted({u.text for u in utterances if len(u.text.split()) >= MIN_RETRIEVAL_WORDS})
    nearest: list[str | None] = [None] * len(utterances)
    if texts:
        parts = [text_encoder(texts[i : i + 64]).cpu() for i in range(0, len(texts), 64)]
        wanted = torch.cat(parts)  # [texts, E]
        nearest = [texts[i] for i in (embeddings @ wanted.T).argmax(dim=1).tolist()]
    known = set(texts)
    return [
        Heard(
            u.id,
            u.voice,
            edits[i],
            len(without_boundaries(u.labels)),
            nearest[i] == u.text if u.text in known else None,
        )
        for i, u in enumerate(utterances)
    ]


def phoneme_error_rate(heard: list[Heard]) -> float:
    """Pooled edits over pooled reference phonemes; nan when there are none."""
    phonemes = sum(h.phonemes for h in heard)
    return sum(h.edits for h in heard) / phonemes if phonemes else float("nan")


def retrieval_rate(heard: list[Heard]) -> float:
    """Share of utterances retrieved among those that count; nan when there are none."""
    counted = [h.retrieved for h in heard if h.retrieved is not None]
    return sum(counted) / len(counted) if counted else float("nan")
