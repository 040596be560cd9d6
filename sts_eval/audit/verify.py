"""`sts-eval audit verify`: is everything as it was when the report was sealed? Changes nothing.

For both kinds of report: of recordings (custody.jsonl) and of a training set (dataset.jsonl).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sts_eval.audit.case.case import LOG_NAME, SEALED, read_case
from sts_eval.audit.case.custody import LogEntry, LogError, read_log
from sts_eval.audit.case.inventory import InventoryEntry
from sts_eval.audit.case.sound import UnusableFile, hash_file
from sts_eval.audit.dataset import plan


@dataclass(frozen=True)
class Told:
    """What a log says of the world: files of the report beside those that its seal lists, and
    recordings with their hash; root: where the recordings lay."""

    root: Path
    files: dict[str, str]
    recordings: list[tuple[InventoryEntry, str]]


def verify(
    folder: Path, *, recordings: Path | None = None, check_recordings: bool = True, head: str = ""
) -> list[str]:
    """Everything that is not as it was; empty when nothing was changed.

    recordings: where they lie now, if they were moved. head: the hash of the last line as it was
    noted elsewhere: it also catches a log that was made anew. Raises LogError where there is none.
    """
    readers = {LOG_NAME: _of_case, plan.LOG_NAME: _of_dataset}
    logs = [name for name in readers if (folder / name).is_file()]
    if not logs:
        raise LogError(f"{folder}: no {' or '.join(readers)} in it")
    log = logs[0]
    try:
        entries = read_log(folder / log)
        told = readers[log](entries)
    except Exception as error:  # whatever a changed log does to us, it is a finding
        return [str(error)]
    problems = []
    if entries[-1].event != SEALED:
        problems.append(f"{log}: the log is not sealed: unfinished, or cut off at its end")
    if head and entries[-1].hash != head:
        problems.append(f"{log}: its head is {entries[-1].hash}, not the one that was given")
    problems += _report_files(folder, log, entries, told)
    if check_recordings:
        problems += _recordings(told, recordings or told.root)
    return problems


def _of_case(entries: list[LogEntry]) -> Told:
    case = read_case(entries)
    found = case.examinations
    files = {each.name: each.sha256 for one in found.values() for each in one.files}
    listed = {entry.id: entry for entry in case.inventory}
    hashes = [(listed[key], one.sha256_bytes) for key, one in found.items() if key in listed]
    return Told(Path(case.settings.recordings), files, hashes)


def _of_dataset(entries: list[LogEntry]) -> Told:
    settings, inventory, heard = plan.read_plan(entries)
    listed = {entry.id: entry for entry in inventory}
    hashes = [(listed[key], one.sha256_bytes) for key, one in heard.items() if key in listed]
    return Told(Path(settings.folder), {}, hashes)


def _report_files(folder: Path, log: str, entries: list[LogEntry], told: Told) -> Iterator[str]:
    expected = dict(entries[-1].data.get("files", {})) if entries[-1].event == SEALED else {}
    expected |= told.files
    for name, digest in expected.items():
        try:
            if hash_file(folder / name) != digest:
                yield f"{name}: changed since the report was sealed"
        except UnusableFile as error:
            yield f"{name}: {error}"
    known = {*expected, log}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in known:
            yield f"{name!r}: was added to the report"


def _recordings(told: Told, root: Path) -> Iterator[str]:
    for entry, digest in told.recordings:
        if not digest:
            continue
        try:
            if hash_file(entry.path(root)) != digest:
                yield f"recording {entry.shown}: changed since it was examined"
        except UnusableFile as error:
            yield f"recording {entry.shown}: {error}"
