"""Running takes: many conversations in one forward pass, with users who react to the agent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sts_core.session import SessionOptions, System
from sts_core.skills.takes import Take
from sts_core.units import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ

Audio = NDArray[np.float32]

AUDIBLE_DBFS = -45.0
BLOCK = 240  # 10 ms


@dataclass
class Ran:
    """A take and what the agent did: its channel float32 [S] on the user's clock, and its text.

    event_s: when the user's cue was played; None: the agent never spoke, or too late for it.
    undisturbed: of a back-channel, the agent's channel in the same conversation without it.
    """

    take: Take
    agent: Audio
    text: list[tuple[float, str]] = field(default_factory=list)
    event_s: float | None = None
    spoke_s: float | None = None  # when the agent was first heard after the user's turn
    undisturbed: Audio | None = None

    @property
    def audible(self) -> NDArray[np.bool_]:
        """Whether each 10 ms of the agent's channel can be heard, [S // 240]."""
        return audible_blocks(self.agent)

    def onset_s(self, from_s: float) -> float | None:
        """When the agent is first heard at or after a moment."""
        found = np.flatnonzero(self.audible[round(from_s * 100) :])
        return from_s + float(found[0]) / 100 if found.size else None


def audible_blocks(audio: Audio) -> NDArray[np.bool_]:
    """Whether each 10 ms is at or above -45 dBFS."""
    blocks = audio[: audio.size // BLOCK * BLOCK].reshape(-1, BLOCK).astype(np.float64)
    return np.asarray((blocks**2).mean(axis=1) >= 10 ** (AUDIBLE_DBFS / 10))


def run_takes(
    system: System,
    takes: Sequence[Take],
    *,
    batch: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Ran]:
    """Run takes, `batch` at a time, those of one length together, sampled as the system says."""
    ordered = sorted(takes, key=lambda take: take.user.size)
    for first in range(0, len(ordered), batch):
        part = ordered[first : first + batch]
        yield from _run_batch(system, part, seed + first)
        progress(first + len(part), len(ordered))


def _run_batch(system: System, takes: Sequence[Take], seed: int) -> list[Ran]:
    seeds = list(range(seed, seed + len(takes)))
    twins = [row for row, take in enumerate(takes) if take.skill == "back_channel"]
    alone = [replace(takes[row], cue=None) for row in twins]
    ran = _conversations(system, [*takes, *alone], [*seeds, *(seeds[row] for row in twins)])
    for row, other in zip(twins, ran[len(takes) :], strict=True):
        ran[row].undisturbed = other.agent
    return ran[: len(takes)]


def _conversations(system: System, takes: Sequence[Take], seeds: Sequence[int]) -> list[Ran]:
    session = system.open_batch([SessionOptions(seed=each) for each in seeds])
    longest = max(take.user.size for take in takes) // FRAME_SAMPLES
    tracks = np.zeros((len(takes), longest * FRAME_SAMPLES), np.float32)
    for row, take in enumerate(takes):
        tracks[row, : take.user.size] = take.user
    ran = [Ran(take, np.zeros(take.user.size, np.float32)) for take in takes]
    for k in range(longest):
        span = slice(k * FRAME_SAMPLES, (k + 1) * FRAME_SAMPLES)
        replies = session.push(tracks[:, span])
        for row, (each, reply) in enumerate(zip(ran, replies, strict=True)):
            after = each.agent[span.stop : span.stop + FRAME_SAMPLES]
            after[:] = reply.audio[: after.size]
            if reply.text and span.stop < each.agent.size:
                each.text.append(((k + 1) * FRAME_MS / 1000, reply.text))
            _react(each, tracks[row], span.stop)
    return ran


def _react(ran: Ran, track: Audio, now: int) -> None:
    """Put the user's cue on the track once the agent has spoken for its time (from `now` on)."""
    cue = ran.take.cue
    if cue is None or ran.event_s is not None:
        return
    if ran.spoke_s is None:  # the frame that begins now is known already
        frame = audible_blocks(ran.agent[now : now + FRAME_SAMPLES])
        first = now / SAMPLE_RATE_HZ + (int(frame.argmax()) / 100 if frame.any() else 0.0)
        if not frame.any() or first < ran.take.turn_end_s:
            return
        ran.spoke_s = first
    start = round((ran.spoke_s + cue.after_s) * SAMPLE_RATE_HZ)
    if start < now or start >= now + FRAME_SAMPLES:
        return
    end = min(start + cue.audio.size, ran.take.user.size)
    track[start:end] += cue.audio[: end - start]
    ran.event_s = start / SAMPLE_RATE_HZ
