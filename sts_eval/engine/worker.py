"""The process that runs scenarios: builds the target once, drives one session per scenario.

A worker receives jobs over a pipe, writes each trace to disk and answers with one line about it. It
is a process of its own so that a target which hangs, exits or crashes costs one scenario, not the
run (`sts_eval.engine.supervisor`). Its sign of life is `beat`: a shared double holding the
monotonic time of the last progress.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sts_eval.clock import Recording, drive_lockstep, drive_paced, new_recording
from sts_eval.options import require
from sts_eval.probes import KINDS, Kind, PlanContext, derive_seed
from sts_eval.scenario import Plan, Rendered, unrendered
from sts_eval.target import (
    PacedSession,
    SessionSetup,
    Target,
    TargetError,
    UnsupportedOptionError,
)
from sts_eval.trace import SCHEMA, Trace, TraceMeta, save_trace
from sts_eval.units import SAMPLE_RATE_HZ


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker is started with (plain data: it crosses a process border)."""

    target: str
    stimuli: str | None
    seed: int
    cluster: str
    folder: Path
    threads: int
    search_path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One scenario to run; stem is the trace's file name without suffix."""

    plan: Plan
    stem: str


@dataclass(frozen=True)
class Done:
    """A worker's answer to a job."""

    stem: str
    status: str
    error: str = ""


@dataclass
class _Worker:
    """A worker's state: the target is built with the first job, so that it can be a cold start."""

    config: WorkerConfig
    beat: Any
    context: PlanContext | None = None
    kinds: dict[str, Kind] = field(default_factory=dict)
    target: Target | None = None
    build_ms: float = 0.0
    sessions: int = 0

    def alive(self) -> None:
        """Tell the supervisor that there is progress."""
        self.beat.value = time.monotonic()

    def render(self, plan: Plan) -> Rendered:
        """The scenario and its user track."""
        if self.context is None:
            from sts_eval.stimuli import Stimuli

            folder = None if self.config.stimuli is None else Path(self.config.stimuli)
            self.context = PlanContext(Stimuli.load(folder), self.config.seed, self.config.cluster)
        if plan.kind not in self.kinds:
            self.kinds[plan.kind] = KINDS[plan.kind]()
        rendered = self.kinds[plan.kind].render(plan, self.context)
        rendered.asked()  # a scenario that asks for nonsense has failed, not the target
        return rendered

    def ready_target(self) -> Target:
        """The target, built on first use; the time it took goes to the first session."""
        if self.target is None:
            from sts_eval.targets import make_target

            started = time.perf_counter()
            self.target = make_target(self.config.target)
            self.build_ms = (time.perf_counter() - started) * 1000
        return self.target

    def run(self, job: Job) -> Done:
        """Run one scenario and write its trace, whatever happens to the target."""
        self.alive()
        unusable = ""
        try:
            rendered = self.render(job.plan)
        except Exception as error:  # a damaged stimulus: this scenario's failure, not the run's
            rendered = unrendered(job.plan)
            unusable = f"stimulus: {error}"
        seed = derive_seed(self.config.seed, job.plan.id)
        meta = TraceMeta(
            schema=SCHEMA,
            scenario=rendered.as_json(),
            clock="lockstep",
            seed=seed,
            seconds=rendered.user.size / SAMPLE_RATE_HZ,
            cold=self.sessions == 0,
        )
        recording = new_recording(rendered.user)
        try:
            if unusable:
                meta.status, meta.error = "error", unusable
            else:
                self._drive(rendered, meta, recording)
        except UnsupportedOptionError as error:
            meta.status, meta.error = "skipped", str(error)
        except TargetError as error:
            meta.status, meta.error = "error", f"target: {error}"
        except Exception as error:  # whatever a target raises is its failure, not the harness's
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            meta.status = "error"
            meta.error = f"target raised {type(error).__name__}: {error} ({where})"
        meta.events = recording.events
        meta.push_wall_ms = [round(ms, 4) for ms in recording.push_wall_ms]
        meta.frame_push = recording.frame_push
        if recording.clipped_samples:
            meta.scenario["clipped_samples"] = recording.clipped_samples
        trace = Trace(meta=meta, user=rendered.user, agent=recording.agent)
        save_trace(trace, self.config.folder, job.stem)
        return Done(job.stem, meta.status, meta.error)

    def _drive(self, rendered: Rendered, meta: TraceMeta, recording: Recording) -> None:
        target = self.ready_target()
        meta.clock = target.clock
        asked = rendered.asked()
        require(target, asked)
        setup = SessionSetup(meta.seed, rendered.scenario.id, meta.scenario, asked)
        started = time.perf_counter()
        session = target.open(setup)
        self.sessions += 1
        opened_ms = (time.perf_counter() - started) * 1000
        meta.open_wall_ms = round(opened_ms + (self.build_ms if meta.cold else 0.0), 3)
        self.alive()
        try:
            if target.clock == "paced":
                if not isinstance(session, PacedSession):
                    raise TargetError("a paced target must offer poll()")
                drive_paced(session, rendered.user, recording, self.alive, rendered.hear)
            else:
                drive_lockstep(session, rendered.user, recording, self.alive, rendered.hear)
        except BaseException:
            _close_quietly(session)
            raise


def _close_quietly(session: Any) -> None:
    try:
        session.close()
    except Exception:
        return  # it has failed already; the first failure is the one to report


def worker_main(config: WorkerConfig, link: Connection, beat: Any) -> None:
    """Entry point of the process: jobs in, answers out, until None arrives."""
    import os
    import sys

    sys.path[:0] = [entry for entry in config.search_path if entry not in sys.path]
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, str(config.threads))
    worker = _Worker(config, beat)
    while True:
        try:
            job = link.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            break  # the supervisor is gone
        if job is None:
            break
        try:
            link.send(worker.run(job))
        except (KeyboardInterrupt, BrokenPipeError):
            break
        except BaseException as error:  # the harness itself failed on this scenario
            link.send(Done(job.stem, "harness", f"{type(error).__name__}: {error}"))
    if worker.target is not None:
        worker.target.shutdown()
