"""Canary lists: texts put into the training set on purpose, each a known number of times.

    canaries: reference        # the list that comes with the reference's overfit control
    canaries: FILE.yaml        # - {text: "...", repetitions: 10}
    canaries: FILE.csv         # header: text,repetitions

`repetitions: 0` marks a held-out control: written like the others and never trained on. Controls
give the exposure of the others its scale (Carlini et al. 2019, The Secret Sharer), and the rate at
which a model says a text that it cannot know. The file is untrusted; each mistake names its line.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sts_core.reading import read_bounded
from sts_eval.probes.overfit_training import words_of
from sts_eval.yamlfile import SuiteErrors, read_yaml

REFERENCE = "reference"
MIN_WORDS, MAX_WORDS = 8, 60
MAX_BYTES = 1_000_000
MAX_CANARIES = 2_000


class CanaryError(ValueError):
    """A canary list that cannot be used: `file:line: what is wrong`."""


@dataclass(frozen=True)
class Canary:
    """One canary; repetitions 0: a held-out control."""

    id: str
    text: str
    words: tuple[str, ...]
    repetitions: int


@dataclass(frozen=True)
class CanaryList:
    """All canaries of a file, and the hash of the file."""

    name: str
    canaries: tuple[Canary, ...]
    sha256: str


@lru_cache(maxsize=4)
def load_canaries(source: str) -> CanaryList | None:
    """Read a list; None when the reference has none. Raises CanaryError."""
    file = Path(source)
    if source == REFERENCE:
        from sts_eval.targets.core import canary_file

        own = canary_file()
        if own is None:
            return None
        file = own
    rows = _csv_rows(file) if file.suffix.lower() == ".csv" else _yaml_rows(file)
    canaries: list[Canary] = []
    seen: dict[tuple[str, ...], str] = {}
    for where, row in rows:
        canary = _canary(where, row, len(canaries))
        if canary.words in seen:
            raise CanaryError(f"{where}: the same words as in {seen[canary.words]}")
        seen[canary.words] = where
        canaries.append(canary)
        if len(canaries) > MAX_CANARIES:
            raise CanaryError(f"{file}: more than {MAX_CANARIES} canaries")
    if not canaries:
        raise CanaryError(f"{file}: no canaries in it")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return CanaryList(file.name, tuple(canaries), digest)


def _yaml_rows(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        document = read_yaml(file)
    except SuiteErrors as error:
        raise CanaryError(str(error)) from error
    rows = document.data
    if isinstance(rows, dict) and isinstance(rows.get("canaries"), list):
        rows = rows["canaries"]
    if not isinstance(rows, list):
        raise CanaryError(f"{file}: expected a list of {{text, repetitions}}")
    for index, row in enumerate(rows):
        where = f"{file}:{document.line((index,)) or document.line(('canaries', index))}"
        if not isinstance(row, dict):
            raise CanaryError(f"{where}: expected {{text, repetitions}}, not {row!r}")
        yield where, row


def _csv_rows(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        text = read_bounded(file, MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise CanaryError(f"{file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CanaryError(f"{file}: {error}") from error
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        if not {"text", "repetitions"} <= set(reader.fieldnames or ()):
            raise CanaryError(f"{file}:1: expected the columns text,repetitions")
        for row in reader:
            where = f"{file}:{reader.line_num}"
            count = (row["repetitions"] or "").strip()
            if not count.isdecimal():
                raise CanaryError(f"{where}: repetitions must be a whole number, not {count!r}")
            yield where, {"text": row["text"], "repetitions": int(count)}
    except csv.Error as error:
        raise CanaryError(f"{file}:{reader.line_num}: not CSV: {error}") from error


def _canary(where: str, row: dict[str, Any], number: int) -> Canary:
    text, repetitions = row.get("text"), row.get("repetitions")
    if not isinstance(text, str) or not text.strip():
        raise CanaryError(f"{where}: text must be a text, not {text!r}")
    if isinstance(repetitions, bool) or not isinstance(repetitions, int) or repetitions < 0:
        raise CanaryError(f"{where}: repetitions must be a whole number, not {repetitions!r}")
    words = words_of(text)
    if not MIN_WORDS <= len(words) <= MAX_WORDS:
        raise CanaryError(
            f"{where}: {len(words)} words; a canary has {MIN_WORDS} to {MAX_WORDS}, so that its"
            " beginning can be given and its continuation be told from chance"
        )
    return Canary(f"canary{number:03d}", " ".join(text.split()), words, repetitions)
