"""Score and key files of ASVspoof 5, in and out.

Tab-separated with a header, one row per trial (as the ASVspoof 5 evaluation package reads them):

    scores, track 1:  filename  cm-score                           keys:  filename  cm-label
    scores, track 2:  spk  filename  cm-score  asv-score  sasv-score
    keys, track 2:    spk  filename  cm-label  asv-label
    speakers (ours):  filename  spk         who speaks in a track 1 file, for the intervals
    families (ours):  filename  family      kind of attack, for the macro mean; "-" for bona fide

cm-label is bonafide or spoof; asv-label target, nontarget or spoof. In track 2 the columns cm-score
and asv-score may be "-" throughout (a system with one fused score). Columns are found by name, in
any order, and further columns are ignored, as in the package; rows of scores and keys are matched
by name and must be the same set. Every mistake is an AuditError that names the file and the line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sts_eval.audit import AuditError
from sts_eval.audit.operating import FloatArray, IntArray

CM_LABELS = ("bonafide", "spoof")
ASV_LABELS = ("target", "nontarget", "spoof")
ABSENT = "-"
_SHOWN = 40


@dataclass(frozen=True)
class CmTrials:
    """Track 1, in the order of the score file.

    label: [n] index into CM_LABELS; speaker: [n] codes 0..K-1, family: [n], each None when not
    known.
    """

    names: tuple[str, ...]
    scores: FloatArray
    label: IntArray
    speaker: IntArray | None = None
    family: tuple[str, ...] | None = None

    @property
    def bonafide(self) -> FloatArray:
        """Scores of bona fide trials."""
        return self.scores[self.label == 0]

    @property
    def spoof(self) -> FloatArray:
        """Scores of spoofed trials."""
        return self.scores[self.label == 1]


@dataclass(frozen=True)
class SasvTrials:
    """Track 2. label: [n] index into ASV_LABELS; speaker: [n] code of the claimed speaker.

    cm, asv: [n], or None when the file has none ("-" throughout).
    """

    sasv: FloatArray
    label: IntArray
    speaker: IntArray
    cm: FloatArray | None
    asv: FloatArray | None


@dataclass(frozen=True)
class _Table:
    """Columns of a file, with the line of each row (the header is line 1)."""

    path: Path
    columns: dict[str, list[str]]
    lines: list[int]

    def fail(self, row: int, message: str) -> AuditError:
        return AuditError(f"{self.path}:{self.lines[row]}: {message}")

    def scores(self, name: str) -> FloatArray:
        column = self.columns[name]
        try:
            values = np.array([float(text) for text in column])
            if np.isfinite(values).all():
                return values
        except ValueError:
            pass
        for row, text in enumerate(column):
            try:
                finite = math.isfinite(float(text))
            except ValueError:
                raise self.fail(row, f"{name} {_short(text)} is not a number") from None
            if not finite:
                raise self.fail(row, f"{name} is {text}: scores must be finite")
        raise AssertionError("one of the values was not a finite number")

    def labels(self, name: str, known: Sequence[str]) -> IntArray:
        code = {label: index for index, label in enumerate(known)}
        try:
            return np.array([code[text] for text in self.columns[name]], np.int64)
        except KeyError as error:
            row = self.columns[name].index(error.args[0])
            wanted = ", ".join(known)
            shown = _short(error.args[0])
            raise self.fail(row, f"unknown {name} {shown} (known: {wanted})") from None


def read_cm(
    scores: Path, keys: Path, speakers: Path | None = None, families: Path | None = None
) -> CmTrials:
    """Read track 1 scores and keys, matched by file name. Raises AuditError."""
    scored = _read(scores, ("filename", "cm-score"))
    keyed = _read(keys, ("filename", "cm-label"))
    names = scored.columns["filename"]
    order = _match(scored, names, keyed, keyed.columns["filename"])
    label = keyed.labels("cm-label", CM_LABELS)[order]
    values = scored.scores("cm-score")
    _need_all(keys, label, CM_LABELS)
    speaker = None if speakers is None else _codes(_said(speakers, "spk", scored, names))
    family = None if families is None else tuple(_said(families, "family", scored, names))
    return CmTrials(tuple(names), values, label, speaker, family)


def read_sasv(scores: Path, keys: Path) -> SasvTrials:
    """Read track 2 scores and keys, matched by claimed speaker and file name. Raises AuditError."""
    scored = _read(scores, ("spk", "filename", "cm-score", "asv-score", "sasv-score"))
    keyed = _read(keys, ("spk", "filename", "cm-label", "asv-label"))
    ids = _pairs(scored)
    order = _match(scored, ids, keyed, _pairs(keyed))
    asv_label = keyed.labels("asv-label", ASV_LABELS)
    clash = np.flatnonzero((asv_label == 2) != (keyed.labels("cm-label", CM_LABELS) == 1))
    if clash.size:
        raise keyed.fail(int(clash[0]), "asv-label and cm-label disagree on whether it is a spoof")
    _need_all(keys, asv_label, ASV_LABELS)
    return SasvTrials(
        sasv=scored.scores("sasv-score"),
        label=asv_label[order],
        speaker=_codes(scored.columns["spk"]),
        cm=_optional(scored, "cm-score"),
        asv=_optional(scored, "asv-score"),
    )


def write_cm_scores(path: Path, rows: Iterable[tuple[str, float]]) -> None:
    """Write track 1 scores; raises ValueError for a name that the format cannot hold."""
    _write(path, ("filename", "cm-score"), ((name, repr(float(score))) for name, score in rows))


def write_cm_keys(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write track 1 keys."""
    _write(path, ("filename", "cm-label"), rows)


def write_speakers(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write who speaks in each file of track 1."""
    _write(path, ("filename", "spk"), rows)


def write_families(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write the attack family of each file of track 1, "-" for bona fide."""
    _write(path, ("filename", "family"), rows)


def write_sasv_scores(path: Path, rows: Iterable[tuple[str, str, float, float, float]]) -> None:
    """Write track 2 scores: speaker, file, CM, verifier and fused score."""
    header = ("spk", "filename", "cm-score", "asv-score", "sasv-score")
    texts = ((spk, name, *(repr(float(score)) for score in scores)) for spk, name, *scores in rows)
    _write(path, header, texts)


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from sts_eval.trace import write_text_atomic

    lines = ["\t".join(header)]
    for row in rows:
        if any(not cell or cell.splitlines() != [cell] or "\t" in cell for cell in row):
            raise ValueError(f"a tab-separated file cannot hold {row!r}")
        lines.append("\t".join(row))
    write_text_atomic(path, "\n".join(lines) + "\n")


def _read(path: Path, needed: Sequence[str]) -> _Table:
    try:
        lines = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a UTF-8 text file"
        raise AuditError(f"{path}: {reason}") from error
    header = lines[0].split("\t")
    missing = [name for name in needed if name not in header]
    if missing:
        raise AuditError(
            f"{path}:1: the header must name the tab-separated columns {' '.join(needed)}; "
            f"{', '.join(missing)} not found in {_short(lines[0])}"
        )
    rows = [line for line in lines[1:] if line]
    numbers = [number for number, line in enumerate(lines[1:], 2) if line]
    if not rows:
        raise AuditError(f"{path}: no rows after the header")
    for row, number in zip(rows, numbers, strict=True):
        if row.count("\t") != len(header) - 1:
            found = row.count("\t") + 1
            raise AuditError(f"{path}:{number}: {found} columns, but {len(header)} in the header")
    cells = "\t".join(rows).split("\t")  # one flat list: a million small ones are slow
    columns = {name: cells[header.index(name) :: len(header)] for name in needed}
    return _Table(path, columns, numbers)


def _pairs(table: _Table) -> list[str]:
    return [
        f"{a}\t{b}" for a, b in zip(table.columns["spk"], table.columns["filename"], strict=True)
    ]


def _index(table: _Table, ids: Sequence[str]) -> dict[str, int]:
    index: dict[str, int] = {}
    for row, name in enumerate(ids):
        first = index.setdefault(name, row)
        if first != row:
            raise table.fail(row, f"{_short(name)} is a duplicate of line {table.lines[first]}")
    return index


def _match(scored: _Table, ids: list[str], keyed: _Table, key_ids: list[str]) -> IntArray:
    """[n] for each scored row the row of its key; both files must hold the same trials."""
    rows, keys = _index(scored, ids), _index(keyed, key_ids)
    for table, names, others, what in (
        (scored, rows, keys, f"has a score but no key in {keyed.path}"),
        (keyed, keys, rows, f"has a key but no score in {scored.path}"),
    ):
        lost = [name for name in names if name not in others]
        if lost:
            more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
            raise table.fail(names[lost[0]], f"{_short(lost[0])} {what}{more}")
    return np.array([keys[name] for name in ids], np.int64)


def _said(path: Path, column: str, scored: _Table, names: list[str]) -> list[str]:
    """[n] what the file says of each scored recording."""
    table = _read(path, ("filename", column))
    index = _index(table, table.columns["filename"])
    for row, name in enumerate(names):
        if name not in index:
            raise scored.fail(row, f"{_short(name)} has no {column} in {path}")
    return [table.columns[column][index[name]] for name in names]


def _codes(labels: Iterable[str]) -> IntArray:
    """[n] codes 0..K-1 of the labels, in order of appearance."""
    code: dict[str, int] = {}
    return np.array([code.setdefault(label, len(code)) for label in labels], np.int64)


def _optional(table: _Table, name: str) -> FloatArray | None:
    if all(text == ABSENT for text in table.columns[name]):
        return None
    return table.scores(name)


def _need_all(path: Path, label: IntArray, known: Sequence[str]) -> None:
    counts = np.bincount(label, minlength=len(known))
    absent = [name for name, count in zip(known, counts, strict=True) if count == 0]
    if absent:
        has = ", ".join(f"{n} {name}" for name, n in zip(known, counts, strict=True) if n)
        raise AuditError(f"{path}: no trial is labelled {' or '.join(absent)} (it has {has})")


def _short(text: str) -> str:
    text = text.replace("\t", " ")
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
