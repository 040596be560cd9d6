"""What a download of speech holds: its files, the recordings among them, and a choice of those.

A folder is untrusted: links are not followed, sizes are bounded, and a file of another name is
counted and left out, never guessed at.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sts_core.reading import read_bounded
from sts_eval.registry import nearest

MOST_FILES = 300_000
MOST_TEXT_BYTES = 20_000_000
SOUNDS = (".wav", ".flac", ".m4a", ".ogg", ".mp3")
LFS_POINTER = b"version https://git-lfs"


class CorpusError(ValueError):
    """A download that cannot be used; the message says what was expected."""


@dataclass(frozen=True)
class Recording:
    """One file. text: the same for recordings of one sentence; words: "" where not known."""

    path: Path
    speaker: str
    emotion: str
    text: str
    words: str = ""


@dataclass(frozen=True)
class Corpus:
    """What a folder holds. parallel: recordings of one text hold the same words."""

    recordings: tuple[Recording, ...]
    parallel: bool
    notes: tuple[str, ...] = ()


def text_key(words: str) -> str:
    """Words as a name that is the same for every recording of them."""
    kept = "".join(c if c.isalnum() else " " for c in words.casefold().replace("'", ""))
    return "-".join(kept.split())[:80]


def choose(
    recordings: Sequence[Recording],
    *,
    emotions: Sequence[str] = (),
    speakers: int,
    per_emotion: int,
    takes: int,
    seed: int,
) -> list[Recording]:
    """Some speakers, and of each emotion so many texts in so many takes; the same whenever asked.

    Texts are ranked alike for all speakers and emotions, so that shared ones come together.
    emotions: only these (empty: all). Raises CorpusError for one that no recording has.
    """
    known = {each.emotion for each in recordings}
    for emotion in emotions:
        if emotion not in known:
            raise CorpusError(f"no recording of emotion {emotion!r}{nearest(emotion, known)}")
    wanted = set(emotions) or known
    names = sorted({each.speaker for each in recordings}, key=lambda name: _rank(seed, name))
    kept_speakers = set(names[:speakers])
    cells: dict[tuple[str, str], dict[str, list[Recording]]] = {}
    for each in sorted(recordings, key=lambda r: r.path):
        if each.speaker in kept_speakers and each.emotion in wanted:
            cell = cells.setdefault((each.speaker, each.emotion), {})
            cell.setdefault(each.text, []).append(each)
    chosen: list[Recording] = []
    for _, cell in sorted(cells.items()):
        texts = sorted(cell, key=lambda text: _rank(seed, text))[:per_emotion]
        chosen += [each for text in texts for each in cell[text][:takes]]
    return chosen


def _rank(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\x1f{name}".encode()).digest()


def walk(folder: Path) -> Iterator[Path]:
    """Regular files below a folder, links left out, in a stable order. Raises CorpusError."""
    count = 0
    for base, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(base) / name
            if path.is_symlink() or not path.is_file():
                continue
            count += 1
            if count > MOST_FILES:
                raise CorpusError(f"{folder.name}: more than {MOST_FILES} files: not one corpus")
            yield path


def _is_pointer(path: Path) -> bool:
    """Whether a file is a git-LFS pointer in place of the audio."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(LFS_POINTER)) == LFS_POINTER
    except OSError:
        return False


def named(
    files: Sequence[Path], parse: Callable[[Path], Recording | None], parallel: bool
) -> Corpus:
    """The recordings that `parse` knows; the others are counted, with an example."""
    found, strange, pointers = [], [], 0
    for path in files:
        item = parse(path)
        if item is None:
            strange.append(path.name)
        elif _is_pointer(path):
            pointers += 1
        else:
            found.append(item)
    notes = []
    if strange:
        notes.append(f"{len(strange)} files of other names are left out, e.g. {strange[0]}")
    if pointers:
        notes.append(f"{pointers} files are git-LFS pointers, not audio: run `git lfs pull`")
    return Corpus(tuple(found), parallel, tuple(notes))


def read_text(path: Path) -> str:
    """A text file in UTF-8, UTF-16 or GBK (ESD has all three). Raises CorpusError."""
    try:
        raw = read_bounded(path, MOST_TEXT_BYTES)
    except OSError as error:
        raise CorpusError(f"{path.name}: {error.strerror or error}") from error
    wide = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "gbk"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("utf-8", errors="replace")
