"""The speech cache: whole corpora as one memory-mapped array of samples, one of features.

    FOLDER/audio.i16          int16, all utterances one after the other, 24 kHz mono
    FOLDER/index.jsonl        its manifest row, `corpus`, `start_samples`, `samples`; one a line
    FOLDER/teacher.json       name and width of the teacher whose features follow
    FOLDER/teacher.f16        float16 [sum T, D], in the order of the index, T = ceil(S / 1920)
    FOLDER/teacher_done.u1    uint8 [utterances], 1 where the features have been written

Both stages can be interrupted at any instant. Audio is appended first and its index line second, so
a torn tail is cut off when building goes on; a feature block is flushed before its flag is set.
Readers may open a cache that is still growing: they see the utterances indexed so far, and features
as they appear.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sts_core.data.manifest import (
    ManifestError,
    Row,
    as_float,
    load_audio,
    read_manifest,
    select,
    voice_of,
)
from sts_core.units import frames_of

if TYPE_CHECKING:
    from sts_core.semantic.teacher import Teacher

AUDIO_NAME, INDEX_NAME = "audio.i16", "index.jsonl"
TEACHER_NAME, TEACHER_DONE_NAME, TEACHER_META_NAME = (
    "teacher.f16",
    "teacher_done.u1",
    "teacher.json",
)
Progress = Callable[[int, int], None]  # called with (done, total)


class CacheError(ValueError):
    """The cache folder is missing, damaged, or was made for another teacher."""


class SpeechCache:
    """Random access to a cache folder; open it with `SpeechCache.open`."""

    def __init__(self, folder: Path, rows: list[Row], audio: NDArray[np.int16]) -> None:
        self.folder = folder
        self.rows = rows
        self._audio = audio
        frames = [frames_of(row["samples"]) for row in rows]
        self._first_frame = np.concatenate([[0], np.cumsum(frames, dtype=np.int64)])
        self._teacher: NDArray[np.float16] | None = None  # [sum T, D]
        self._done: NDArray[np.uint8] | None = None

    @classmethod
    def open(cls, folder: str | Path) -> SpeechCache:
        """Map a cache folder for reading.

        Raises:
            CacheError: there is no cache, or its audio is shorter than its index says.
        """
        folder = Path(folder)
        if not (folder / INDEX_NAME).is_file():
            raise CacheError(f"{folder}: no speech cache here (build one with `sts-core cache`)")
        rows, _ = _read_index(folder)
        if not rows:
            raise CacheError(f"{folder}: the cache is empty")
        audio = np.memmap(folder / AUDIO_NAME, dtype=np.int16, mode="r")
        needed = rows[-1]["start_samples"] + rows[-1]["samples"]
        if audio.size < needed:
            raise CacheError(f"{folder}: {AUDIO_NAME} holds {audio.size} of {needed} samples")
        return cls(folder, rows, audio)

    def __len__(self) -> int:
        return len(self.rows)

    def audio(self, index: int) -> NDArray[np.int16]:
        """Utterance `index` as int16 [S], 24 kHz, a view of the mapped file."""
        row = self.rows[index]
        return self._audio[row["start_samples"] : row["start_samples"] + row["samples"]]

    def teacher(self, index: int) -> NDArray[np.float16] | None:
        """Teacher features of utterance `index`, float16 [T, D] at 12.5 Hz; None: not computed."""
        if not self._map_teacher():
            return None
        assert self._teacher is not None
        assert self._done is not None
        index = range(len(self))[index]  # negative indices, and IndexError when out of range
        if index >= self._done.size or not self._done[index]:
            return None
        return self._teacher[self._first_frame[index] : self._first_frame[index + 1]]

    def has_teacher(self) -> NDArray[np.bool_]:
        """bool [len]: whose teacher features exist by now."""
        done = np.zeros(len(self), dtype=bool)
        if self._map_teacher():
            assert self._done is not None
            done[: self._done.size] = self._done[: len(self)] != 0
        return done

    def _map_teacher(self) -> bool:
        if self._teacher is not None:
            return True
        meta = teacher_meta(self.folder)
        if meta is None:
            return False
        dim = int(meta["dim"])
        flat = np.memmap(self.folder / TEACHER_NAME, dtype=np.float16, mode="r")
        self._teacher = flat.reshape(-1, dim)
        self._done = np.memmap(self.folder / TEACHER_DONE_NAME, dtype=np.uint8, mode="r")
        return True


def teacher_meta(folder: Path) -> Row | None:
    """`{"name", "dim"}` of the teacher whose features the cache holds, or None."""
    file = folder / TEACHER_META_NAME
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def _read_index(folder: Path) -> tuple[list[Row], int]:
    """The rows of complete index lines and the number of bytes that those lines fill."""
    file = folder / INDEX_NAME
    rows: list[Row] = []
    good_bytes = 0
    if file.is_file():
        with file.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break  # a line torn by an interruption
                rows.append(json.loads(line))
                good_bytes += len(line)
    return rows, good_bytes


def build(
    folder: Path,
    sources: Iterable[Path],
    *,
    splits: Iterable[str] = ("train",),
    exclude: Iterable[tuple[str, str]] = (),
    progress: Progress | None = None,
) -> list[str]:
    """Decode every selected recording of `sources` into `folder`; goes on where it was interrupted.

    Returns:
        One message for each recording that could not be read (they are left out).

    Raises:
        ManifestError: a source has no usable manifest.
        CacheError: two sources have the same folder name.
    """
    splits, exclude, sources = tuple(splits), tuple(exclude), tuple(sources)
    names = [source.resolve().name for source in sources]
    if len(set(names)) < len(names):
        raise CacheError(f"corpora are told apart by folder name, and two share one: {names}")
    wanted = [
        (source, row)
        for source in sources
        for row in select(read_manifest(source), splits=splits, exclude=exclude)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    rows, good_bytes = _read_index(folder)
    end_samples = rows[-1]["start_samples"] + rows[-1]["samples"] if rows else 0
    have = {(row["corpus"], row["id"]) for row in rows}
    problems: list[str] = []
    with (
        (folder / AUDIO_NAME).open("ab") as audio_file,
        (folder / INDEX_NAME).open("ab") as index_file,
    ):
        audio_file.truncate(end_samples * 2)
        index_file.truncate(good_bytes)
        for number, (source, row) in enumerate(wanted, start=1):
            corpus = source.resolve().name
            if (corpus, row["id"]) not in have:
                try:
                    audio = load_audio(source / row["path"])
                except ManifestError as error:
                    problems.append(str(error))
                    continue
                audio_file.write(audio.tobytes())
                audio_file.flush()
                entry = row | {
                    "corpus": corpus,
                    "start_samples": end_samples,
                    "samples": int(audio.size),
                }
                index_file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
                index_file.flush()
                end_samples += audio.size
            if progress:
                progress(number, len(wanted))
    return problems


def fill_teacher(
    folder: Path,
    teacher: Teacher,
    *,
    seed: int = 0,
    limit: int | None = None,
    progress: Progress | None = None,
) -> int:
    """Compute missing teacher features, voices in turn, so that a partial fill is already balanced.

    Args:
        limit: stop after so many utterances (None: all).

    Returns:
        The number of utterances computed now.

    Raises:
        CacheError: the cache holds features of another teacher.
    """
    cache = SpeechCache.open(folder)
    meta = teacher_meta(folder)
    if meta is not None and (meta["name"], meta["dim"]) != (teacher.name, teacher.dim):
        raise CacheError(
            f"{folder}: holds features of {meta['name']!r}, not {teacher.name!r}; delete teacher*"
        )
    total_frames = int(cache._first_frame[-1])
    stored = _grown(folder / TEACHER_NAME, total_frames * teacher.dim, np.float16)
    features = stored.reshape(-1, teacher.dim)
    done = _grown(folder / TEACHER_DONE_NAME, len(cache), np.uint8)
    if meta is None:  # written last: readers map the arrays as soon as it exists
        text = json.dumps({"name": teacher.name, "dim": teacher.dim})
        (folder / TEACHER_META_NAME).write_text(text + "\n", encoding="utf-8")
    todo = [index for index in voices_in_turn(cache.rows, seed) if not done[index]][:limit]
    for number, index in enumerate(todo, start=1):
        audio = as_float(cache.audio(index))
        values = teacher.features(audio)  # [T, D]
        first = int(cache._first_frame[index])
        features[first : first + len(values)] = values.astype(np.float16)
        stored.flush()
        done[index] = 1
        if progress:
            progress(number, len(todo))
    done.flush()
    return len(todo)


def voices_in_turn(rows: list[Row], seed: int) -> Iterator[int]:
    """Every row index once, in random order, taking one utterance of each voice in each round.

    Voices that occur once only, such as random blends, take their turns by family (`voice_group`).
    """
    rng = np.random.default_rng(seed)
    groups: dict[str, list[int]] = {}
    for index in rng.permutation(len(rows)):
        groups.setdefault(voice_group(rows[index]), []).append(int(index))
    waiting = list(groups.values())
    while waiting:
        for group in waiting:
            yield group.pop()
        waiting = [group for group in waiting if group]


def voice_group(row: Row) -> str:
    """The voice family by which batches are balanced.

    A blend counts as its first voice, and a shifted voice as all shifts of about the same pitch:
    each may occur once only, and would otherwise weigh as much as a voice with a thousand files.
    """
    voice = voice_of(row).removeprefix("blend:")
    if ":f0x" in voice:
        name, _, shift = voice.partition(":f0x")
        return f"{name}:f0x{shift[:3]}"
    return voice.split("+")[0].split("*")[0] if "+" in voice else voice


def _grown(path: Path, size: int, dtype: type) -> np.memmap:
    """Map `path` for writing with at least `size` items; new ones are zero (a sparse file)."""
    with path.open("ab") as file:
        size_bytes = size * np.dtype(dtype).itemsize
        if os.fstat(file.fileno()).st_size < size_bytes:
            file.truncate(size_bytes)
    return np.memmap(path, dtype=dtype, mode="r+")
