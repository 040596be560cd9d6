"""The clocks that drive a session and lay its audio on the agent track.

**Lockstep** (`drive_lockstep`): tick k plays one frame from the queue, then pushes user frame k;
what the push returns is queued, so it sounds from tick k+1 on. Deterministic for a deterministic
target: no wall time enters the track. The wall time of each push is kept beside it.

**Batch** (`drive_batch`): lockstep for n conversations that are pushed in one call. Each has its
own queue, tracks and reactive user, so its track is the one that `drive_lockstep` makes; they end
at different times. The time of a push belongs to all of them, so it is kept for none.

**Paced** (`drive_paced`): one frame per 80 ms of real time; audio lies where it arrived: a chunk
that arrives at `a` starts at max(a, end of the audio before it), to the sample (a virtual playout
buffer, as a client of a remote server needs one).

The user's track is an array that may still be written to while it is played: a reactive user
(`hear`) is told each agent frame as it has been played and may put its own speech into the track
from the next frame on. A track without one costs nothing more.

All refuse what a broken target may return: other types, NaN, more than `MAX_AHEAD_S` of queued
audio. Recording goes into a `Recording` that a supervisor may read at any time, so that a target
which fails in mid-scenario leaves what was recorded until then.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from sts_eval.metrics.signal import first_audible_s
from sts_eval.target import (
    BatchSession,
    Emission,
    PacedSession,
    Samples,
    Session,
    TargetError,
)
from sts_eval.trace import TraceEvent, silence
from sts_eval.units import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_for, seconds_to_samples

MAX_AHEAD_S = 120.0  # more queued speech than this is a runaway, not an answer
CLIP = 1.0

Hear = Callable[[int, Samples], Sequence[TraceEvent]]
"""A reactive user: (tick, agent frame float32 [1920] of that tick) -> what it did about it."""


@dataclass
class Recording:
    """What has been recorded so far; the track is float32 [S], S = the user's length."""

    agent: Samples
    events: list[TraceEvent] = field(default_factory=list)
    push_wall_ms: list[float] = field(default_factory=list)
    frame_push: list[int] = field(default_factory=list)
    clipped_samples: int = 0


def _checked_audio(emission: Emission, recording: Recording) -> Samples:
    """The emission's audio as float32 [N] within [-1, 1]. Raises TargetError on garbage."""
    if not isinstance(emission, Emission):
        raise TargetError(f"the session returned {type(emission).__name__}, not an Emission")
    audio = emission.audio
    if audio.__class__ is not np.ndarray or audio.ndim != 1 or audio.dtype != np.float32:
        try:
            audio = np.asarray(emission.audio, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise TargetError(f"audio is not an array of numbers: {error}") from error
        if audio.ndim != 1:
            raise TargetError(f"audio has shape {audio.shape}, expected one dimension")
    if audio.size == 0:
        return audio
    low, high = float(audio.min()), float(audio.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise TargetError("audio holds NaN or infinite samples")
    if low < -CLIP or high > CLIP:
        recording.clipped_samples += int(np.count_nonzero(np.abs(audio) > CLIP))
        audio = np.clip(audio, -CLIP, CLIP)
    return audio


def _note(recording: Recording, emission: Emission, t_s: float) -> None:
    """Keep the emission's text and events at time t_s."""
    if emission.text:
        recording.events.append(TraceEvent(t_s=t_s, name="text", data={"text": emission.text}))
    for event in emission.events:
        recording.events.append(TraceEvent(t_s=t_s, name=event.name, data=dict(event.data)))


class _Playout:
    """The queue between a lockstep target and its track: frames out, chunks in."""

    def __init__(self) -> None:
        self._chunks: deque[tuple[Samples, int]] = deque()
        self._offset = 0  # samples of the first chunk already played
        self.queued_samples = 0

    def put(self, audio: Samples, push: int) -> None:
        if audio.size:
            self._chunks.append((audio, push))
            self.queued_samples += audio.size

    def flush(self) -> None:
        self._chunks.clear()
        self._offset = self.queued_samples = 0

    def rest(self) -> Samples:
        """All that is still queued, float32 [N]."""
        waiting = np.concatenate([silence(0), *(audio for audio, _ in self._chunks)])
        return waiting[self._offset :]

    def pop_into(self, out: Samples) -> int:
        """Fill out [1920] from the queue (rest stays zero); the push it came from, or -1."""
        filled, push = 0, -1
        while self._chunks and filled < FRAME_SAMPLES:
            audio, source = self._chunks[0]
            part = audio[self._offset : self._offset + FRAME_SAMPLES - filled]
            out[filled : filled + part.size] = part
            push = source  # the latest contributor decides when the frame is complete
            filled += part.size
            self._offset += part.size
            if self._offset == audio.size:
                self._chunks.popleft()
                self._offset = 0
        self.queued_samples -= filled
        return push


@dataclass
class Lane:
    """One conversation on the audio clock: its tracks, its queue and its reactive user.

    user: float32 [S], S a whole number of frames. recording: filled tick by tick. hear: the
    reactive user, told of tick k after push k.
    """

    user: Samples
    recording: Recording
    hear: Hear | None = None
    tick: int = 0

    def __post_init__(self) -> None:
        self._playout = _Playout()
        self._user = self.user.reshape(-1, FRAME_SAMPLES)
        self._agent = self.recording.agent.reshape(-1, FRAME_SAMPLES)

    @property
    def over(self) -> bool:
        """Whether the user's track has been played to its end."""
        return self.tick == len(self._user)

    def play(self) -> Samples:
        """Play the agent's frame of this tick; returns the user's, float32 [1920]."""
        queued = self._playout.queued_samples
        source = self._playout.pop_into(self._agent[self.tick]) if queued else -1
        self.recording.frame_push.append(source)
        return self._user[self.tick]

    def take(self, emission: Emission) -> None:
        """Queue what the push of this tick returned; ends the tick. Raises TargetError on
        garbage."""
        k, playout, recording = self.tick, self._playout, self.recording
        audio = _checked_audio(emission, recording)
        if emission.text or emission.events:
            _note(recording, emission, (k + 1) * FRAME_S)
        if emission.flush:
            playout.flush()
        playout.put(audio, k)
        if playout.queued_samples > seconds_to_samples(MAX_AHEAD_S):
            raise TargetError(f"more than {MAX_AHEAD_S:.0f} s of audio waits to be played")
        if self.hear is not None:
            recording.events.extend(self.hear(k, self._agent[k]))
        self.tick += 1

    def end(self, last: Emission) -> None:
        """Keep what closing the session returned, and note what was never heard.

        A target that gives every frame back has always one of silence left.
        """
        end_s = len(self._user) * FRAME_S
        _note(self.recording, last, end_s)
        if first_audible_s(self._playout.rest(), 0.0) is not None:
            left_s = round(self._playout.queued_samples / SAMPLE_RATE_HZ, 3)
            self.recording.events.append(
                TraceEvent(
                    t_s=end_s, name="cut_by_end", source="harness", data={"queued_s": left_s}
                )
            )


def drive_lockstep(
    session: Session,
    user: Samples,
    recording: Recording,
    on_push: Callable[[], None],
    hear: Hear | None = None,
) -> None:
    """Drive a session through a user track (`Lane`).

    on_push: called after every push (the supervisor's sign of life). Raises what the session
    raises, TargetError on garbage.
    """
    lane = Lane(user, recording, hear)
    clock, walls = time.perf_counter, recording.push_wall_ms
    while not lane.over:
        frame = lane.play()
        started = clock()
        emission = session.push(frame)
        walls.append((clock() - started) * 1000.0)
        lane.take(emission)
        on_push()
    lane.end(session.close())


def drive_batch(
    session: BatchSession,
    lanes: Sequence[Lane],
    on_push: Callable[[], None],
    on_end: Callable[[int, Exception | None], None],
) -> None:
    """Drive n conversations that are stepped together, each through its own user track.

    on_end: called once for each row when it has ended, with what it failed of: garbage in its
    emission ends a row, not the batch. Rows that have ended hear silence, and what they answer is
    dropped. Raises what the session raises from a push; the rows that go on then have no end.
    """
    live = dict(enumerate(lanes))
    while live:
        frames = np.zeros((len(lanes), FRAME_SAMPLES), np.float32)  # the session may keep them
        for row, lane in live.items():
            frames[row] = lane.play()
        emissions = session.push(frames)
        if len(emissions) != len(lanes):
            raise TargetError(f"{len(emissions)} emissions for a batch of {len(lanes)}")
        for row, lane in list(live.items()):
            error = _step_row(session, row, lane, emissions[row])
            if error is not None or lane.over:
                del live[row]
                on_end(row, error)
        on_push()


def _step_row(session: BatchSession, row: int, lane: Lane, emission: Emission) -> Exception | None:
    """One tick of a row, and its end if it was the last; what it failed of, if it did."""
    try:
        lane.take(emission)
        if lane.over:
            lane.end(session.close(row))
    except Exception as error:  # whatever it is, it is this row's alone
        return error
    return None


class _ArrivalTrack:
    """Lays chunks on a track at their arrival times, each after the one before it."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._end = 0  # sample after the last one laid
        self._limit = seconds_to_samples(MAX_AHEAD_S)

    def lay(self, emission: Emission, fallback_s: float) -> None:
        arrived_s = fallback_s if emission.arrived_s is None else emission.arrived_s
        arrived = seconds_to_samples(arrived_s)
        track = self._recording.agent
        _note(self._recording, emission, arrived_s)
        if emission.flush and self._end > arrived:
            track[max(arrived, 0) : self._end] = 0.0
            self._end = arrived
        audio = _checked_audio(emission, self._recording)
        if audio.size == 0:
            return
        start = max(arrived, self._end)
        if start + audio.size - arrived > self._limit:
            raise TargetError(f"more than {MAX_AHEAD_S:.0f} s of audio waits to be played")
        kept = track[start : start + audio.size]
        kept[:] = audio[: kept.size]
        self._end = start + audio.size


def drive_paced(
    session: PacedSession,
    user: Samples,
    recording: Recording,
    on_push: Callable[[], None],
    hear: Hear | None = None,
) -> None:
    """Drive a session that runs on its own clock, one frame per 80 ms of real time.

    Arrival times count from the first push. Frame k is sent when it would be complete, at
    (k+1) x 80 ms. hear: the reactive user, told of tick k as far as its audio has arrived when
    the tick is over. Raises what the session raises, TargetError on garbage.
    """
    frames = user.reshape(-1, FRAME_SAMPLES)
    agent = recording.agent.reshape(-1, FRAME_SAMPLES)
    track = _ArrivalTrack(recording)
    origin = time.monotonic()
    for k, frame in enumerate(frames):
        _sleep_until(origin + (k + 1) * FRAME_S)
        started = time.perf_counter()
        emission = session.push(frame)
        recording.push_wall_ms.append((time.perf_counter() - started) * 1000.0)
        now_s = time.monotonic() - origin
        for arrived in (emission, *session.poll()):
            track.lay(arrived, now_s)
        if hear is not None:
            recording.events.extend(hear(k, agent[k]))
        on_push()
    track.lay(session.close(), time.monotonic() - origin)


def _sleep_until(moment: float) -> None:
    delay = moment - time.monotonic()
    if delay > 0:
        time.sleep(delay)


def new_recording(user: Samples) -> Recording:
    """An empty recording for a user track of S samples (a whole number of frames)."""
    if user.size != frames_for(user.size) * FRAME_SAMPLES:
        raise ValueError("the user track is not a whole number of frames")
    return Recording(agent=silence(user.size))
