"""`recorded`: conversations that exist already as audio files. Nothing is run; the files are
scored.

Two layouts, told apart by what is in the folder:

1. **Pairs.** Either `<id>/user.wav` and `<id>/agent.wav`, or `<id>.wav` with two channels (left
   user, right agent); any format libsndfile reads. Beside them optionally `<id>.json` (or
   `<id>/meta.json`): `{"user_spans": [[start_s, end_s], ...], "text": "...", "listen_s": 6.0}`.
   Without spans the user's speech is found by the VAD judge.
2. **Full-Duplex-Bench** v1.0 and v1.5 as downloaded, with a model's `output.wav` beside each
   `input.wav`: task folders by their published names, also one or two levels down (`v1_0/...`). The
   end of the user's turn is taken from `turn_taking.json` or `interrupt.json` where the task has
   one.

Turn-taking is measured as on any trace; compute is not visible and so not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sts_eval.probes import KINDS
from sts_eval.probes.full_duplex_bench_files import find_items, load_json
from sts_eval.scenario import Plan, Scenario
from sts_eval.target import Samples, Session, SessionSetup, TargetError
from sts_eval.trace import SCHEMA, Span, Trace, TraceMeta, padded, silence
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_for

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")


class RecordedTarget:
    """A folder of recordings.

    path: the folder. listen_s: how long after the user's turn an answer counts.
    """

    clock = "recorded"
    name = "recorded"

    def __init__(self, path: str, listen_s: float = 6.0) -> None:
        self._folder = Path(str(path)).expanduser()
        self._listen_s = float(listen_s)
        if not self._folder.is_dir():
            raise TargetError(f"recorded: {path!r} is not a folder")

    def describe(self) -> dict[str, Any]:
        """Its name; the folder's last part."""
        return {"name": self.name, "folder": self._folder.name}

    def plans(self, blocks: Sequence[tuple[Any, Any]]) -> list[Plan]:
        """One plan per recording, scored as the first kind of the suite. Raises TargetError.

        A kind that knows its own layout (`plan_recordings`, `read_recording`) reads it itself.
        """
        if hasattr(blocks[0][0], "plan_recordings"):
            return [p for kind, block in blocks for p in kind.plan_recordings(block, self._folder)]
        kind = blocks[0][0].name
        found = [*self._fdb_items(), *self._pair_items()]
        if not found:
            raise TargetError(
                f"recorded: {self._folder.name}: neither user/agent pairs nor Full-Duplex-Bench"
                " folders with input.wav and output.wav"
            )
        return [
            Plan(id=name, kind=kind, recipe=recipe)
            for name, recipe in sorted(found, key=lambda item: item[0])
        ]

    def open(self, setup: SessionSetup) -> Session:
        """Recordings cannot be talked to. Raises TargetError."""
        raise TargetError("recorded conversations cannot be driven, only scored")

    def shutdown(self) -> None:
        """Nothing to free."""

    def _fdb_items(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (item.id, {"task": item.task, "item": str(item.folder.relative_to(self._folder))})
            for item in find_items(self._folder)
        ]

    def _pair_items(self) -> list[tuple[str, dict[str, Any]]]:
        items = []
        for path in sorted(self._folder.iterdir()):
            if path.is_dir() and _find(path, "user") and _find(path, "agent"):
                items.append((path.name, {"pair": path.name}))
            elif path.is_file() and path.suffix.lower() in AUDIO_SUFFIXES:
                items.append((path.stem, {"stereo": path.name}))
        return items

    def trace(self, plan: Plan) -> Trace:
        """Read one recording as a trace; an unreadable one becomes an error trace."""
        from sts_eval.audio import AudioError

        own: Any = KINDS[plan.kind]()
        if hasattr(own, "read_recording"):
            trace: Trace = own.read_recording(plan, self._folder)
            return trace
        meta = TraceMeta(schema=SCHEMA, scenario={}, clock="recorded", seed=0)
        try:
            user, agent, known = self._read(plan.recipe)
            spans, end_s = _user_turn(user, known)
        except (AudioError, TargetError, OSError) as error:
            meta.status, meta.error = "error", f"recording: {error}"
            user = agent = silence(FRAME_SAMPLES)
            spans, end_s, known = [Span(start_s=0.0, end_s=0.01)], 0.01, {}
        size = frames_for(max(user.size, agent.size)) * FRAME_SAMPLES
        scenario = Scenario(
            id=plan.id,
            kind=plan.kind,
            title=str(known.get("text") or plan.id),
            text=str(known.get("text") or ""),
            conditions={"task": str(plan.recipe.get("task", "pair"))},
            cluster=plan.id,
            user_spans=spans,
            pauses=[Span(start_s=a, end_s=b) for a, b in known.get("pauses", [])],
            turn_end_s=end_s,
            listen_s=float(known.get("listen_s", self._listen_s)),
        )
        meta.scenario = scenario.model_dump(mode="json")
        meta.seconds = size / SAMPLE_RATE_HZ
        return Trace(meta=meta, user=padded(user, size), agent=padded(agent, size))

    def _read(self, recipe: dict[str, Any]) -> tuple[Samples, Samples, dict[str, Any]]:
        from sts_eval.audio import load_audio, read_stereo

        if "item" in recipe:
            item = self._folder / recipe["item"]
            if not (item / "output.wav").exists():
                raise TargetError("no output.wav: the model's side is missing")
            known = _fdb_known(item)
            return load_audio(item / "input.wav"), load_audio(item / "output.wav"), known
        if "pair" in recipe:
            item = self._folder / recipe["pair"]
            user, agent = _find(item, "user"), _find(item, "agent")
            assert user is not None
            assert agent is not None
            return load_audio(user), load_audio(agent), _meta(item / "meta.json")
        path = self._folder / recipe["stereo"]
        user_track, agent_track = read_stereo(path)
        return user_track, agent_track, _meta(path.with_suffix(".json"))


def _find(folder: Path, stem: str) -> Path | None:
    for suffix in AUDIO_SUFFIXES:
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    return None


def _meta(path: Path) -> dict[str, Any]:
    """The optional side file of a pair, checked. Raises TargetError."""
    if not path.exists():
        return {}
    body = load_json(path)
    if not isinstance(body, dict):
        raise TargetError(f"{path.name}: expected a JSON object")
    known: dict[str, Any] = {}
    for key in ("user_spans", "pauses"):
        if key in body:
            known[key] = [_pair(value, f"{path.name}: {key}") for value in body[key]]
    if "listen_s" in body:
        known["listen_s"] = float(body["listen_s"])
    if "text" in body:
        known["text"] = str(body["text"])
    return known


def _fdb_known(item: Path) -> dict[str, Any]:
    """What a Full-Duplex-Bench item says of the user's turn. Raises TargetError."""
    known: dict[str, Any] = {}
    turn, interrupt, pause = (
        item / name for name in ("turn_taking.json", "interrupt.json", "pause.json")
    )
    if turn.exists():
        known["turn_end_s"] = _timestamps(turn)[0][0]
    elif interrupt.exists():
        known["turn_end_s"] = _timestamps(interrupt)[0][1]
    if pause.exists():
        known["pauses"] = _timestamps(pause)
    return known


def _timestamps(path: Path) -> list[tuple[float, float]]:
    body = load_json(path)
    if not isinstance(body, list) or not body:
        raise TargetError(f"{path.name}: expected a list with at least one entry")
    spans = []
    for entry in body:
        stamp = entry.get("timestamp") if isinstance(entry, dict) else None
        spans.append(_pair(stamp, f"{path.name}: timestamp"))
    return spans


def _pair(value: Any, where: str) -> tuple[float, float]:
    try:
        start, end = (float(part) for part in value)
    except (TypeError, ValueError) as error:
        raise TargetError(f"{where}: expected [start, end] in seconds") from error
    if not (np.isfinite(start) and np.isfinite(end) and 0 <= start <= end):
        raise TargetError(f"{where}: {value!r} is not an interval")
    return start, end


def _user_turn(user: Samples, known: dict[str, Any]) -> tuple[list[Span], float]:
    """The user's speech spans up to the end of the turn, and that end. Raises TargetError."""
    if known.get("user_spans"):
        spans = known["user_spans"]
    else:
        from sts_eval.judges import load_vad

        spans = load_vad("silero").speech_spans(user)
    end_s = known.get("turn_end_s", max((end for _, end in spans), default=0.0))
    kept = [Span(start_s=a, end_s=min(b, end_s), label="user") for a, b in spans if a < end_s]
    if not kept:
        raise TargetError("no speech of the user was found")
    return kept, float(end_s)
