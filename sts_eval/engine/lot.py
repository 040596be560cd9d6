"""What a worker does with the jobs it is handed: one by itself, several stepped together.

A lot of several jobs is rendered first and sorted into batches: scenarios that ask the target for
the same options (`sts_eval.target.BatchTarget`), those of about one length together, so that few
rows are idle. What fails of one row costs that row. What fails of a batch is nobody's in
particular: the rows that had not ended are run again, each by itself, and their traces say why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from sts_eval.clock import Lane, drive_batch
from sts_eval.engine.take import Begun, Done, Job, Take, failure_of
from sts_eval.options import AGENT_PREFIX, VOICE, require
from sts_eval.target import BatchTarget
from sts_eval.units import frames_for

if TYPE_CHECKING:
    from sts_eval.engine.worker import Worker

Tell = Callable[[Done | Begun], None]


def run_lot(worker: Worker, jobs: Sequence[Job], tell: Tell) -> None:
    """Run all jobs of a lot; `tell` gets one `Done` for each, as they end."""
    if len(jobs) == 1:
        _alone(worker, jobs[0], tell)
        return
    takes = []
    for job in jobs:
        take = _prepared(worker, job, tell)
        if take is not None:
            takes.append(take)
    for batch in batches(takes, worker.config.batch):
        _run_batch(worker, batch, tell)


def batches(takes: Sequence[Take], limit: int) -> Iterator[list[Take]]:
    """Takes that one batch may hold, at most `limit` together, all batches about as full."""
    groups: dict[str, list[Take]] = {}
    for take in takes:
        groups.setdefault(_alike(take.asked), []).append(take)
    for group in groups.values():
        group.sort(key=lambda take: take.rendered.user.size)
        count = -(-len(group) // limit)
        for k in range(count):
            yield group[k * len(group) // count : (k + 1) * len(group) // count]


def _alike(options: dict[str, Any]) -> str:
    """Equal for the options of scenarios that one batch may hold."""
    prefix = options.get(AGENT_PREFIX)
    frames = 0 if prefix is None else frames_for(prefix.size)
    rest = {name: value for name, value in options.items() if name not in (VOICE, AGENT_PREFIX)}
    return json.dumps([frames, rest], sort_keys=True)


def _prepared(worker: Worker, job: Job, tell: Tell) -> Take | None:
    """The rendered scenario, or None when it has ended already: damaged, asking too much, or
    nothing of the target."""
    try:
        take = worker.prepare(job)
        take.meta.cold = False  # unless it turns out to be driven by itself
        driven = take.rendered.driven
        if driven and take.meta.status == "ok":
            try:
                require(worker.ready_target(), take.asked)
            except Exception as error:
                take.fail(error)
        if driven and take.meta.status == "ok":
            return take
        tell(take.save(worker.config.folder))
    except Exception as error:
        tell(_harness_failure(job, error))
    return None


def _run_batch(worker: Worker, takes: Sequence[Take], tell: Tell) -> None:
    tell(Begun(tuple(take.job.stem for take in takes)))
    if len(takes) == 1:
        _finish(takes[0].job, lambda: worker.play(takes[0]), tell)
        return
    going_on = dict(enumerate(takes))

    def on_end(row: int, error: Exception | None) -> None:
        take = going_on[row]
        if error is not None:
            take.fail(error)
        tell(take.save(worker.config.folder))
        del going_on[row]

    try:
        lanes = [Lane(take.rendered.user, take.recording, take.rendered.hear) for take in takes]
        for take in takes:
            take.meta.batch = len(takes)
        worker.sessions += len(takes)  # what is run again is no cold start
        target = cast(BatchTarget, worker.ready_target())
        session = target.open_batch([take.setup for take in takes])
        worker.alive()
        drive_batch(session, lanes, worker.alive, on_end)
    except (Exception, SystemExit) as error:
        reason = failure_of(error)
        for take in list(going_on.values()):
            tell(Begun((take.job.stem,)))
            _alone(worker, replace(take.job, retried=reason), tell)


def _alone(worker: Worker, job: Job, tell: Tell) -> None:
    _finish(job, lambda: worker.run(job), tell)


def _finish(job: Job, run: Callable[[], Done], tell: Tell) -> None:
    try:
        done = run()
    except Exception as error:  # the harness itself failed on this scenario
        done = _harness_failure(job, error)
    tell(done)


def _harness_failure(job: Job, error: BaseException) -> Done:
    return Done(job.stem, "harness", f"{type(error).__name__}: {error}")
