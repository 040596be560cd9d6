"""Conversations with the cascade: a track in; what it said, heard and reported out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from sts_eval.stimuli import Stimuli
from sts_eval.target import Session, SessionSetup, Target
from sts_eval.trace import silence
from sts_eval.units import FRAME_S, FRAME_SAMPLES


@dataclass
class Conversation:
    """The agent's track as a listener hears it, and what was reported at which time."""

    agent: np.ndarray
    events: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def times(self, name: str) -> list[float]:
        return [t for t, event, _ in self.events if event == name]

    def data(self, name: str) -> list[dict[str, Any]]:
        return [data for _, event, data in self.events if event == name]


def play(session: Session, track: np.ndarray) -> Conversation:
    """Step a session over a track the way the lockstep clock does: what push k returns sounds from
    tick k+1 on."""
    whole = np.concatenate([track, silence(-len(track) % FRAME_SAMPLES)])
    queue, played = silence(0), []
    found = Conversation(silence(0))
    for tick in range(len(whole) // FRAME_SAMPLES):
        frame = queue[:FRAME_SAMPLES]
        played.append(np.concatenate([frame, silence(FRAME_SAMPLES - len(frame))]))
        queue = queue[FRAME_SAMPLES:]
        emission = session.push(whole[tick * FRAME_SAMPLES : (tick + 1) * FRAME_SAMPLES])
        queue = np.concatenate([silence(0) if emission.flush else queue, emission.audio])
        now_s = (tick + 1) * FRAME_S
        found.events += [(now_s, event.name, dict(event.data)) for event in emission.events]
        found.texts += [emission.text.strip()] if emission.text else []
    session.close()
    found.agent = np.concatenate(played)
    return found


@pytest.fixture(scope="session")
def stimuli() -> Stimuli:
    return Stimuli.load()


@pytest.fixture
def converse() -> Callable[..., Conversation]:
    def run(target: Target, *parts: np.ndarray | float, seed: int = 0) -> Conversation:
        """parts: audio, or seconds of silence."""
        track = [silence(round(24_000 * p)) if isinstance(p, float) else p for p in parts]
        return play(target.open(SessionSetup(seed=seed)), np.concatenate(track))

    return run
