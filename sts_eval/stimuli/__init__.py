"""Stimuli: what the user says. A folder with a `manifest.jsonl` and the audio files it names.

One JSON object a line; required: `id`, `path` (relative, inside the folder), `text`, `kind`,
`voice`, `seconds`. Other fields (`op`, `a`, `b`, `answer`, `key`, `fact_id`, `reply`, ...) are kept
as they are. The packaged folder holds four voices that no part of the reference system was trained
on.

The folder is untrusted: paths may not leave it (symlinks included), ids are unique and safe as file
names, and every mistake names the line of the manifest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sts_core.reading import read_bounded
from sts_eval.registry import nearest
from sts_eval.target import Samples

PACKAGED = Path(__file__).parent
QUESTIONS = PACKAGED / "questions"
REMARKS = PACKAGED / "remarks"
REQUIRED: dict[str, Any] = {
    **dict.fromkeys(("id", "path", "text", "kind", "voice"), str),
    "seconds": (int, float),
}
SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
MAX_MANIFEST_BYTES = 200_000_000
MAX_STIMULUS_S = 120.0
EXPECTED_FIELDS = ("kind", "op", "a", "b", "answer", "fact_id", "key", "word", "reply")


class StimuliError(Exception):
    """A stimuli folder that cannot be used: `file:line: what is wrong`."""


@dataclass(frozen=True)
class Stimulus:
    """One utterance; `fields` holds everything its manifest line says."""

    id: str
    path: Path
    text: str
    kind: str
    voice: str
    seconds: float
    fields: dict[str, Any] = field(default_factory=dict, hash=False)

    def audio(self) -> Samples:
        """The whole clip, float32 [S] at 24 kHz. Raises AudioError."""
        from sts_eval.audio import load_audio

        return load_audio(self.path, max_seconds=MAX_STIMULUS_S)

    def speech(self) -> Samples:
        """The clip from its first to its last sound: its ends are the true ends of the speech.

        Raises AudioError, also for a silent clip.
        """
        from sts_eval.audio import SILENCE_DBFS, AudioError, rms_dbfs
        from sts_eval.stimuli.conditions import trim

        clip = self.audio()
        if rms_dbfs(clip) <= SILENCE_DBFS:
            raise AudioError(f"{self.path.name}: digital silence, there is no speech in it")
        return trim(clip)

    def expected(self) -> dict[str, Any]:
        """What a right answer to it holds, as far as the manifest says."""
        return {key: self.fields[key] for key in EXPECTED_FIELDS if key in self.fields}


class Stimuli:
    """A checked folder of stimuli."""

    def __init__(self, items: Sequence[Stimulus], sha256: str) -> None:
        self.items = tuple(items)
        self.sha256 = sha256
        self._by_id = {item.id: item for item in self.items}

    @staticmethod
    def load(folder: Path | None = None) -> Stimuli:
        """Read and check a folder (the packaged one by default). Raises StimuliError."""
        return _load(PACKAGED if folder is None else Path(folder).resolve())

    def with_questions(self) -> Stimuli:
        """These, and of the packaged questions the kinds that are not among them.

        The questions (larger sums, follow-ups, false premises, dictations, spoken numbers) are a
        folder of their own, so that what the other suites draw does not depend on them.
        """
        return _joined(self, QUESTIONS)

    def with_remarks(self) -> Stimuli:
        """These, and of the packaged remarks (sentences for every tone of voice) likewise."""
        return _joined(self, REMARKS)

    def get(self, stimulus_id: str) -> Stimulus:
        """By id. Raises StimuliError."""
        try:
            return self._by_id[stimulus_id]
        except KeyError:
            raise StimuliError(f"there is no stimulus {stimulus_id!r}") from None

    def pick(
        self,
        *,
        kind: Sequence[str],
        per_voice: int,
        seed: int,
        voice: Sequence[str] | None = None,
    ) -> list[Stimulus]:
        """`per_voice` stimuli of each voice, dealt evenly over the kinds, in a fixed order.

        Deterministic in (folder, arguments). A voice with fewer gives all it has. Raises ValueError
        when a kind or voice does not exist.
        """
        self._check("kind", kind, {item.kind for item in self.items})
        voices = sorted({item.voice for item in self.items})
        if voice is not None:
            self._check("voice", voice, set(voices))
            voices = [name for name in voices if name in voice]
        picked: list[Stimulus] = []
        for name in voices:
            decks = [self._shuffled(name, one_kind, seed) for one_kind in kind]
            dealt = [item for hand in _deal(decks) for item in hand]
            picked += dealt[:per_voice]
        return picked

    def _shuffled(self, voice: str, kind: str, seed: int) -> list[Stimulus]:
        fitting = [item for item in self.items if item.voice == voice and item.kind == kind]
        return sorted(fitting, key=lambda item: _rank(seed, item.id))

    @staticmethod
    def _check(what: str, wanted: Iterable[str], known: set[str]) -> None:
        for name in wanted:
            if name not in known:
                raise ValueError(f"no stimulus of {what} {name!r}{nearest(name, known)}")


def _deal(decks: list[list[Stimulus]]) -> Iterable[list[Stimulus]]:
    """Round by round, one of each deck that still has cards."""
    for turn in range(max((len(deck) for deck in decks), default=0)):
        yield [deck[turn] for deck in decks if turn < len(deck)]


def _rank(seed: int, stimulus_id: str) -> bytes:
    return hashlib.sha256(f"{seed}\x1f{stimulus_id}".encode()).digest()


@lru_cache(maxsize=4)
def _joined(stimuli: Stimuli, folder: Path) -> Stimuli:
    own = {item.kind for item in stimuli.items}
    more = Stimuli.load(folder)
    added = [item for item in more.items if item.kind not in own]
    digest = hashlib.sha256(f"{stimuli.sha256}{more.sha256}".encode()).hexdigest()
    return Stimuli([*stimuli.items, *added], digest)


@lru_cache(maxsize=4)
def _load(folder: Path) -> Stimuli:
    manifest = folder / "manifest.jsonl"
    try:
        raw = read_bounded(manifest, MAX_MANIFEST_BYTES)
    except OSError as error:
        raise StimuliError(f"{manifest}: {error.strerror or error}") from error
    items: list[Stimulus] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(raw.decode("utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            item = _parse_line(line, folder)
        except ValueError as error:
            raise StimuliError(f"{manifest}:{number}: {error}") from error
        if item.id in seen:
            raise StimuliError(f"{manifest}:{number}: id {item.id!r} is in line {seen[item.id]}")
        seen[item.id] = number
        items.append(item)
    if not items:
        raise StimuliError(f"{manifest}: no stimuli in it")
    return Stimuli(items, hashlib.sha256(raw).hexdigest())


def _parse_line(line: str, folder: Path) -> Stimulus:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    for key, kind in REQUIRED.items():
        if key not in row:
            raise ValueError(f"the field {key!r} is missing{nearest(key, row)}")
        if not isinstance(row[key], kind) or isinstance(row[key], bool):
            raise ValueError(f"the field {key!r} has the wrong type: {row[key]!r}")
    if not SAFE_ID.fullmatch(row["id"]):
        raise ValueError(f"id {row['id']!r} is not made of letters, digits, '.', '_' and '-'")
    if not 0 < row["seconds"] <= MAX_STIMULUS_S or not np.isfinite(row["seconds"]):
        raise ValueError(f"seconds is {row['seconds']!r}, expected 0 to {MAX_STIMULUS_S:g}")
    path = (folder / row["path"]).resolve()
    if not path.is_relative_to(folder):
        raise ValueError(f"path {row['path']!r} leaves the folder")
    if not path.is_file():
        raise ValueError(f"there is no file {row['path']!r}")
    head = {key: row[key] for key in ("id", "text", "kind", "voice")}
    return Stimulus(path=path, seconds=float(row["seconds"]), fields=row, **head)
