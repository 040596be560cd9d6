"""Training sets: what a model was trained on, as the overfit suite reads it.

    training: reference            # the reference system's own texts, packaged
    training: FOLDER               # with a manifest.jsonl
    training: FILE.jsonl

One JSON object a line; each has a `text`, a `path` (a recording, relative to the manifest and
inside its folder), or both. Further fields, all optional:

    id            default: the line's number
    repetitions   how often the model saw it (whole number)
    prompts       list of texts it is the trained answer to: no copy when it is asked for
    reply         of a user's line: the text that answers it (another way to say `prompts`)
    split         "train" (the default); lines of any other split are not training data

Texts that are equal once normalised are one training text: repetitions add up. The file is
untrusted: sizes are limited, every mistake names its line, and a recording that is not there is an
error, not a smaller training set.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from sts_core.reading import read_bounded
from sts_eval.judges.text import normalise
from sts_eval.target import Samples

REFERENCE = "reference"
MAX_BYTES = 500_000_000
MAX_LINE_BYTES = 1 << 16
MAX_TEXT_CHARS = 4_000
MAX_RECORDING_S = 600.0


class TrainingError(ValueError):
    """A training manifest that cannot be used: `file:line: what is wrong`."""


def words_of(text: str) -> tuple[str, ...]:
    """Normalised words; long numbers digit by digit, as codes are read out ("8599")."""
    spelled = re.sub(r"\d{4,}", lambda found: " ".join(found[0]), text)
    return tuple(normalise(spelled))


@dataclass(frozen=True)
class TrainingText:
    """One text (or recording without a text) of the training set.

    words: normalised, () without a text. repetitions: None when not known. answers: whether it is
    the trained answer to a prompt. voice: a synthetic voice that says it as in training.
    """

    id: str
    text: str
    words: tuple[str, ...]
    path: Path | None = None
    repetitions: int | None = None
    answers: bool = False
    voice: str = ""

    @property
    def can_sound(self) -> bool:
        """Whether there is a recording of it, or a voice that repeats it."""
        return self.path is not None or bool(self.voice)

    def audio(self) -> Samples:
        """Its recording, float32 [S] at 24 kHz, or its text spoken as in training.

        Raises AudioError; ValueError when it has neither.
        """
        if self.path is not None:
            from sts_eval.audio import load_audio

            return load_audio(self.path, max_seconds=MAX_RECORDING_S)
        if not self.voice:
            raise ValueError(f"the training text {self.id!r} has no recording")
        from sts_eval.targets.core import speak

        return speak(self.text, self.voice)


@dataclass(frozen=True)
class TrainingSet:
    """All texts, different from each other once normalised.

    wordings: normalised texts of all lines, with which a question counts as seen. merged: lines
    that said what an earlier one says.
    """

    name: str
    texts: tuple[TrainingText, ...]
    sha256: str
    merged: int = 0
    wordings: frozenset[tuple[str, ...]] = field(default_factory=frozenset)

    @property
    def has_words(self) -> bool:
        """Whether any line has a text."""
        return any(item.words for item in self.texts)

    @property
    def has_audio(self) -> bool:
        """Whether any line can be heard."""
        return any(item.can_sound for item in self.texts)


@lru_cache(maxsize=4)
def load_training(source: str) -> TrainingSet:
    """Read a training set. Raises TrainingError."""
    if source == REFERENCE:
        from sts_eval.targets.core import training_rows

        rows = training_rows()
        digest = hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
        return _collect(REFERENCE, ((f"row {n}", row) for n, row in enumerate(rows)), None, digest)
    file = Path(source)
    if file.is_dir():
        file = file / "manifest.jsonl"
    try:
        raw = read_bounded(file, MAX_BYTES)
    except OSError as error:
        raise TrainingError(f"{file}: {error.strerror or error}") from error
    folder = file.parent.resolve()
    digest = hashlib.sha256(raw).hexdigest()
    return _collect(file.name, _lines(file, raw), folder, digest)


def _lines(file: Path, raw: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(raw.splitlines(), start=1):
        where = f"{file}:{number}"
        if not line.strip():
            continue
        if len(line) > MAX_LINE_BYTES:
            raise TrainingError(f"{where}: longer than {MAX_LINE_BYTES} bytes")
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TrainingError(f"{where}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise TrainingError(f"{where}: not a JSON object")
        yield where, row


def _collect(
    name: str, rows: Iterable[tuple[str, dict[str, Any]]], folder: Path | None, digest: str
) -> TrainingSet:
    read: list[tuple[str, TrainingText]] = []
    answers: set[tuple[str, ...]] = set()
    for number, (where, row) in enumerate(rows, start=1):
        _check_types(where, row)
        if row.get("reply"):
            answers.add(words_of(row["reply"]))
        if row.get("split", "train") == "train":
            read.append((where, _item(where, row, number, folder)))
    if not read:
        raise TrainingError(f"{name}: no training texts in it")
    texts: dict[tuple[str, ...] | str, TrainingText] = {}
    seen: dict[str, str] = {}
    merged = 0
    for where, item in read:
        if item.id in seen:
            raise TrainingError(f"{where}: the id {item.id!r} is in {seen[item.id]}")
        seen[item.id] = where
        known = texts.get(item.words or item.id)
        merged += known is not None
        texts[item.words or item.id] = item if known is None else _merge(known, item)
    marked = tuple(
        item if item.words not in answers else _as_answer(item) for item in texts.values()
    )
    wordings = frozenset(item.words for item in marked if item.words)
    return TrainingSet(name, marked, digest, merged, wordings)


_TYPES: dict[str, tuple[type, str]] = {
    "id": (str, "a text"),
    "text": (str, "a text"),
    "path": (str, "a path"),
    "reply": (str, "a text"),
    "voice": (str, "a name"),
    "split": (str, "a name"),
    "prompts": (list, "a list of texts"),
    "repetitions": (int, "a whole number"),
}


def _check_types(where: str, row: dict[str, Any]) -> None:
    for key, (kind, what) in _TYPES.items():
        value = row.get(key)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise TrainingError(f"{where}: {key} must be {what}, not {value!r}")
    if len(row.get("text") or "") > MAX_TEXT_CHARS:
        raise TrainingError(f"{where}: a text longer than {MAX_TEXT_CHARS} characters")
    if (row.get("repetitions") or 0) < 0:
        raise TrainingError(f"{where}: repetitions is {row['repetitions']}")
    if not (row.get("text") or "").strip() and not row.get("path"):
        raise TrainingError(f"{where}: neither a text nor a path")


def _item(where: str, row: dict[str, Any], number: int, folder: Path | None) -> TrainingText:
    path = None
    if row.get("path") and folder is not None:
        path = (folder / row["path"]).resolve()
        if not path.is_relative_to(folder):
            raise TrainingError(f"{where}: the path {row['path']!r} leaves the folder")
        if not path.is_file():
            raise TrainingError(f"{where}: there is no file {row['path']!r}")
    text = row.get("text") or ""
    return TrainingText(
        id=row.get("id") or str(number),
        text=text,
        words=words_of(text),
        path=path,
        repetitions=row.get("repetitions"),
        answers=bool(row.get("prompts")),
        # a voice in a user's manifest names who was recorded; only the reference's can be repeated
        voice=row.get("voice", "") if folder is None else "",
    )


def _merge(known: TrainingText, again: TrainingText) -> TrainingText:
    counts = (known.repetitions, again.repetitions)
    return replace(
        known,
        path=known.path or again.path,
        voice=known.voice or again.voice,
        answers=known.answers or again.answers,
        repetitions=None if None in counts else sum(n or 0 for n in counts),
    )


def _as_answer(item: TrainingText) -> TrainingText:
    return replace(item, answers=True)
