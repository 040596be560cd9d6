"""Recorded conversations as the language model learns them: both channels, as they were held.

    user's channel     whole, with all that is heard on it
    agent's channel    its turns as codes, silence between them; a turn lies one frame earlier than
                       it was heard, as what the model says in a frame sounds during the next
    words              aligned turn by turn (`sts_core.data.align`)

Everything lies one frame later than in the recording, so that an agent may begin at once. Where a
turn was refused, or its words cannot be placed, the conversation has a hole. What lies between
holes is cut into excerpts of at most MOST_FRAMES. Only the first of them may begin with the agent:
an answer whose question was cut off would teach the model to invent. Each pass over the recordings
hears them in other rooms (`sts_core.data.shards.in_the_room`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sts_core.data.align import WordSpan
from sts_core.data.dialogue import FRAME_S, Dialogue, Draft
from sts_core.data.library import AGENT_LEAD_S, EDGE_S, Utterance, aligned_words, codes_of
from sts_core.data.library import silence_codes as codes_of_silence
from sts_core.data.manifest import Row, as_float, load_audio
from sts_core.data.scenes import MOST_FRAMES
from sts_core.data.shards import read_shard, write_shards
from sts_core.lm.ear import Ear
from sts_core.lm.text import TextTokenizer
from sts_core.recordings.prepare import CONVERSATIONS_NAME
from sts_core.recordings.speakers import AGENT, ROLES, USER
from sts_core.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_of

KIND = "recorded"
LEAST_FRAMES = 12  # a shorter excerpt is dropped
SHARD_S = 1200.0  # of recordings in a shard, about
MAX_CONVERSATION_S = 7200.0


class ConversationError(ValueError):
    """A folder holds no usable conversations; the message says why."""


class Composed(NamedTuple):
    """What a folder of shards was made of. `voices`: agents by the number of their voice.

    used_s: what one pass uses of `seconds`; the rest are holes, silence and answers cut off.
    """

    voices: tuple[str, ...]
    conversations: int
    shards: int
    seconds: float
    used_s: float


class Held(NamedTuple):
    """A whole conversation, and in which frames it may be used and cut."""

    dialogue: Dialogue
    hole: NDArray[np.bool_]  # [T]
    user: NDArray[np.bool_]  # [T], the user speaks
    agent: NDArray[np.bool_]  # [T], the agent speaks


def read_conversations(folder: Path, split: str) -> list[Row]:
    """The conversations of a folder made by `sts-core prepare` that belong to a split.

    Raises:
        ConversationError: no such file, a line that is no conversation, a path that leaves the
            folder, or none of this split.
    """
    file = folder / CONVERSATIONS_NAME
    if not file.is_file():
        raise ConversationError(f"{folder}: no {CONVERSATIONS_NAME} here (sts-core prepare)")
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            tracks = [Path(row["tracks"][role]) for role in ROLES]
            complete = row["speakers"][AGENT] and float(row["seconds"]) > 0
            complete = complete and all(turn["role"] in ROLES for turn in row["turns"])
        except (ValueError, KeyError, TypeError) as error:
            raise ConversationError(f"{file}:{number}: not a conversation: {error!r}") from error
        if not complete or any(path.is_absolute() or ".." in path.parts for path in tracks):
            raise ConversationError(f"{file}:{number}: not a conversation of this folder")
        if row.get("split") == split:
            found.append(row)
    if not found:
        raise ConversationError(f"{file}: no conversation of the split {split!r}")
    return found


@dataclass(frozen=True)
class Stage:
    """What all conversations are turned into dialogues with."""

    ear: Ear
    tokenizer: TextTokenizer
    silence: NDArray[np.uint16]  # [8]
    voices: tuple[str, ...]

    def hold(self, folder: Path, row: Row) -> Held:
        """A conversation of `folder` as a whole.

        Raises:
            ManifestError: a track is missing or cannot be read.
        """
        tracks = {
            role: load_audio(folder / row["tracks"][role], max_seconds=MAX_CONVERSATION_S)
            for role in ROLES
        }
        draft = Draft(self.silence, self.tokenizer, self.voices.index(row["speakers"][AGENT]))
        draft.user_says(as_float(tracks[USER]), (), FRAME_S)
        frames = frames_of(max(track.size for track in tracks.values())) + 1
        hole = np.zeros(frames, bool)
        speaks = {role: np.zeros(frames, bool) for role in ROLES}
        for turn in row["turns"]:
            track = tracks[turn["role"]]
            words = None if turn.get("hole") else self._words(turn, track)
            first = 1 + int(turn["start_s"] / FRAME_S)
            last = 2 + int(turn["end_s"] / FRAME_S)
            speaks[turn["role"]][max(0, first - 1) : last] = True
            if words is None:
                hole[max(0, first - 1) : last + 1] = True
            elif turn["role"] == USER:
                draft.user_says(np.zeros(0, np.float32), words, FRAME_S)
            else:
                self._agent_says(draft, turn, track, words)
        dialogue = draft.finish(frames, KIND)
        return Held(dialogue, hole, speaks[USER], speaks[AGENT] | dialogue.speaking)

    def _words(self, turn: Row, track: NDArray[np.int16]) -> tuple[WordSpan, ...] | None:
        """Words of a turn in the time of the recording."""
        first = max(0, round((turn["start_s"] - EDGE_S) * SAMPLE_RATE_HZ))
        last = round((turn["end_s"] + EDGE_S) * SAMPLE_RATE_HZ)
        words = aligned_words(self.ear.student, track[first:last], turn)
        if not words:
            return None
        at_s = first / SAMPLE_RATE_HZ
        return tuple(WordSpan(str(w), float(a) + at_s, float(b) + at_s) for w, a, b in words)

    def _agent_says(
        self, draft: Draft, turn: Row, track: NDArray[np.int16], words: tuple[WordSpan, ...]
    ) -> None:
        first = max(0, int((turn["start_s"] - AGENT_LEAD_S) / FRAME_S))
        audio = track[first * FRAME_SAMPLES : round((turn["end_s"] + EDGE_S) * SAMPLE_RATE_HZ)]
        at_s = first * FRAME_S
        moved = tuple(WordSpan(w.word, w.start_s - at_s, w.end_s - at_s) for w in words)
        codes = codes_of(self.ear.codec, audio)
        draft.agent_says(Utterance(turn, audio, moved, codes, codes_start_s=0.0), first)


def excerpts(held: Held) -> list[tuple[int, int]]:
    """[first, last) of the parts a conversation is used in, each at most MOST_FRAMES.

    A part ends as late as possible: where nobody speaks and the user is next to, else where nobody
    speaks, else at its most. Parts without speech, or shorter than LEAST_FRAMES, are left out.
    """
    user_next = _user_next(held)
    edges = np.flatnonzero(np.diff(np.concatenate([[True], held.hole, [True]]).astype(np.int8)))
    parts = []
    for start, end in edges.reshape(-1, 2).tolist():
        first = _begin(user_next, start, end)
        while first < end:
            last = end
            if end - first > MOST_FRAMES:
                last = first + MOST_FRAMES
                window = slice(first + MOST_FRAMES // 2, last + 1)
                free = user_next[window].nonzero()[0]
                if not free.size:
                    free = (~(held.user | held.agent)[window]).nonzero()[0]
                if free.size:
                    last = window.start + int(free[-1])
            parts.append((first, last))
            first = _begin(user_next, last, end)
    busy = held.user | held.agent
    return [(a, b) for a, b in parts if b - a >= LEAST_FRAMES and busy[a:b].any()]


def _begin(user_next: NDArray[np.bool_], first: int, end: int) -> int:
    """The first frame from `first` on in which a part may begin; `end` if there is none."""
    if first == 0:
        return 0
    found = user_next[first:end].nonzero()[0]
    return first + int(found[0]) if found.size else end


def _user_next(held: Held) -> NDArray[np.bool_]:
    """bool [T]: nobody speaks, and nobody but the user speaks next."""
    busy = held.user | held.agent
    at = busy.nonzero()[0]
    following = np.searchsorted(at, np.arange(busy.size))
    user_at = np.append(held.user[at] & ~held.agent[at], True)
    return ~busy & user_at[following]


def excerpt(dialogue: Dialogue, first: int, last: int) -> Dialogue:
    """Frames [first, last) of a conversation."""
    samples = slice(first * FRAME_SAMPLES, last * FRAME_SAMPLES)
    frames = slice(first, last)
    return dialogue._replace(
        user=dialogue.user[samples],
        leak=dialogue.leak[samples],
        codes=dialogue.codes[frames],
        text=dialogue.text[frames],
        words=dialogue.words[frames],
        speaking=dialogue.speaking[frames],
    )


def grouped(seconds: Sequence[float]) -> list[list[int]]:
    """Conversation numbers in groups of about SHARD_S, so that shards weigh about the same."""
    groups: list[list[int]] = [[]]
    total = 0.0
    for number, length in enumerate(seconds):
        if total >= SHARD_S:
            groups.append([])
            total = 0.0
        groups[-1].append(number)
        total += length
    if len(groups) > 1 and total < SHARD_S / 2:
        last = groups.pop()
        groups[-1] += last
    return groups


def compose_recorded(
    folder: Path,
    out: Path,
    *,
    passes: int = 1,
    seed: int = 0,
    split: str = "train",
    agent_voices: tuple[str, ...] = (),
    ear: Ear | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Composed:
    """Shards of the conversations in a prepared folder; goes on where it was interrupted.

    Args:
        passes: how often each conversation is heard.
        agent_voices: speakers by the number of their voice in the model; (): all agents by name.

    Raises:
        ConversationError: no conversations, or an agent that is not among `agent_voices`.
        WeightsError: no codec, student or tokenizer.
    """
    rows = read_conversations(folder, split)
    agents = tuple(sorted({row["speakers"][AGENT] for row in rows}))
    voices = agent_voices or agents
    missing = sorted(set(agents) - set(voices))
    if missing:
        raise ConversationError(f"{folder}: {', '.join(missing)} is none of the agent's voices")
    ear = ear or Ear.load()
    stage = Stage(ear, TextTokenizer.load(), codes_of_silence(ear.codec), voices)
    groups = grouped([float(row["seconds"]) for row in rows])

    def deal(number: int, _: np.random.Generator) -> list[Dialogue]:
        parts = []
        for index in groups[number % len(groups)]:
            held = stage.hold(folder, rows[index])
            cuts = excerpts(held)
            parts += [excerpt(held.dialogue, first, last) for first, last in cuts]
        return parts

    shards = passes * len(groups)
    write_shards(out, deal, ear, shards=shards, seed=seed, progress=progress)
    lengths = [int(read_shard(file).first[-1]) for file in sorted(out.glob("*.npz"))]
    seconds = sum(float(row["seconds"]) for row in rows)
    return Composed(voices, len(rows), len(lengths), seconds, sum(lengths) * FRAME_S / passes)
