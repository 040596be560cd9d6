"""The custody log: append-only JSON lines, each chained to the one before by its SHA-256.

    {"at": "...", "data": {...}, "event": "recording", "hash": "...", "prev": "...", "seq": 7}

`hash` is the SHA-256 of the line without its own `hash` entry, in the one spelling that `_spelled`
gives (sorted keys, no spaces, ASCII); `prev` is the hash of the line before (64 zeros for the
first). Since a line must be spelled exactly so, a change of any byte is found by `read_log`. What a
chain alone cannot show: lines cut off at its end (a finished log ends with the event "sealed") and
a log made anew from the first line on (compare its head with the one noted when it was made).

An append is one write, then fsync. After a crash at most the last line is torn; opening the log
again drops a torn line and says so in the next one. A lock keeps a second writer out.
"""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import BaseModel

from sts_eval.audit import AuditError

Plan = TypeVar("Plan", bound=BaseModel)
START = "0" * 64
_KEYS = {"seq", "at", "event", "data", "prev", "hash"}


@dataclass(frozen=True)
class LogEntry:
    """One line of a log."""

    seq: int
    at: str
    event: str
    data: dict[str, Any]
    prev: str
    hash: str


class LogError(AuditError):
    """A log that cannot be used: the message names the file and the line."""


def plan_in(entries: Sequence[LogEntry], model: type[Plan]) -> Plan:
    """The plan in the first line of a log. Raises AuditError."""
    try:
        return model.model_validate(entries[0].data)
    except (ValueError, IndexError) as error:
        raise AuditError(f"the log holds no plan of this version: {error}") from error


class CustodyLog:
    """A log open for appending. Use as a context manager: it holds a lock."""

    def __init__(self, path: Path, handle: int, entries: list[LogEntry]) -> None:
        self.path, self.entries = path, entries
        self._handle = handle

    @classmethod
    def create(cls, path: Path) -> Self:
        """Start a log. Raises LogError if there is one already."""
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND, 0o600)
        except OSError as error:
            raise LogError(f"{path}: {error.strerror}") from error
        _lock(path, handle)
        return cls(path, handle, [])

    @classmethod
    def reopen(cls, path: Path) -> Self:
        """Continue a log, after checking its chain. Raises LogError."""
        try:
            handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW)
        except OSError as error:
            raise LogError(f"{path}: {error.strerror}") from error
        try:
            _lock(path, handle)
            with open(os.dup(handle), "rb") as file:
                file.seek(0)
                content = file.read()
            whole = content.rfind(b"\n") + 1
            log = cls(path, handle, _parse(content[:whole], path.name))
            if whole < len(content):
                os.ftruncate(handle, whole)
                torn = hashlib.sha256(content[whole:]).hexdigest()
                log.append("torn line dropped", {"bytes": len(content) - whole, "sha256": torn})
        except BaseException:
            os.close(handle)
            raise
        return log

    @property
    def head(self) -> str:
        """Hash of the last line."""
        return self.entries[-1].hash if self.entries else START

    def append(self, event: str, data: dict[str, Any]) -> LogEntry:
        """Write one line and wait until it is on the disk. Raises ValueError for NaN in `data`."""
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        entry = {"seq": len(self.entries), "at": at, "event": event, "data": data}
        entry["prev"] = self.head
        entry["hash"] = _digest(entry)
        line = _spelled(entry) + b"\n"
        if os.write(self._handle, line) != len(line):
            raise LogError(f"{self.path}: the disk took only a part of a line")
        os.fsync(self._handle)
        # What was written is what is remembered, e.g. tuples have become lists.
        self.entries.append(LogEntry(**json.loads(line)))
        return self.entries[-1]

    def close(self) -> None:
        """Release the lock."""
        os.close(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


def read_log(path: Path) -> list[LogEntry]:
    """All lines of a log. Raises LogError at the first one that is not as it was written."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from error
    if content and not content.endswith(b"\n"):
        raise LogError(f"{path.name}:{content.count(10) + 1}: the last line is torn")
    return _parse(content, path.name)


def _parse(content: bytes, name: str) -> list[LogEntry]:
    entries: list[LogEntry] = []
    previous = START
    # Not splitlines(): it would also split at other characters than the newline.
    for number, line in enumerate(content.split(b"\n")[:-1]):
        where = f"{name}:{number + 1}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise LogError(f"{where}: not a line of a log") from error
        if not isinstance(entry, dict) or set(entry) != _KEYS or _spelled(entry) != line:
            raise LogError(f"{where}: the line is not as it was written")
        if entry["hash"] != _digest({key: entry[key] for key in _KEYS - {"hash"}}):
            raise LogError(f"{where}: the line was changed (its hash differs)")
        if entry["prev"] != previous or entry["seq"] != number:
            raise LogError(f"{where}: a line before it is missing or was moved")
        previous = entry["hash"]
        entries.append(LogEntry(**entry))
    return entries


def _spelled(entry: dict[str, Any]) -> bytes:
    return json.dumps(
        entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode("ascii")


def _digest(entry: dict[str, Any]) -> str:
    return hashlib.sha256(_spelled(entry)).hexdigest()


def _lock(path: Path, handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise LogError(f"{path}: another audit is writing to it") from error
