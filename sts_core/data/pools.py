"""Which utterances of a library a conversation may be made of, by what they are for."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from zlib import crc32

from sts_core.data.cache import voice_group
from sts_core.data.library import Library
from sts_core.data.manifest import voice_of

UNSEEN_ONE_IN = 14  # sums that are never trained, chosen by a hash of their text


def is_unseen(op: str, a: int, b: int) -> bool:
    """Whether a sum is kept out of training, to see whether the model adds or remembers."""
    return crc32(f"{op} {a} {b}".encode()) % UNSEEN_ONE_IN == 0


@dataclass
class Pools:
    """Utterance numbers by what they are for; user pools by kind, then by voice family."""

    user: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    tones: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    agent: dict[tuple[int, str], list[int]] = field(default_factory=dict)  # (voice, text)
    tone_replies: dict[tuple[int, str], list[int]] = field(default_factory=dict)
    monologue: dict[int, list[int]] = field(default_factory=dict)
    canaries: list[int] = field(default_factory=list)  # each as often as it is repeated


def make_pools(library: Library, agent_voices: tuple[str, ...]) -> Pools:
    """Sort a library; sums that are `is_unseen` are left out on both sides."""
    pools = Pools()
    user: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    tones: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number in library.usable():
        row = library.cache.rows[number]
        if "a" in row and is_unseen(row["op"], row["a"], row["b"]):
            continue
        if row["kind"] == "canary":
            pools.canaries += [number] * row["repetitions"]
        elif row.get("role") == "agent" and voice_of(row) in agent_voices:
            voice = agent_voices.index(voice_of(row))
            pools.agent.setdefault((voice, row["text"]), []).append(number)
            pools.monologue.setdefault(voice, []).append(number)
            if row["kind"] == "emotional":
                pools.tone_replies.setdefault((voice, row["tone"]), []).append(number)
        elif row.get("role") == "user" and row["kind"] == "emotional":
            if row.get("toned"):
                tones[row["tone"]][voice_group(row)].append(number)
        elif row.get("role") == "user":
            user[row["kind"]][voice_group(row)].append(number)
    pools.user, pools.tones = dict(user), dict(tones)
    return pools
