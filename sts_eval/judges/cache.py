"""What a judge heard, kept on disk: the same samples and the same version are never judged twice.

One small JSON file per (judge, version, audio hash). Files appear atomically, so any number of
processes may share the folder; a damaged file counts as missing. The folder is the user's cache
(`STS_EVAL_CACHE`, else `XDG_CACHE_HOME`, else `~/.cache`) and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sts_eval.audio import audio_hash
from sts_eval.judges.base import Transcript
from sts_eval.target import Samples
from sts_eval.trace import write_text_atomic

Heard = TypeVar("Heard")


class Judge(Protocol):
    """What the key needs of a judge."""

    name: str
    version: str


def cache_folder() -> Path:
    """Where judgements are kept; "STS_EVAL_CACHE=" (empty) turns the cache off (see `cached`)."""
    own = os.environ.get("STS_EVAL_CACHE")
    if own is not None:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sts-eval"


def cached(judge: Judge, audio: Samples, compute: Callable[[], Heard]) -> Heard:
    """`compute()`, or what it gave for the same samples, judge and version before.

    The result is a `Transcript` or a list of (start_s, end_s); it comes back equal. A cache that
    cannot be written to is not an error.
    """
    value, _ = remember(
        ("judge", judge.name, judge.version, audio_hash(audio)), lambda: _pack(compute())
    )
    heard: Heard = _unpack(value)
    return heard


def remember(key: tuple[str, ...], compute: Callable[[], Any]) -> tuple[Any, bool]:
    """The JSON value kept under `key`, else `compute()`; and whether it was kept already."""
    if os.environ.get("STS_EVAL_CACHE") == "":
        return compute(), False
    digest = hashlib.sha256("\x1f".join(key).encode()).hexdigest()
    file = cache_folder() / key[0] / digest[:2] / f"{digest}.json"
    try:
        entry = json.loads(file.read_bytes())
        if entry["key"] == list(key):
            return entry["value"], True
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or damaged: judge again and replace it
    value = compute()
    try:
        write_text_atomic(file, json.dumps({"key": list(key), "value": value}))
    except OSError:
        return value, False
    return value, False


def _pack(heard: Any) -> Any:
    if isinstance(heard, Transcript):
        return {"transcript": heard.model_dump(mode="json")}
    return {"spans": [[float(start), float(end)] for start, end in heard]}


def _unpack(value: Any) -> Any:
    if "transcript" in value:
        return Transcript.model_validate(value["transcript"])
    return [(start, end) for start, end in value["spans"]]
