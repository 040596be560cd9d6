"""A user who reacts: events whose times depend on what the agent does.

A `ReactiveUser` hears each agent frame after it has been played and places its events on the user's
track, one after the other: each `at_s` after the agent's first audible 10 ms block (at or above -50
dBFS) that begins at or after `from_s`, for later events at or after the end of the one before; to
the sample, though never before the next frame: a user cannot speak in the past. Without
`after_agent` an event lies `at_s` after the start of the track. With `when_done` it waits for the
agent's answer to end: `at_s` after its last audible block, once it has been silent for so long.
Deterministic: the same agent track gives the same user track.

What it did stands in the trace as harness events, so that scoring reads true times:

- `user_event`: data {event, text, start_s, end_s};
- `user_event_missed`: data {event, reason}: the agent began too late for the event to fit.

An agent that never speaks leaves neither: the event has not happened. After a missed event no
further one comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sts_eval.metrics.signal import AUDIBLE_DBFS, BLOCK_SAMPLES, block_dbfs
from sts_eval.target import Samples
from sts_eval.trace import TraceEvent
from sts_eval.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, seconds_to_samples

EVENT = "user_event"
MISSED = "user_event_missed"


@dataclass(frozen=True)
class Cue:
    """What the user does once: `audio` float32 [N], `at_s` after its anchor (see the module)."""

    event: str
    audio: Samples
    at_s: float
    text: str = ""
    after_agent: bool = True
    when_done: bool = False


class ReactiveUser:
    """The user side of one scenario. Holds where it is; make a new one for each run."""

    def __init__(
        self, track: Samples, cues: Sequence[Cue], *, from_s: float, room_s: float
    ) -> None:
        """track: float32 [S], written into. room_s: silence the track must have behind each
        event."""
        self._track, self._cues = track, list(cues)
        self._from = seconds_to_samples(from_s)
        self._room = seconds_to_samples(room_s)
        self._last_sound: int | None = None  # sample after the agent's last audible block

    def hear(self, tick: int, frame: Samples) -> Sequence[TraceEvent]:
        """Hear the agent's frame float32 [1920] of a tick; the event it brought about, if any."""
        if not self._cues:
            return ()
        cue = self._cues[0]
        if cue.when_done:
            anchor = self._agent_end(tick, frame, seconds_to_samples(cue.at_s))
        else:
            anchor = self._agent_onset(tick, frame) if cue.after_agent else 0
        if anchor is None:
            return ()
        next_frame = (tick + 1) * FRAME_SAMPLES
        return (self._say(cue, max(anchor + seconds_to_samples(cue.at_s), next_frame)),)

    def _agent_onset(self, tick: int, frame: Samples) -> int | None:
        """First sample of the agent's first audible block that counts, or None."""
        starts = tick * FRAME_SAMPLES + np.arange(0, FRAME_SAMPLES, BLOCK_SAMPLES)
        loud = starts[(block_dbfs(frame) >= AUDIBLE_DBFS) & (starts >= self._from)]
        return int(loud[0]) if loud.size else None

    def _agent_end(self, tick: int, frame: Samples, wait: int) -> int | None:
        """Sample after the agent's last sound, once it has been silent for `wait` samples since."""
        starts = tick * FRAME_SAMPLES + np.arange(0, FRAME_SAMPLES, BLOCK_SAMPLES)
        loud = starts[(block_dbfs(frame) >= AUDIBLE_DBFS) & (starts >= self._from)]
        if loud.size:
            self._last_sound = int(loud[-1]) + BLOCK_SAMPLES
        now = (tick + 1) * FRAME_SAMPLES
        if self._last_sound is None or now - self._last_sound < wait:
            return None
        return self._last_sound

    def _say(self, cue: Cue, start: int) -> TraceEvent:
        end = start + cue.audio.size
        if end + self._room > self._track.size:
            self._cues.clear()
            reason = "the agent began to speak too late for the event"
            return _event(start, MISSED, {"event": cue.event, "reason": reason})
        self._cues.pop(0)
        self._from, self._last_sound = end, None
        self._track[start:end] = np.clip(self._track[start:end] + cue.audio, -1.0, 1.0)
        times = {"start_s": start / SAMPLE_RATE_HZ, "end_s": end / SAMPLE_RATE_HZ}
        return _event(start, EVENT, {"event": cue.event, "text": cue.text, **times})


def _event(start: int, name: str, data: dict[str, str | float]) -> TraceEvent:
    return TraceEvent(t_s=start / SAMPLE_RATE_HZ, name=name, source="harness", data=data)
