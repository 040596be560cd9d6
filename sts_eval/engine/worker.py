"""The process that runs scenarios: builds the target once, drives one session per scenario.

A worker receives lots of jobs over a pipe, writes each trace to disk and answers with one line
about it (`sts_eval.engine.lot`). It is a process of its own so that a target which hangs, exits or
crashes costs one scenario, not the run (`sts_eval.engine.supervisor`). Its sign of life is `beat`:
a shared double holding the monotonic time of the last progress.
"""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sts_eval.clock import drive_lockstep, drive_paced, new_recording
from sts_eval.engine.lot import run_lot
from sts_eval.engine.take import Done, Job, Take
from sts_eval.options import require
from sts_eval.probes import KINDS, Kind, PlanContext, derive_seed
from sts_eval.scenario import Plan, Rendered, unrendered
from sts_eval.target import PacedSession, Target, TargetError
from sts_eval.trace import SCHEMA, TraceMeta
from sts_eval.units import SAMPLE_RATE_HZ


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker is started with (plain data: it crosses a process border).

    batch: at most so many conversations are stepped together.
    """

    target: str
    stimuli: str | None
    seed: int
    cluster: str
    folder: Path
    threads: int
    search_path: tuple[str, ...] = ()
    batch: int = 1


@dataclass
class Worker:
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
        return self.kinds[plan.kind].render(plan, self.context)

    def ready_target(self) -> Target:
        """The target, built on first use; the time it took goes to the first session."""
        if self.target is None:
            from sts_eval.targets import make_target

            started = time.perf_counter()
            self.target = make_target(self.config.target)
            self.build_ms = (time.perf_counter() - started) * 1000
        return self.target

    def prepare(self, job: Job) -> Take:
        """The scenario rendered and not yet driven; one that cannot be rendered has failed."""
        self.alive()
        unusable = ""
        asked: dict[str, Any] = {}
        try:
            rendered = self.render(job.plan)
            asked = rendered.asked()  # one that asks for nonsense has failed, not the target
        except Exception as error:  # a damaged stimulus: this scenario's failure, not the run's
            rendered = unrendered(job.plan)
            unusable = f"stimulus: {error}"
        meta = TraceMeta(
            schema=SCHEMA,
            scenario=rendered.as_json(),
            clock="lockstep",
            seed=derive_seed(self.config.seed, job.plan.id),
            seconds=rendered.user.size / SAMPLE_RATE_HZ,
            cold=self.sessions == 0,
            retried=job.retried,
        )
        if unusable:
            meta.status, meta.error = "error", unusable
        return Take(job, rendered, meta, new_recording(rendered.user), asked)

    def run(self, job: Job) -> Done:
        """Run one scenario and write its trace, whatever happens to the target."""
        return self.play(self.prepare(job))

    def play(self, take: Take) -> Done:
        """Drive a prepared scenario by itself and write its trace."""
        if take.meta.status == "ok" and take.rendered.driven:
            try:
                self._drive(take)
            except (Exception, SystemExit) as error:  # a target may even exit
                take.fail(error)
        return take.save(self.config.folder)

    def _drive(self, take: Take) -> None:
        rendered, meta, recording = take.rendered, take.meta, take.recording
        meta.cold = self.sessions == 0
        target = self.ready_target()
        meta.clock = target.clock
        require(target, take.asked)
        started = time.perf_counter()
        session = target.open(take.setup)
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


def limit_threads(environ: MutableMapping[str, str], threads: int) -> None:
    """Tell the numerical libraries how many threads to use; a user's OMP_NUM_THREADS holds for all.

    Torch listens to MKL before OpenMP: threads of which a user asked for one would wait for each
    other on a busy machine.
    """
    asked = environ.setdefault("OMP_NUM_THREADS", str(threads))
    for name in ("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environ.setdefault(name, asked)


def worker_main(config: WorkerConfig, link: Connection, beat: Any) -> None:
    """Entry point of the process: lots of jobs in, answers out, until None arrives."""
    import os
    import sys

    sys.path[:0] = [entry for entry in config.search_path if entry not in sys.path]
    limit_threads(os.environ, config.threads)
    worker = Worker(config, beat)
    while True:
        try:
            jobs: tuple[Job, ...] | None = link.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            break  # the supervisor is gone
        if jobs is None:
            break
        try:
            run_lot(worker, jobs, link.send)
        except (KeyboardInterrupt, BrokenPipeError):
            break
    if worker.target is not None:
        worker.target.shutdown()
