"""The supervisor: hands scenarios to worker processes and outlives whatever the target does.

A target may raise (the worker reports it), hang (no sign of life for `deadline_s`: the worker is
killed), or take its process down (exit, crash). Each costs the scenario in flight, which becomes an
error trace, and a new worker goes on. `kill -9` of the supervisor loses at most the scenarios in
flight: every finished trace is on disk already.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from sts_eval.engine.worker import Done, Job, WorkerConfig, worker_main

POLL_S = 0.25
START_GRACE_S = 60.0  # a spawned interpreter imports before its first sign of life


@dataclass
class _Slot:
    """One worker process and the job it is on."""

    process: BaseProcess
    link: Connection
    beat: Any
    started: float
    job: Job | None = None
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
    pending = deque(jobs)
    slots: list[_Slot] = []
    try:
        while pending or any(slot.job for slot in slots):
            slots = [slot for slot in slots if slot.process.is_alive() or slot.job]
            _hand_out(config, pending, slots, workers)
            for slot in _ready(slots):
                job = slot.job
                assert job is not None
                done = _collect(slot)
                if done is not None:
                    on_done(job, done)
            for slot in [slot for slot in slots if slot.job and _hangs(slot, deadline_s)]:
                job = slot.job
                assert job is not None
                _kill(slot)
                message = f"target: no sign of life for {deadline_s:g} s (it hangs)"
                on_done(job, Done(job.stem, "killed", message))
    finally:
        for slot in slots:
            _stop(slot)


def _hand_out(config: WorkerConfig, pending: deque[Job], slots: list[_Slot], workers: int) -> None:
    for slot in [slot for slot in slots if slot.job is None]:
        if pending and pending[0].plan.cold and slot.used:
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


def _give(slot: _Slot, job: Job) -> None:
    if slot.used:
        slot.beat.value = time.monotonic()  # the time it was idle is not held against it
    slot.job, slot.used = job, True
    try:
        slot.link.send(job)
    except (BrokenPipeError, OSError):
        return  # the process has died: _collect reports it


def _ready(slots: list[_Slot]) -> list[_Slot]:
    busy = {slot.link: slot for slot in slots if slot.job}
    ready = wait(list(busy), timeout=POLL_S)
    return [slot for link, slot in busy.items() if link in ready]


def _collect(slot: _Slot) -> Done | None:
    """The answer of a worker, or what its death says."""
    job = slot.job
    assert job is not None
    try:
        done: Done = slot.link.recv()
    except (EOFError, OSError):
        slot.process.join(timeout=5.0)
        code = slot.process.exitcode
        _kill(slot)
        said = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return Done(job.stem, "killed", f"target: its process ended ({said})")
    slot.job = None
    return done


def _hangs(slot: _Slot, deadline_s: float) -> bool:
    """No sign of life for too long; a new process may import first."""
    last = slot.beat.value
    limit_s = deadline_s + (START_GRACE_S if last == slot.started else 0.0)
    return bool(time.monotonic() - last > limit_s)


def _kill(slot: _Slot) -> None:
    slot.job = None
    slot.process.kill()
    slot.process.join()
    slot.link.close()


def _stop(slot: _Slot) -> None:
    """End a worker: politely when idle, by force when busy."""
    if slot.job is None and slot.process.is_alive():
        try:
            slot.link.send(None)
            slot.process.join(timeout=5.0)
        except (BrokenPipeError, OSError):
            pass
    if slot.process.is_alive():
        slot.process.kill()
        slot.process.join()
    slot.link.close()
