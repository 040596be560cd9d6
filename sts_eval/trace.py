"""A Trace: what was heard on both sides of one scenario, and when. The only truth of a run.

On disk a trace is two files, written atomically and audio first, so that a trace whose JSON exists
is complete:

- `<id>.flac`: stereo, 24 kHz, 16 bit; left = user, right = agent, aligned to the sample.
- `<id>.json`: everything below (schema `sts-eval/trace/1`), with the SHA-256 of the FLAC file.

Clocks. `tick` k is the interval [k, k+1) x 80 ms of the tracks. For lockstep targets the agent
track
lies on the audio clock: what push k returned sounds from tick k+1 on, one frame a tick, and
`push_wall_ms[k]` is the compute of push k. From both follows when a listener would have *heard*
each frame (`heard_frame_s`). For paced targets the agent track lies on arrival time already.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from sts_eval.target import ClockKind, Samples
from sts_eval.units import FRAME_S

SCHEMA = "sts-eval/trace/1"


class Span(BaseModel):
    """A labelled interval of a track, seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    start_s: float
    end_s: float
    label: str = ""


class TraceEvent(BaseModel):
    """A timed event. `t_s` is on the audio clock (lockstep) or arrival time (paced)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    t_s: float
    name: str
    source: Literal["user", "agent", "harness"] = "agent"
    data: dict[str, Any] = {}


class TraceMeta(BaseModel):
    """The JSON side of a trace.

    scenario: the scenario as planned (see `Scenario`), including the true user speech spans.
    batch: how many conversations were stepped together; above 1 no wall time is this one's own, so
        that `push_wall_ms` is empty and `open_wall_ms` 0.
    retried: why the scenario was run again by itself, if it was: what its batch failed of.
    push_wall_ms: compute per push, ms (paced: time spent in push).
    frame_push: for each tick of the agent track the index of the push whose audio fills it, -1
        where nothing was played (lockstep only, else empty).
    open_wall_ms: time to open the session; cold: whether it was the target's first session.
    status: "ok", or "error" with `error` saying why; an error trace holds what was recorded until
        then. "skipped": the target lacks what the scenario asks for, which `error` names; not
        measured.
    """

    model_config = ConfigDict(extra="forbid")
    schema_: str = Field(SCHEMA, alias="schema")
    scenario: dict[str, Any]
    clock: ClockKind
    seed: int
    status: Literal["ok", "skipped", "error"] = "ok"
    error: str = ""
    seconds: float = 0.0
    events: list[TraceEvent] = []
    push_wall_ms: list[float] = []
    frame_push: list[int] = []
    open_wall_ms: float = 0.0
    cold: bool = False
    batch: int = 1
    retried: str = ""
    flac_sha256: str = ""


class TraceError(Exception):
    """A trace on disk is missing, damaged or of another schema."""


class Trace(BaseModel):
    """Meta plus the two tracks: float32 [S] each, same length."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    meta: TraceMeta
    user: Any
    agent: Any


def save_trace(trace: Trace, folder: Path, stem: str) -> None:
    """Write `<stem>.flac`, then `<stem>.json`, each atomically."""
    from sts_eval.audio import write_flac_stereo

    flac = folder / f"{stem}.flac"
    write_flac_stereo(flac, trace.user, trace.agent)
    trace.meta.flac_sha256 = file_sha256(flac)
    write_text_atomic(folder / f"{stem}.json", trace.meta.model_dump_json(by_alias=True))


def load_meta(path: Path) -> TraceMeta:
    """Read the JSON side. Raises TraceError."""
    try:
        return TraceMeta.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TraceError(f"{path.name}: {error}") from error


def load_trace(path: Path, *, verify: bool = True) -> Trace:
    """Read `<id>.json` and its FLAC. Raises TraceError when the audio does not match its hash."""
    from sts_eval.audio import AudioError, read_stereo

    meta = load_meta(path)
    flac = path.with_suffix(".flac")
    try:
        if verify and file_sha256(flac) != meta.flac_sha256:
            raise TraceError(f"{flac.name}: the audio is not what was recorded (hash differs)")
        user, agent = read_stereo(flac)
    except (OSError, AudioError) as error:
        raise TraceError(f"{flac.name}: {error}") from error
    return Trace(meta=meta, user=user, agent=agent)


def heard_frame_s(meta: TraceMeta) -> NDArray[np.float64]:
    """When a listener would have heard the start of each agent tick, seconds.

    A lockstep target runs in real time here: push k can start when its frame is complete and push
    k-1 is done, and ends `push_wall_ms[k]` later. Tick j sounds at max(j x 80 ms, the end of the
    push that made it, and 80 ms after the tick before it if both belong to one run of audio). Paced
    traces lie on arrival time, so the tick is the answer.
    """
    ticks = round(meta.seconds / FRAME_S)
    nominal = np.arange(ticks, dtype=np.float64) * FRAME_S
    if meta.clock != "lockstep":
        return nominal
    finish = np.empty(len(meta.push_wall_ms))
    done = 0.0
    for k, wall_ms in enumerate(meta.push_wall_ms):
        done = max((k + 1) * FRAME_S, done) + wall_ms / 1000
        finish[k] = done
    heard = nominal.copy()
    for j in range(min(ticks, len(meta.frame_push))):
        push = meta.frame_push[j]
        if push < 0:
            continue
        follows = j > 0 and meta.frame_push[j - 1] >= 0
        heard[j] = max(nominal[j], finish[push], heard[j - 1] + FRAME_S if follows else 0.0)
    return heard


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_text_atomic(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new content, never a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def write_json_atomic(path: Path, value: Any) -> None:
    """`write_text_atomic` for a JSON value (sorted keys, so equal values give equal bytes)."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    write_text_atomic(path, text + "\n")


def padded(track: Samples, samples: int) -> Samples:
    """A track with silence after it, float32 [samples]."""
    return np.concatenate([track, silence(samples - track.size)])


def silence(samples: int) -> Samples:
    """float32 zeros [samples]."""
    return np.zeros(samples, np.float32)
