"""What lies in the folder: one entry for everything in it, and nothing outside of it is touched.

Symbolic links are never followed: one that leads to a file inside the folder is listed as such
(that file has its own entry), one that leads out of it is a finding of its own. Names are bytes
that anybody may have chosen: `shown` is what people see, with every character that could hide or
reorder text spelled out.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

_OTHER_SUFFIXES = """
.txt .md .json .jsonl .csv .tsv .yaml .yml .xml .html .htm .pdf .doc .docx .odt .xlsx .log .lab
.textgrid .srt .vtt .png .jpg .jpeg .svg .sha256 .md5 .py .sh .toml .ini .cfg
"""
NOT_RECORDINGS = frozenset(_OTHER_SUFFIXES.split())
"""Names that promise no recording. What they hold is looked at all the same."""

EntryKind = Literal["file", "link inside", "link outside", "special", "unreadable"]


class InventoryEntry(BaseModel):
    """One thing in the folder.

    id: r00001, r00002, ...: the name of its evidence files. name: its path below the folder, or ""
    where that is not UTF-8: then name_hex has its bytes. shown: the same to be read.
    reason: why it is not examined; "" for a file that will be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    name: str
    name_hex: str = ""
    shown: str
    kind: EntryKind
    size_bytes: int | None = None
    reason: str = ""

    @property
    def promises_no_recording(self) -> bool:
        """Whether its name is that of a text, a table, a picture..."""
        return Path(self.shown).suffix.lower() in NOT_RECORDINGS or self.shown.startswith(".")

    def path(self, root: Path) -> Path:
        """Where it lies; `root` is the audited folder, or the audited file itself."""
        name = os.fsdecode(bytes.fromhex(self.name_hex)) if self.name_hex else self.name
        return root / name if root.is_dir() else root


def take_inventory(root: Path, leave_out: Path | None = None) -> list[InventoryEntry]:
    """Everything below a folder in the order of names, or one file; `leave_out` is our report."""
    skipped = leave_out.resolve() if leave_out is not None else None
    if not root.is_dir():
        found = [_look(os.fsencode(root.name), os.fsencode(root), root.parent)]
    else:
        found = list(_walk(os.fsencode(root), b"", root.resolve(), skipped))
    return [
        entry.model_copy(update={"id": f"r{number:05d}"}) for number, entry in enumerate(found, 1)
    ]


def shown_name(name: str) -> str:
    """A name for people: control, format and unprintable characters and stray bytes spelled out."""
    parts = []
    for character in name:
        if 0xDC80 <= ord(character) <= 0xDCFF:
            parts.append(f"\\x{ord(character) - 0xDC00:02x}")
        elif unicodedata.category(character)[0] == "C" or character in "\u2028\u2029":
            parts.append(f"\\u{ord(character):04x}")
        else:
            parts.append(character)
    return "".join(parts)


def _walk(top: bytes, below: bytes, root: Path, skipped: Path | None) -> Iterator[InventoryEntry]:
    folder = os.path.join(top, below) if below else top
    try:
        with os.scandir(folder) as listing:
            children = sorted(listing, key=lambda each: each.name)
    except OSError as error:
        reason = f"the folder cannot be read: {error.strerror}"
        yield _entry(below or b".", "unreadable", reason)
        return
    for child in children:
        name = os.path.join(below, child.name) if below else child.name
        try:
            is_folder = child.is_dir(follow_symlinks=False)
        except OSError:
            is_folder = False
        if not is_folder:
            yield _look(name, child.path, root)
        elif skipped is None or Path(os.fsdecode(child.path)).resolve() != skipped:
            yield from _walk(top, name, root, skipped)


def _look(name: bytes, path: bytes, root: Path) -> InventoryEntry:
    try:
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode):
            return _entry(name, "file", size=status.st_size)
        if stat.S_ISLNK(status.st_mode):
            return _look_at_link(name, path, root)
    except OSError as error:
        return _entry(name, "unreadable", f"cannot be looked at: {error.strerror}")
    return _entry(name, "special", "not a regular file (a device, a pipe or a socket)")


def _look_at_link(name: bytes, path: bytes, root: Path) -> InventoryEntry:
    try:
        target = Path(os.fsdecode(path)).resolve(strict=True)
    except (OSError, RuntimeError):
        return _entry(name, "link outside", "a symbolic link that leads nowhere")
    if target.is_relative_to(root.resolve()):
        inner = shown_name(str(target.relative_to(root.resolve())))
        return _entry(name, "link inside", f"a symbolic link to {inner}, which is listed itself")
    return _entry(name, "link outside", "a symbolic link that leads out of the folder")


def _entry(
    name: bytes, kind: EntryKind, reason: str = "", size: int | None = None
) -> InventoryEntry:
    text = os.fsdecode(name)
    try:
        known = {"name": name.decode("utf-8")}
    except UnicodeDecodeError:
        known = {"name": "", "name_hex": name.hex()}
    return InventoryEntry(
        id="", shown=shown_name(text), kind=kind, size_bytes=size, reason=reason, **known
    )
