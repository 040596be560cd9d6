"""What lies in a folder of recordings; nothing is passed over in silence.

Every file is audio, the transcript of one, or listed with a reason. Links are followed only to
files inside the folder, never to folders.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from sts_core.recordings.sound import AUDIO_SUFFIXES, RecordingError, check_file, digest
from sts_core.recordings.transcripts import SUFFIXES


@dataclass
class Source:
    """A file of the folder. `name`: its relative POSIX path, printable whatever its bytes are."""

    path: Path
    name: str
    transcript: Path | None = None
    sha256: str = ""
    reason: str = ""  # why it cannot be used, "code: ..."


@dataclass
class Found:
    """Recordings in the order of their names, and files that are none."""

    recordings: list[Source] = field(default_factory=list)
    others: list[Source] = field(default_factory=list)


def find_recordings(folder: Path, speakers_file: Path) -> Found:
    """Everything in a folder, hidden files and the speakers file left out."""
    found, transcripts = Found(), {}
    for path in _walk(folder, found):
        if path.name.startswith(".") or path == speakers_file:
            continue
        source = Source(path, printable(path.relative_to(folder)))
        suffix = path.suffix.lower()
        if suffix in SUFFIXES:
            transcripts[path] = source
        elif suffix in AUDIO_SUFFIXES or path.is_symlink():
            source.reason = _link_problem(path, folder)
            found.recordings.append(source)
        else:
            source.reason = "format: neither audio nor a transcript"
            found.others.append(source)
    _pair(found, transcripts, folder)
    _add_digests(found.recordings)
    found.recordings.sort(key=lambda source: source.name)
    found.others.sort(key=lambda source: source.name)
    return found


def printable(path: Path) -> str:
    """A path as text in which bytes that are no UTF-8 are spelled out."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _walk(folder: Path, found: Found) -> list[Path]:
    """All files; a folder that is a link or cannot be opened becomes a row."""

    def unreadable(error: OSError) -> None:
        path = Path(os.fsdecode(error.filename))
        reason = f"unreadable: {error.strerror}"
        found.others.append(Source(path, printable(path.relative_to(folder)), reason=reason))

    files: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=unreadable):
        for name in list(folders):
            path = Path(root, name)
            if path.is_symlink():
                reason = "link: a link to a folder is not followed"
                found.others.append(
                    Source(path, printable(path.relative_to(folder)), reason=reason)
                )
            if path.is_symlink() or name.startswith("."):
                folders.remove(name)
        files += [Path(root, name) for name in names]
    return files


def _link_problem(path: Path, folder: Path) -> str:
    if not path.is_symlink():
        return ""
    try:
        inside = path.resolve(strict=True).is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # RuntimeError: links in a circle (before Python 3.13)
        return "link: leads nowhere"
    return "" if inside else "link: leads out of the folder"


def _pair(found: Found, transcripts: dict[Path, Source], folder: Path) -> None:
    """Give each recording its transcript; what is left belongs to nothing."""
    for source in found.recordings:
        beside = [source.path.with_suffix(suffix) for suffix in SUFFIXES]
        own = [path for path in beside if path in transcripts]
        if len(own) == 2:
            source.reason = source.reason or "transcript: both a .txt and a .json lie beside it"
        elif own:
            problem = _link_problem(own[0], folder)
            source.reason = source.reason or (problem and f"transcript {problem}")
            source.transcript = own[0]
    used = {p for s in found.recordings for p in (s.path.with_suffix(x) for x in SUFFIXES)}
    for path, source in transcripts.items():
        if path not in used:
            source.reason = "transcript: no recording of this name beside it"
            found.others.append(source)


def _add_digests(recordings: list[Source]) -> None:
    """SHA-256 of each; the second file with the same bytes is refused."""
    first: dict[str, str] = {}
    for source in sorted(recordings, key=lambda one: one.name):
        if source.reason:
            continue
        try:
            check_file(source.path)
            source.sha256 = digest(source.path)
        except RecordingError as error:
            source.reason = f"unreadable: {error}"
            continue
        same = first.setdefault(source.sha256, source.name)
        if same != source.name:
            source.reason = f"duplicate: the same bytes as {same}"
