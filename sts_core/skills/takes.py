"""Takes: what a user says to the system, when, and what a right answer holds.

A take is one short conversation with one question asked of it:

    sums, facts, unanswerable   a question, then 5 s to answer
    pauses                      a fact question with 0.3 to 1.0 s of silence inside
    barge_in                    a request with a long answer; a new request while the agent speaks
    back_channel                the same; "uh-huh" while it speaks
    tones                       an emotional sentence in each tone of voice
    quiet                       a minute of room noise, or of somebody speaking softly

The room is white noise at -62 dBFS: digital silence does not occur. Stimuli are a folder with a
manifest (`sts_core.data.manifest`): `kind`, `voice`, and `op`, `a`, `b`, `answer` or `key`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sts_core.data.manifest import ManifestError, Row, as_float, load_audio, read_manifest, voice_of
from sts_core.data.prosody import TONES, apply_tone
from sts_core.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_of

Audio = NDArray[np.float32]

LEAD_S, ANSWER_S, LONG_S = 0.6, 5.0, 9.0
ROOM = 10 ** (-62 / 20)
SPEECH_DBFS, BACKGROUND_DBFS = -23.0, -40.0
EDGE_BELOW_DB = 40.0
QUIET_S, QUIET_TAKES = 60.0, 10
SKILLS = (
    "sums", "facts", "unanswerable", "pauses", "barge_in", "back_channel", "tones", "quiet",
)  # fmt: skip


@dataclass(frozen=True)
class Cue:
    """What the user does once the agent has spoken for `after_s`."""

    audio: Audio
    after_s: float
    row: Row


@dataclass(frozen=True)
class Take:
    """One short conversation; `user` is float32 [S], a whole number of frames.

    turn_end_s: when the user's last sound ends; of `quiet`: 0. pause_s: the silence inside.
    """

    skill: str
    id: str
    row: Row
    user: Audio
    turn_end_s: float
    pause_s: tuple[float, float] | None = None
    cue: Cue | None = None
    tone: str = ""


class Stimuli:
    """Utterances of held-out voices, by kind."""

    def __init__(self, folder: Path) -> None:
        """Raises ManifestError: no manifest, or nothing of any skill in it."""
        self.folder = folder
        self.by_kind: dict[str, list[Row]] = {}
        for row in read_manifest(folder):
            self.by_kind.setdefault(str(row.get("kind", "")), []).append(row)
        if not self.by_kind.keys() & {"arithmetic", "fact", "unanswerable", "long", "emotional"}:
            raise ManifestError(f"{folder}: no utterance of a kind that a skill is measured on")

    def rows(self, kind: str, limit: int | None, rng: np.random.Generator) -> list[Row]:
        """`limit` utterances of a kind, spread over its voices; all in order where None."""
        rows = self.by_kind.get(kind, [])
        if limit is None or limit >= len(rows):
            return rows
        voices: dict[str, list[Row]] = {}
        for index in rng.permutation(len(rows)):
            voices.setdefault(voice_of(rows[index]), []).append(rows[index])
        rounds = [hand[turn] for turn in range(limit) for hand in _hands(voices, turn)]
        return rounds[:limit]

    def speech(self, row: Row) -> Audio:
        """An utterance from its first to its last sound. Raises ManifestError."""
        audio = as_float(load_audio(self.folder / row["path"], max_seconds=60.0))
        return trimmed(audio)


def _hands(voices: dict[str, list[Row]], turn: int) -> list[list[Row]]:
    return [voices[name] for name in sorted(voices) if turn < len(voices[name])]


def trimmed(audio: Audio) -> Audio:
    """Audio without the silence around it (10 ms blocks 40 dB below the loudest)."""
    blocks = np.abs(audio[: audio.size // 240 * 240]).reshape(-1, 240).max(axis=1)
    if not blocks.size or not blocks.any():
        raise ManifestError("an utterance is silent")
    loud = np.flatnonzero(blocks >= blocks.max() * 10 ** (-EDGE_BELOW_DB / 20))
    return audio[loud[0] * 240 : (loud[-1] + 1) * 240]


def make_takes(
    stimuli: Stimuli, skills: Sequence[str], *, limit: int | None, seed: int
) -> list[Take]:
    """The takes of these skills, `limit` of each at most; depends on nothing else."""
    makers: dict[str, Callable[[Stimuli, int | None, np.random.Generator], list[Take]]] = {
        "sums": lambda s, n, rng: _questions(s, "sums", "arithmetic", n, rng),
        "facts": lambda s, n, rng: _questions(s, "facts", "fact", n, rng),
        "unanswerable": lambda s, n, rng: _questions(s, "unanswerable", "unanswerable", n, rng),
        "pauses": _pauses,
        "barge_in": lambda s, n, rng: _cued(s, "barge_in", ("arithmetic", "fact"), n, rng),
        "back_channel": lambda s, n, rng: _cued(s, "back_channel", ("backchannel",), n, rng),
        "tones": _tones,
        "quiet": _quiet,
    }
    takes: list[Take] = []
    for skill in skills:
        takes += makers[skill](stimuli, limit, np.random.default_rng([seed, SKILLS.index(skill)]))
    return takes


def room(seconds: float, rng: np.random.Generator) -> Audio:
    """Noise of a quiet room, float32, a whole number of frames."""
    samples = frames_of(round(seconds * SAMPLE_RATE_HZ)) * FRAME_SAMPLES
    return rng.normal(0, ROOM, samples).astype(np.float32)


def _placed(speech: Audio, listen_s: float, rng: np.random.Generator) -> tuple[Audio, float]:
    """Room noise with speech in it, and when that ends."""
    start = round((LEAD_S + rng.uniform(0, 0.08)) * SAMPLE_RATE_HZ)
    end_s = (start + speech.size) / SAMPLE_RATE_HZ
    track = room(end_s + listen_s, rng)
    track[start : start + speech.size] += speech
    return track, end_s


def _questions(
    stimuli: Stimuli, skill: str, kind: str, limit: int | None, rng: np.random.Generator
) -> list[Take]:
    takes = []
    for row in stimuli.rows(kind, limit, rng):
        track, end_s = _placed(stimuli.speech(row), ANSWER_S, rng)
        takes.append(Take(skill, row["id"], row, track, end_s))
    return takes


def _pauses(stimuli: Stimuli, limit: int | None, rng: np.random.Generator) -> list[Take]:
    takes = []
    for row in stimuli.rows("fact", limit, rng):
        speech, wait_s = stimuli.speech(row), float(rng.uniform(0.3, 1.0))
        cut = _quietest(speech)
        wait = np.zeros(round(wait_s * SAMPLE_RATE_HZ), np.float32)
        track, end_s = _placed(np.concatenate([speech[:cut], wait, speech[cut:]]), ANSWER_S, rng)
        start_s = end_s - (speech.size - cut + wait.size) / SAMPLE_RATE_HZ
        takes.append(Take("pauses", row["id"], row, track, end_s, (start_s, start_s + wait_s)))
    return takes


def _quietest(speech: Audio) -> int:
    """Where to cut speech in two: the quietest 30 ms between a third and two thirds of it."""
    power = np.convolve(speech.astype(np.float64) ** 2, np.ones(720), mode="same")
    low, high = speech.size // 3, 2 * speech.size // 3
    return low + int(power[low:high].argmin())


def _cued(
    stimuli: Stimuli,
    skill: str,
    kinds: tuple[str, ...],
    limit: int | None,
    rng: np.random.Generator,
) -> list[Take]:
    takes = []
    for number, row in enumerate(stimuli.rows("long", limit, rng)):
        pool = [
            each
            for each in stimuli.by_kind.get(kinds[number % len(kinds)], [])
            if voice_of(each) == voice_of(row)
        ]
        if not pool:
            continue
        event = pool[rng.integers(len(pool))]
        cue = Cue(stimuli.speech(event), float(rng.uniform(0.8, 2.0)), event)
        track, end_s = _placed(stimuli.speech(row), LONG_S, rng)
        takes.append(Take(skill, f"{row['id']}+{event['id']}", row, track, end_s, cue=cue))
    return takes


def _tones(stimuli: Stimuli, limit: int | None, rng: np.random.Generator) -> list[Take]:
    takes = []
    rows = stimuli.rows("emotional", None if limit is None else -(-limit // len(TONES)), rng)
    for row in rows:
        speech = stimuli.speech(row)
        for tone in TONES:
            track, end_s = _placed(apply_tone(speech, tone, rng), ANSWER_S, rng)
            takes.append(Take("tones", f"{row['id']}-{tone}", row, track, end_s, tone=tone))
    return takes


def _quiet(stimuli: Stimuli, limit: int | None, rng: np.random.Generator) -> list[Take]:
    """Ten minutes: half of them empty, half with a soft voice every few seconds."""
    takes, count = [], min(QUIET_TAKES, limit or QUIET_TAKES)
    rows = stimuli.by_kind.get("fact", []) + stimuli.by_kind.get("long", [])
    for number in range(count):
        track, at_s = room(QUIET_S, rng), float(rng.uniform(1, 4))
        while number % 2 and rows and at_s < QUIET_S - 6:
            speech = stimuli.speech(rows[rng.integers(len(rows))])
            speech = speech * np.float32(10 ** ((BACKGROUND_DBFS - SPEECH_DBFS) / 20))
            start = round(at_s * SAMPLE_RATE_HZ)
            track[start : start + speech.size] += speech
            at_s += speech.size / SAMPLE_RATE_HZ + float(rng.uniform(1, 5))
        name = "background" if number % 2 else "silence"
        takes.append(Take("quiet", f"{name}-{number}", {"id": name}, track, 0.0))
    return takes
