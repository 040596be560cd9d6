"""What the language model's training knows of each utterance: word times, and codes of the agent.

Beside a speech cache (`sts_core.data.cache`) lie, written by `prepare`:

    lm_words.jsonl    one line an utterance: [[word, start_s, end_s], ...], or null
    lm_codes.u2       uint16 [frames, 8], the agent's utterances one after the other
    lm_codes.json     {utterance: [first frame, frames]}

The agent's utterances begin 20 ms before their first sound: every 10 ms of silence there would be
10 ms of latency.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sts_core.codec.model import ReferenceCodec
from sts_core.data.align import AlignError, WordSpan, align_words
from sts_core.data.cache import CacheError, SpeechCache
from sts_core.data.manifest import Row, as_float, replace_text, voice_of
from sts_core.lm.ear import Ear
from sts_core.lm.text import words_of
from sts_core.semantic.student import CTC_RATE_HZ, Student
from sts_core.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_of

WORDS_NAME, CODES_NAME, CODES_INDEX_NAME = "lm_words.jsonl", "lm_codes.u2", "lm_codes.json"
EDGE_S = 0.05  # silence at both ends of the corpus's utterances
AGENT_LEAD_S = 0.02
CODEBOOKS = 8
SAVE_EVERY = 1000  # utterances
LEAD_FRAMES = 4  # silence before an agent's utterance while it is encoded
TAIL_FRAMES = 2  # frames kept after it, while the codec falls silent


@dataclass(frozen=True)
class Utterance:
    """One recording with what was said when.

    audio: int16 [S], 24 kHz. codes: uint16 [T, 8] of an agent's utterance, else None.
    codes_start_s: where in the audio the codes begin.
    """

    row: Row
    audio: NDArray[np.int16]
    words: tuple[WordSpan, ...]
    codes: NDArray[np.uint16] | None
    codes_start_s: float = EDGE_S - AGENT_LEAD_S

    @property
    def speech_end_s(self) -> float:
        """When the last sound ends."""
        return self.audio.size / SAMPLE_RATE_HZ - EDGE_S

    def code_time_s(self, word: WordSpan) -> float:
        """When a word starts, in the time of the codes."""
        return word.start_s - self.codes_start_s


class Library:
    """A prepared cache; utterances by index."""

    def __init__(self, cache: SpeechCache) -> None:
        folder = cache.folder
        if not (folder / WORDS_NAME).is_file() or not (folder / CODES_INDEX_NAME).is_file():
            raise CacheError(f"{folder}: not prepared for the language model (sts-core compose)")
        self.cache = cache
        lines = (folder / WORDS_NAME).read_text(encoding="utf-8").splitlines()
        self._words = [json.loads(line) for line in lines]
        if len(self._words) != len(cache):
            raise CacheError(f"{folder}: {WORDS_NAME} has {len(lines)} lines for {len(cache)} rows")
        index = json.loads((folder / CODES_INDEX_NAME).read_text(encoding="utf-8"))
        self._at = {int(number): tuple(span) for number, span in index.items()}

    @cached_property
    def _codes(self) -> NDArray[np.uint16]:
        flat = np.memmap(self.cache.folder / CODES_NAME, dtype=np.uint16, mode="r")
        return flat.reshape(-1, CODEBOOKS)

    def usable(self) -> list[int]:
        """Utterances whose words could be placed in time."""
        return [number for number, words in enumerate(self._words) if words]

    def __getitem__(self, number: int) -> Utterance:
        words = tuple(WordSpan(*word) for word in self._words[number] or ())
        codes = None
        if number in self._at:
            first, frames = self._at[number]
            codes = self._codes[first : first + frames]
        return Utterance(self.cache.rows[number], self.cache.audio(number), words, codes)


def prepare(
    folder: Path,
    ear: Ear,
    agent_voices: tuple[str, ...],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Library:
    """Compute what is missing beside the cache of `folder`.

    Goes on where an earlier call was interrupted, and when the cache has grown.

    Raises:
        CacheError: no cache.
    """
    cache = SpeechCache.open(folder)
    lines, index = _done(folder)
    codes: list[NDArray[np.uint16]] = []
    first = sum(frames for _, frames in index.values())
    known = len(lines), len(index)
    for number, row in enumerate(cache.rows):
        if number == len(lines):
            words = aligned_words(ear.student, cache.audio(number), row)
            lines.append(json.dumps(words, ensure_ascii=False))
        is_agent = row.get("role") == "agent" and voice_of(row) in agent_voices
        if is_agent and number not in index and lines[number] != "null":
            codes.append(agent_codes(ear.codec, cache.audio(number)))
            index[number] = (first, len(codes[-1]))
            first += len(codes[-1])
        progress(number + 1, len(cache))
        last = number + 1 == len(cache)
        if (last or (number + 1) % SAVE_EVERY == 0) and (len(lines), len(index)) != known:
            _save(folder, lines, index, codes)
            known = len(lines), len(index)
    return Library(cache)


def _save(
    folder: Path,
    lines: list[str],
    index: dict[int, tuple[int, int]],
    codes: list[NDArray[np.uint16]],
) -> None:
    """Append the codes, which are then forgotten, and after them write what refers to them."""
    with (folder / CODES_NAME).open("ab") as out:
        for own in codes:
            own.tofile(out)
    codes.clear()
    words = "".join(f"{line}\n" for line in lines)
    for name, text in ((CODES_INDEX_NAME, json.dumps(index) + "\n"), (WORDS_NAME, words)):
        replace_text(folder / name, text)


def _done(folder: Path) -> tuple[list[str], dict[int, tuple[int, int]]]:
    """What an earlier call has written: word lines, and where the codes of utterances lie.

    Codes that nothing refers to, of a call that was interrupted while it wrote, are cut off.
    """
    if not (folder / WORDS_NAME).is_file():
        for name in (CODES_NAME, CODES_INDEX_NAME):
            (folder / name).unlink(missing_ok=True)
        return [], {}
    lines = (folder / WORDS_NAME).read_text(encoding="utf-8").splitlines()
    index = json.loads((folder / CODES_INDEX_NAME).read_text(encoding="utf-8"))
    frames = sum(frames for _, frames in index.values())
    os.truncate(folder / CODES_NAME, frames * CODEBOOKS * np.dtype(np.uint16).itemsize)
    return lines, {int(number): (first, frames) for number, (first, frames) in index.items()}


def aligned_words(
    student: Student, audio: NDArray[np.int16], row: Row
) -> list[list[str | float]] | None:
    """[word, start_s, end_s] of what a row says; None where it cannot be placed in its audio."""
    if row.get("lang") != "en" or not row.get("phonemes") or not row.get("text"):
        return None
    heard = torch.from_numpy(_padded(audio, 0, 0))[None]
    with torch.inference_mode():
        log_p = student.phoneme_logits(student(heard)).log_softmax(dim=-1)[0].numpy()
    try:
        spans = align_words(log_p, row["phonemes"], words_of(row["text"]), CTC_RATE_HZ)
    except (AlignError, ValueError):  # phonemes of another alphabet, or too few frames
        return None
    return [
        [span.word, round(float(span.start_s), 3), round(float(span.end_s), 3)] for span in spans
    ]


def agent_codes(codec: ReferenceCodec, audio: NDArray[np.int16]) -> NDArray[np.uint16]:
    """Codes uint16 [T, 8] of an agent's utterance that begins at its first frame."""
    return codes_of(codec, audio[round((EDGE_S - AGENT_LEAD_S) * SAMPLE_RATE_HZ) :])


def codes_of(codec: ReferenceCodec, audio: NDArray[np.int16]) -> NDArray[np.uint16]:
    """Codes uint16 [T, 8] of audio that follows silence, from its first sample on, and a tail."""
    padded = torch.from_numpy(_padded(audio, LEAD_FRAMES, TAIL_FRAMES))
    codes = codec.encode(padded[None, None])[0, :, LEAD_FRAMES:]  # [8, T]
    return codes.t().contiguous().numpy().astype(np.uint16)


def silence_codes(codec: ReferenceCodec) -> NDArray[np.uint16]:
    """The codes uint16 [8] that silence settles at."""
    codes = codec.encode(torch.zeros(1, 1, 40 * FRAME_SAMPLES))[0, :, -1]
    return codes.numpy().astype(np.uint16)


def _padded(audio: NDArray[np.int16], before: int, after: int) -> NDArray[np.float32]:
    """float32 in [-1, 1], whole frames, with so many frames of silence around."""
    size = frames_of(audio.size) * FRAME_SAMPLES
    out = np.zeros(before * FRAME_SAMPLES + size + after * FRAME_SAMPLES, np.float32)
    start = before * FRAME_SAMPLES
    out[start : start + audio.size] = as_float(audio)
    return out
