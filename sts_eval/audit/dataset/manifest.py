"""What a set says about its recordings: each `manifest.jsonl` in it, one JSON object a line.

Fields: `path` (relative to the manifest), `speaker` (or `voice`), `text`, `split`; others are not
read. The file is untrusted: a line that cannot be used becomes a problem that names it, and paths
that leave the folder lead nowhere. Without a split in the manifest, a folder of the path called
train, test, dev, ... says it.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sts_eval.audit.case.inventory import InventoryEntry, shown_name

NAME: Final = "manifest.jsonl"
MAX_BYTES: Final = 200_000_000
MAX_CHARACTERS: Final = 4_000
SPLITS: Final = frozenset(
    ("train", "training", "valid", "validation", "val", "dev", "test", "eval", "evaluation")
)


@dataclass(frozen=True)
class Said:
    """What is said about one recording; "" for what is not."""

    speaker: str = ""
    text: str = ""
    split: str = ""


@dataclass(frozen=True)
class Manifest:
    """Said, by the name of the file as listed; problems in words; SHA-256 of all manifests."""

    said: dict[str, Said]
    problems: list[str]
    sha256: str

    def about(self, entry: InventoryEntry) -> Said:
        """What is known about a file, its split by the name of a folder if nothing else says it."""
        said = self.said.get(entry.name, Said())
        if said.split:
            return said
        folders = [part.casefold() for part in entry.name.split("/")[:-1]]
        return Said(said.speaker, said.text, next((p for p in folders if p in SPLITS), ""))


def read_manifests(root: Path, inventory: Sequence[InventoryEntry]) -> Manifest:
    """All manifests of a folder. A bad one is a problem, not an exception."""
    said: dict[str, Said] = {}
    problems: list[str] = []
    digest = hashlib.sha256()
    known = {entry.name for entry in inventory if entry.name}
    for entry in inventory:
        if entry.kind != "file" or posixpath.basename(entry.name) != NAME:
            continue
        try:
            if (entry.size_bytes or 0) > MAX_BYTES:
                raise ValueError(f"larger than {MAX_BYTES} bytes")
            content = entry.path(root).read_bytes()
        except (OSError, ValueError) as error:
            problems.append(f"{entry.shown}: {getattr(error, 'strerror', None) or error}")
            continue
        digest.update(hashlib.sha256(content).digest())
        folder = posixpath.dirname(entry.name)
        for number, line in enumerate(content.split(b"\n"), 1):
            if not line.strip():
                continue
            try:
                name, about = _parse(line, folder)
                if name not in known:
                    raise ValueError(f"there is no file {shown_name(name)!r} in the folder")
                if said.setdefault(name, about) != about:
                    raise ValueError(f"says something else about {shown_name(name)} than before")
            except (ValueError, RecursionError) as error:
                problems.append(f"{entry.shown}:{number}: {error}")
    return Manifest(said, problems, digest.hexdigest())


def _parse(line: bytes, folder: str) -> tuple[str, Said]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON") from error
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    path = _text(row, "path")
    if not path:
        raise ValueError("the field 'path' is missing")
    name = posixpath.normpath(posixpath.join(folder, path))
    if path.startswith("/") or name.split("/")[0] == ".." or "\0" in path:
        raise ValueError(f"path {shown_name(path)!r} leaves the folder")
    speaker = _text(row, "speaker") or _text(row, "voice")
    return name, Said(shown_name(speaker), _text(row, "text"), shown_name(_text(row, "split")))


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_CHARACTERS:
        raise ValueError(f"the field {key!r} is not a text of up to {MAX_CHARACTERS} characters")
    try:
        value.encode()
    except UnicodeEncodeError as error:  # a lone surrogate, which no file could be written with
        raise ValueError(f"the field {key!r} is not Unicode text") from error
    return value.strip() if key != "path" else value
