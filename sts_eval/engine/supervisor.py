"""The supervisor: hands scenarios to worker processes and outlives whatever the target does.

A target may raise (the worker reports it), hang (no sign of life for `deadline_s`: the worker is
killed), or take its process down (exit, crash). Each costs the scenario in flight, which becomes an
error trace, and a new worker goes on. `kill -9` of the supervisor loses at most the scenarios in
flight: every finished trace is on disk already.

Scenarios that are stepped together are handed out in lots. When the process ends during a batch,
nobody knows whose fault it was: the scenarios of the batch that had not ended are run again, each
by itself, and the others of the lot go on as before.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from sts_eval.engine.take import Begun, Done, Job
from sts_eval.engine.worker import WorkerConfig, worker_main

POLL_S = 0.25
START_GRACE_S = 60.0  # a spawned interpreter imports before its first sign of life
LOT_BATCHES = 4  # enough to find scenarios that go together; all of a lot are in memory

Lot = tuple[Job, ...]


@dataclass
class _Slot:
    """One worker process and the jobs it has not answered yet, by stem.

    begun: those of them that run at this moment, as far as the worker has said.
    """

    process: BaseProcess
    link: Connection
    beat: Any
    started: float
    jobs: dict[str, Job] = field(default_factory=dict)
    begun: tuple[str, ...] = ()
    used: bool = False


def run_jobs(
    config: WorkerConfig,
    jobs: Sequence[Job],
    *,
    workers: int,
    deadline_s: float,
    on_done: Callable[[Job, Done], None],
) -> None:
    """Run all jobs; `on_done` is called once for each, in the order they end.

    Jobs whose plan is `cold` get a fresh process. Failures are reported as `Done` with status
    "error" (the target) or "harness"; this function raises only on interruption.
    """
    pending = deque(_lots(jobs, config.batch, workers))
    slots: list[_Slot] = []
    try:
        while pending or any(slot.jobs for slot in slots):
            slots = [slot for slot in slots if slot.process.is_alive() or slot.jobs]
            _hand_out(config, pending, slots, workers)
            for slot in _ready(slots):
                loss = _receive(slot, on_done)
                if loss:
                    _bury(slot, loss, pending, on_done)
            for slot in [slot for slot in slots if slot.jobs and _hangs(slot, deadline_s)]:
                loss = f"target: no sign of life for {deadline_s:g} s (it hangs)"
                _bury(slot, loss, pending, on_done)
    finally:
        for slot in slots:
            _stop(slot)


def _lots(jobs: Sequence[Job], batch: int, workers: int) -> list[Lot]:
    """The jobs as they are handed out: by themselves, or several batches at once."""
    alone = [(job,) for job in jobs if batch == 1 or job.plan.cold]
    rest = [] if batch == 1 else [job for job in jobs if not job.plan.cold]
    size = max(batch, min(LOT_BATCHES * batch, -(-len(rest) // workers)))
    return [*alone, *(tuple(rest[k : k + size]) for k in range(0, len(rest), size))]


def _hand_out(config: WorkerConfig, pending: deque[Lot], slots: list[_Slot], workers: int) -> None:
    for slot in [slot for slot in slots if not slot.jobs]:
        if pending and pending[0][0].plan.cold and slot.used:
            _stop(slot)
            slots.remove(slot)
        elif pending:
            _give(slot, pending.popleft())
    while pending and len(slots) < workers:
        slot = _start(config)
        slots.append(slot)
        _give(slot, pending.popleft())


def _start(config: WorkerConfig) -> _Slot:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    started = time.monotonic()
    beat = context.Value("d", started, lock=False)
    process = context.Process(target=worker_main, args=(config, theirs, beat), daemon=False)
    process.start()
    theirs.close()
    return _Slot(process, ours, beat, started)


def _give(slot: _Slot, lot: Lot) -> None:
    if slot.used:
        slot.beat.value = time.monotonic()  # the time it was idle is not held against it
    slot.jobs, slot.used = {job.stem: job for job in lot}, True
    slot.begun = (lot[0].stem,) if len(lot) == 1 else ()
    try:
        slot.link.send(lot)
    except (BrokenPipeError, OSError):
        return  # the process has died: _receive reports it


def _ready(slots: list[_Slot]) -> list[_Slot]:
    busy = {slot.link: slot for slot in slots if slot.jobs}
    ready = wait(list(busy), timeout=POLL_S)
    return [slot for link, slot in busy.items() if link in ready]


def _receive(slot: _Slot, on_done: Callable[[Job, Done], None]) -> str:
    """Take one message of a worker; what its death says, if that is what there is to hear."""
    try:
        message: Done | Begun = slot.link.recv()
    except (EOFError, OSError):
        slot.process.join(timeout=5.0)
        code = slot.process.exitcode
        said = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return f"target: its process ended ({said})"
    if isinstance(message, Begun):
        slot.begun = message.stems
    else:
        on_done(slot.jobs.pop(message.stem), message)
    return ""


def _bury(
    slot: _Slot, loss: str, pending: deque[Lot], on_done: Callable[[Job, Done], None]
) -> None:
    """End a worker that is lost: its scenario has failed, those of a batch are to run alone."""
    jobs, begun = slot.jobs, slot.begun
    _kill(slot)
    if len(begun) == 1 and begun[0] in jobs:
        on_done(jobs.pop(begun[0]), Done(begun[0], "killed", loss))
        begun = ()
    elif not any(stem in jobs for stem in begun):
        begun = tuple(jobs)  # it was lost between batches: any of them may be why
    untouched = tuple(job for stem, job in jobs.items() if stem not in begun)
    if untouched:
        pending.appendleft(untouched)
    again = [replace(jobs[stem], retried=loss) for stem in begun if stem in jobs]
    pending.extendleft((job,) for job in reversed(again))


def _hangs(slot: _Slot, deadline_s: float) -> bool:
    """No sign of life for too long; a new process may import first."""
    last = slot.beat.value
    limit_s = deadline_s + (START_GRACE_S if last == slot.started else 0.0)
    return bool(time.monotonic() - last > limit_s)


def _kill(slot: _Slot) -> None:
    slot.jobs = {}
    slot.process.kill()
    slot.process.join()
    slot.link.close()


def _stop(slot: _Slot) -> None:
    """End a worker: politely when idle, by force when busy."""
    if not slot.jobs and slot.process.is_alive():
        try:
            slot.link.send(None)
            slot.process.join(timeout=5.0)
        except (BrokenPipeError, OSError):
            pass
    if slot.process.is_alive():
        slot.process.kill()
        slot.process.join()
    slot.link.close()
