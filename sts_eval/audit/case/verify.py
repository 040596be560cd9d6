"""`sts-eval audit verify`: is everything as it was when the report was sealed? Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sts_eval.audit.case.case import LOG_NAME, SEALED, Case, read_case
from sts_eval.audit.case.custody import LogEntry, LogError, read_log
from sts_eval.audit.case.sound import UnusableFile, hash_file


def verify(
    folder: Path, *, recordings: Path | None = None, check_recordings: bool = True, head: str = ""
) -> list[str]:
    """Everything that is not as it was; empty when nothing was changed.

    recordings: where they lie now, if they were moved. head: the hash of the last line as it was
    noted elsewhere: it also catches a log that was made anew. Raises LogError where there is none.
    """
    if not (folder / LOG_NAME).is_file():
        raise LogError(f"{folder}: no {LOG_NAME} in it")
    try:
        entries = read_log(folder / LOG_NAME)
        case = read_case(entries)
    except Exception as error:  # whatever a changed log does to us, it is a finding
        return [str(error)]
    problems = []
    if entries[-1].event != SEALED:
        problems.append(f"{LOG_NAME}: the log is not sealed: unfinished, or cut off at its end")
    if head and entries[-1].hash != head:
        problems.append(f"{LOG_NAME}: its head is {entries[-1].hash}, not the one that was given")
    problems += _report_files(folder, entries, case)
    if check_recordings:
        problems += _recordings(case, recordings or Path(case.settings.recordings))
    return problems


def _report_files(folder: Path, entries: list[LogEntry], case: Case) -> Iterator[str]:
    expected = dict(entries[-1].data.get("files", {})) if entries[-1].event == SEALED else {}
    for found in case.examinations.values():
        expected |= {each.name: each.sha256 for each in found.files}
    for name, digest in expected.items():
        try:
            if hash_file(folder / name) != digest:
                yield f"{name}: changed since the report was sealed"
        except UnusableFile as error:
            yield f"{name}: {error}"
    known = {*expected, LOG_NAME}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in known:
            yield f"{name!r}: was added to the report"


def _recordings(case: Case, root: Path) -> Iterator[str]:
    listed = {entry.id: entry for entry in case.inventory}
    for each, found in case.examinations.items():
        if not found.sha256_bytes or each not in listed:
            continue
        entry = listed[each]
        try:
            if hash_file(entry.path(root)) != found.sha256_bytes:
                yield f"recording {entry.shown}: changed since it was examined"
        except UnusableFile as error:
            yield f"recording {entry.shown}: {error}"
