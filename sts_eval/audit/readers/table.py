"""What readers share: rows with their line numbers, strict columns, files that must be there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sts_eval.audit import AuditError
from sts_eval.audit.items import Label
from sts_eval.registry import nearest


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a line and where they stand."""

    cells: list[str]
    path: Path
    line: int

    @property
    def where(self) -> str:
        """FILE:LINE, for messages."""
        return f"{self.path}:{self.line}"

    def fail(self, message: str) -> AuditError:
        """An error that names file and line; raise it."""
        return AuditError(f"{self.where}: {message}")

    def label(self, text: str, known: Mapping[str, Label]) -> Label:
        """The label that a corpus writes as `text`."""
        if text not in known:
            raise self.fail(f"unknown label {text!r}{nearest(text, known)}")
        return known[text]


def text_of(path: Path) -> str:
    """The file's text. Raises AuditError."""
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise AuditError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AuditError(f"{path}: not a UTF-8 text file") from error


def rows(path: Path, separator: str | None, columns: tuple[int, ...]) -> Iterator[Row]:
    """Lines cut at `separator` (None: white space), each with one of the given column counts.

    Empty lines are skipped; a file without rows is an error. Fields are never quoted in these
    corpora: a quotation mark is a character like any other.
    """
    found = False
    for number, line in enumerate(text_of(path).split("\n"), 1):
        if not line.strip():
            continue
        found = True
        cells = line.split(separator)
        if len(cells) not in columns:
            wanted = " or ".join(map(str, columns))
            raise AuditError(f"{path}:{number}: {len(cells)} columns, expected {wanted}")
        yield Row(cells, path, number)
    if not found:
        raise AuditError(f"{path}: the file is empty")


def header_rows(path: Path, separator: str, needed: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Rows of a file with a header, by column name; key "" holds "FILE:LINE" for messages."""
    lines = text_of(path).split("\n")
    header = lines[0].split(separator)
    missing = [name for name in needed if name not in header]
    if missing:
        raise AuditError(f"{path}:1: the header has no column {', '.join(missing)}: {header}")
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        cells = line.split(separator)
        if len(cells) != len(header):
            raise AuditError(f"{path}:{number}: {len(cells)} columns, {len(header)} in the header")
        yield dict(zip(header, cells, strict=True)) | {"": f"{path}:{number}"}


class Recordings:
    """The recordings of one protocol: each named once, each there. Folders are listed only once."""

    def __init__(self) -> None:
        self._seen: dict[Path, str] = {}
        self._listed: dict[Path, set[str]] = {}

    def take(self, path: Path, where: str) -> Path:
        """Note that the line `where` ("FILE:LINE") names `path`. Raises AuditError."""
        first = self._seen.setdefault(path, where)
        if first != where:
            raise AuditError(f"{where}: {path.name} is a duplicate of {first}")
        folder = path.parent
        if folder not in self._listed:
            self._listed[folder] = _names(folder)
        if path.name not in self._listed[folder]:
            raise AuditError(f"{where}: recording {path} is missing")
        return path


def _names(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except OSError:
        return set()


def inside(root: Path, relative: str, where: str) -> Path:
    """root / relative, which must not lead out of root. Raises AuditError."""
    path = Path(os.path.normpath(root / relative))
    if not path.is_relative_to(os.path.normpath(root)):
        raise AuditError(f"{where}: {relative!r} leads out of {root}")
    return path


def first_that_exists(*candidates: Path) -> Path:
    """The first path that exists. Raises AuditError naming all of them."""
    for path in candidates:
        if path.exists():
            return path
    raise AuditError(f"none of these exists: {', '.join(map(str, candidates))}")


def subset_of(subset: str, known: tuple[str, ...]) -> str:
    """A known subset. Raises AuditError with the candidates."""
    if subset not in known:
        raise AuditError(f"unknown subset {subset!r}{nearest(subset, known)}")
    return subset
