"""A scenario on its way from a plan to a trace on disk, and what is said about it on the way."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sts_eval.clock import Recording
from sts_eval.scenario import Plan, Rendered
from sts_eval.target import SessionSetup, TargetError, UnsupportedOptionError
from sts_eval.trace import Trace, TraceMeta, save_trace


@dataclass(frozen=True)
class Job:
    """One scenario to run; stem is the trace's file name without suffix.

    retried: what the batch failed of in which it ran before.
    """

    plan: Plan
    stem: str
    retried: str = ""


@dataclass(frozen=True)
class Done:
    """A worker's answer to a job."""

    stem: str
    status: str
    error: str = ""


@dataclass(frozen=True)
class Begun:
    """A worker's word that these scenarios are being stepped together from now on."""

    stems: tuple[str, ...]


@dataclass
class Take:
    """One rendered scenario with what has been recorded of it. asked: its options, checked."""

    job: Job
    rendered: Rendered
    meta: TraceMeta
    recording: Recording
    asked: dict[str, Any] = field(default_factory=dict)

    @property
    def setup(self) -> SessionSetup:
        """What its session is opened with."""
        scenario_id = self.rendered.scenario.id
        return SessionSetup(self.meta.seed, scenario_id, self.meta.scenario, self.asked)

    def fail(self, error: BaseException) -> None:
        """Let the trace say what was raised while it was recorded."""
        skipped = isinstance(error, UnsupportedOptionError)
        self.meta.status = "skipped" if skipped else "error"
        self.meta.error = str(error) if skipped else failure_of(error)

    def save(self, folder: Path) -> Done:
        """Write the trace as far as it was recorded."""
        meta, recording = self.meta, self.recording
        meta.events = recording.events
        meta.push_wall_ms = [round(ms, 4) for ms in recording.push_wall_ms]
        meta.frame_push = recording.frame_push
        if recording.clipped_samples:
            meta.scenario["clipped_samples"] = recording.clipped_samples
        trace = Trace(meta=meta, user=self.rendered.user, agent=recording.agent)
        save_trace(trace, folder, self.job.stem)
        return Done(self.job.stem, meta.status, meta.error)


def failure_of(error: BaseException) -> str:
    """One line about an exception: whatever a target raises is its failure, not the harness's."""
    if isinstance(error, TargetError):
        return f"target: {error}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    return f"target raised {type(error).__name__}: {error} ({where})"
