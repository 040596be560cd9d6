"""Talking to the reference system: a recording in, the agent's channel out; or a microphone.

Both channels lie on one clock: what the agent makes of a frame sounds during the next one. After
the user's last sample the agent is listened to until it has been silent for `QUIET_FRAMES`, for
`tail_s` at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sts_core.hf import MissingExtraError
from sts_core.session import Reply, Session, StageTimes
from sts_core.units import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_of

Audio = NDArray[np.float32]

LIVE_INSTALL = "pip install 'sts-eval[live]'"
QUIET_FRAMES = 19  # 1.5 s
AUDIBLE = 10 ** (-50 / 20)


@dataclass
class Conversation:
    """Both sides of a conversation, as far as it has gone.

    agent: float32 [S] on the user's clock. said, heard: (seconds, text) as it became known: the
        agent's inner monologue, and the user's words as the model made them out.
    """

    agent: Audio
    said: list[tuple[float, str]] = field(default_factory=list)
    heard: list[tuple[float, str]] = field(default_factory=list)
    stages: list[StageTimes] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Timed text and the compute per frame, ms."""
        compute = np.array([sum(each) for each in self.stages])
        return {
            "seconds": round(self.agent.size / SAMPLE_RATE_HZ, 3),
            "said": join_pieces(self.said),
            "heard": join_pieces(self.heard),
            "text": [{"t_s": round(t, 2), "text": text} for t, text in self.said],
            "user_text": [{"t_s": round(t, 2), "text": text} for t, text in self.heard],
            "compute_ms": {
                "p50": round(float(np.percentile(compute, 50)), 2),
                "p95": round(float(np.percentile(compute, 95)), 2),
            },
        }


def join_pieces(pieces: list[tuple[float, str]]) -> str:
    """The text of timed pieces."""
    return " ".join("".join(text for _, text in pieces).split())


def converse(session: Session, user: Audio, *, tail_s: float = 10.0) -> Conversation:
    """Play a user's channel float32 [S] to a session; see the module.

    Raises:
        SessionError: samples that are not finite.
    """
    asked = frames_of(user.size)
    most = asked + round(tail_s * 1000 / FRAME_MS)
    out = [np.zeros(FRAME_SAMPLES, np.float32)]
    conversation, quiet = Conversation(out[0]), 0
    for k, frame in enumerate(frames_with_silence(user, most)):
        reply = session.push(frame)
        out.append(reply.audio)
        note(conversation, reply, k)
        quiet = 0 if float(np.abs(reply.audio).max()) > AUDIBLE else quiet + 1
        if k + 1 >= asked and quiet >= QUIET_FRAMES:
            break
    # what the last reply says would sound after the end
    conversation.agent = np.concatenate(out[: max(1, len(out) - 1)])
    return conversation


def frames_with_silence(user: Audio, frames: int) -> Iterator[Audio]:
    """`frames` frames float32 [1920]: the user, then silence."""
    for k in range(frames):
        part = user[k * FRAME_SAMPLES : (k + 1) * FRAME_SAMPLES]
        yield np.pad(part, (0, FRAME_SAMPLES - part.size)).astype(np.float32)


def note(conversation: Conversation, reply: Reply, k: int) -> None:
    """Keep what the reply to frame k says, at the time it became known."""
    known_s = (k + 1) * FRAME_MS / 1000
    conversation.stages.append(reply.stages)
    if reply.text:
        conversation.said.append((known_s, reply.text))
    if reply.heard:
        conversation.heard.append((known_s, reply.heard))


def talk_live(session: Session, show: Callable[[str], None]) -> None:
    """Microphone in, loudspeaker out, until Ctrl-C; `show` is given the inner monologue.

    Wear headphones: the system hears what the microphone hears.

    Raises:
        MissingExtraError: `sounddevice` is not installed, or finds no PortAudio or no device.
    """
    if find_spec("sounddevice") is None:
        raise MissingExtraError(f"talking live needs the package sounddevice: {LIVE_INSTALL}")
    try:
        import sounddevice
    except OSError as error:
        raise MissingExtraError(f"sounddevice cannot start: {error}") from error
    try:
        stream = sounddevice.Stream(
            samplerate=SAMPLE_RATE_HZ, blocksize=FRAME_SAMPLES, channels=1, dtype="float32"
        )
    except sounddevice.PortAudioError as error:
        raise MissingExtraError(f"no microphone or no loudspeaker: {error}") from error
    with stream, suppress(KeyboardInterrupt):
        while True:
            heard, _ = stream.read(FRAME_SAMPLES)  # [1920, 1]
            reply = session.push(np.ascontiguousarray(heard[:, 0]))
            stream.write(np.ascontiguousarray(reply.audio[:, None]))
            if reply.text:
                show(reply.text)
