"""Speech of a system under test to train the countermeasure on: its replies to questions.

    packaged questions (`sts_eval.stimuli`, the kinds of `KINDS`) in an order drawn by the seed, to
    the voices of the target by turns -> one conversation each, `BATCH` of them stepped together
    -> what the agent said, trimmed -> audio/*.flac, manifest.jsonl

The folder is one for `--synthetic` of `sts-eval audit train-detector`. Its `engine` is the name of
the target, so that its replies are an attack family of their own; its `voice` is the name that was
asked for: clips of a voice that another engine has under that name (the reference speaks with one
of hibari's) stay on one side of a fold.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from sts_eval.audio import rms_dbfs, write_flac
from sts_eval.audit import AuditError
from sts_eval.runner import Progress
from sts_eval.stimuli import Stimuli, Stimulus
from sts_eval.stimuli.conditions import trim
from sts_eval.target import BatchTarget, Samples, SessionSetup, Target, steps_together
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

KINDS: Final = ("arithmetic", "fact", "unanswerable", "long", "greeting", "repeat", "emotional")
BATCH: Final = 16
QUIET_DBFS: Final = -50.0
QUIET_S: Final = 1.6
TAIL_S: Final = 10.0
LEAST_S: Final = 0.3


def gather_replies(
    target: Target,
    voices: Sequence[str],
    out: Path,
    limit: int,
    seed: int,
    progress: Progress,
) -> int:
    """Write `limit` replies or fewer (see the module) to `out`; returns how many there are.

    voices: of the target, by turns; none: its own. Raises AuditError: the target cannot be stepped
    in batches, the folder holds a manifest already, or nothing was said; TargetError.
    """
    if not isinstance(target, BatchTarget) or not steps_together(target):
        raise AuditError(f"{target.name} has no batches (`open_batch`), which this needs")
    return write_speech(out, target.name, _replies(target, voices, limit, seed, progress))


def write_speech(out: Path, who: str, clips: Iterable[tuple[Samples, dict[str, Any]]]) -> int:
    """Write a folder for `--synthetic`; returns how many clips it holds.

    clips: speech, float32 [S] at 24 kHz, and what its row of the manifest says beside `path` and
    `seconds`; what is shorter than `LEAST_S` is left out. Raises AuditError: the folder holds a
    manifest already (nothing is asked of `clips` then), or `who` said nothing.
    """
    manifest = out / "manifest.jsonl"
    if manifest.exists():
        raise AuditError(f"{out} holds a manifest already: name another folder")
    rows: list[dict[str, Any]] = []
    for speech, about in clips:
        if len(speech) >= LEAST_S * SAMPLE_RATE_HZ:
            path = f"audio/{len(rows):04d}.flac"
            write_flac(out / path, speech)
            rows.append({"path": path, "seconds": round(len(speech) / SAMPLE_RATE_HZ, 3)} | about)
    if not rows:
        raise AuditError(f"{who} said nothing")
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    manifest.write_text("".join(lines), encoding="utf-8")
    return len(rows)


def _replies(
    target: BatchTarget, voices: Sequence[str], limit: int, seed: int, progress: Progress
) -> Iterator[tuple[Samples, dict[str, Any]]]:
    rng = np.random.default_rng(seed)
    questions = [item for item in Stimuli.load().items if item.kind in KINDS]
    drawn = [questions[i] for i in rng.permutation(len(questions))[:limit]]
    asked = list(zip(drawn, itertools.cycle(voices or [""]), strict=False))
    progress.begin("conversations", len(asked))
    for start in range(0, len(asked), BATCH):
        some = asked[start : start + BATCH]
        for (question, voice), reply in zip(some, converse(target, some, seed), strict=True):
            about = {"voice": voice or target.name, "engine": target.name}
            yield reply, about | {"question": question.id}
            progress.step(question.id)


def converse(
    target: BatchTarget, asked: Sequence[tuple[Stimulus, str]], seed: int
) -> list[Samples]:
    """What the target says to each question in the given voice, trimmed, float32 [S]; may be empty.

    Ends when all have been silent for `QUIET_S` after their question, after `TAIL_S` at the latest.
    """
    setups = [
        SessionSetup(seed=seed, scenario_id=item.id, options={"voice": voice} if voice else {})
        for item, voice in asked
    ]
    users = [item.speech() for item, _ in asked]
    ends = np.array([len(user) for user in users])
    last = int(ends.max() + TAIL_S * SAMPLE_RATE_HZ) // FRAME_SAMPLES
    heard = np.zeros((len(users), last, FRAME_SAMPLES), np.float32)
    for frames, user in zip(heard, users, strict=True):
        frames.reshape(-1)[: len(user)] = user
    session, quiet_s = target.open_batch(setups), np.zeros(len(users))
    said: list[list[Samples]] = [[] for _ in users]
    for number in range(last):
        for row, emission in enumerate(session.push(heard[:, number])):
            said[row].append(emission.audio)
            over = (
                rms_dbfs(emission.audio) < QUIET_DBFS and (number + 1) * FRAME_SAMPLES >= ends[row]
            )
            quiet_s[row] = quiet_s[row] + FRAME_SAMPLES / SAMPLE_RATE_HZ if over else 0.0
        if (quiet_s >= QUIET_S).all():
            break
    for row, rest in enumerate(said):
        rest.append(session.close(row).audio)
    return [spoken(np.concatenate(parts)) for parts in said]


def spoken(audio: Samples) -> Samples:
    """The speech in a recording, trimmed; empty when it is silent. float32 [S] at 24 kHz."""
    found = trim(audio) if len(audio) else audio
    return found if rms_dbfs(found) > QUIET_DBFS else found[:0]
