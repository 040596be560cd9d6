"""Work on all cores that outlives what a file may do to a process.

Each worker is a process of its own, started afresh, that holds the models and is handed one item at
a time. A worker that dies (a decoder that crashes on hostile bytes, no memory) or makes no progress
for `deadline_s` costs its item, which is reported as failed, and is replaced. When the parent is
killed, the workers see their pipe close and end.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from sts_eval.audit import AuditError

Item = TypeVar("Item")
Result = TypeVar("Result")
POLL_S = 0.5
START_S = 600.0  # imports and models, on a machine that has other things to do
MOST_STARTS = 3


class PoolError(AuditError):
    """The workers cannot even start; the message is what the first one said."""


@dataclass
class _Slot(Generic[Item]):
    process: BaseProcess
    link: Connection
    since: float
    ready: bool = False
    item: Item | None = None


def run_pool(
    start: Callable[[Any], Callable[[Item], Result]],
    config: Any,
    items: Sequence[Item],
    *,
    workers: int | None,
    deadline_s: float,
    on_done: Callable[[Item, Result | str], None],
) -> None:
    """Do every item; `on_done` gets the result, or in words why there is none.

    start: a module-level function that loads what is needed and returns the function that does one
    item. Raises PoolError when it raises. workers: None for one on each core; 0 works in this very
    process, unprotected.
    """
    workers = (os.cpu_count() or 1) if workers is None else workers
    if workers == 0:
        do = start(config)
        for each in items:
            on_done(each, _try(do, each))
        return
    pending = deque(items)
    slots: list[_Slot[Item]] = []
    deaths = 0
    try:
        while pending or any(slot.item is not None for slot in slots):
            while len(slots) < min(workers, len(pending) + sum(s.item is not None for s in slots)):
                slots.append(_start(start, config))
            for slot in slots:
                if slot.ready and slot.item is None and pending:
                    _give(slot, pending.popleft())
            ready = wait([slot.link for slot in slots], timeout=POLL_S)
            for slot in list(slots):
                item, problem = slot.item, ""
                if slot.link in ready:
                    try:
                        kind, value = slot.link.recv()
                    except (EOFError, OSError):
                        slot.process.join(timeout=60)
                        problem = f"the worker ended (exit code {slot.process.exitcode})"
                    else:
                        if kind == "unusable":
                            raise PoolError(value)
                        slot.ready, slot.item = True, None
                        if kind == "done" and item is not None:
                            on_done(item, value)
                elif _late(slot, deadline_s):
                    problem = f"no answer for {_limit_s(slot, deadline_s):g} s"
                if problem:
                    slots.remove(slot)
                    _kill(slot)
                    if item is not None:
                        on_done(item, problem)
                    else:
                        deaths += 1
                        if deaths >= MOST_STARTS:
                            raise PoolError(f"the workers do not start: {problem}")
    finally:
        for slot in slots:
            _kill(slot)


def _start(start: Callable[[Any], Callable[[Any], Any]], config: Any) -> _Slot[Any]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, start, config), daemon=True)
    process.start()
    theirs.close()
    return _Slot(process, ours, time.monotonic())


def _late(slot: _Slot[Any], deadline_s: float) -> bool:
    idle = slot.ready and slot.item is None
    return not idle and time.monotonic() - slot.since > _limit_s(slot, deadline_s)


def _limit_s(slot: _Slot[Any], deadline_s: float) -> float:
    return deadline_s if slot.ready else START_S


def _give(slot: _Slot[Any], item: Any) -> None:
    slot.item, slot.since = item, time.monotonic()
    try:
        slot.link.send(item)
    except OSError:
        return  # the process has died: its closed pipe is seen next


def _kill(slot: _Slot[Any]) -> None:
    slot.link.close()
    slot.process.kill()
    slot.process.join()


def _work(link: Connection, start: Callable[[Any], Callable[[Any], Any]], config: Any) -> None:
    try:
        do = start(config)
    except Exception as error:
        link.send(("unusable", f"{type(error).__name__}: {error}"))
        return
    try:
        link.send(("ready", None))
        while True:
            link.send(("done", _try(do, link.recv())))
    except (EOFError, OSError):
        return  # the parent has gone


def _try(do: Callable[[Any], Any], item: Any) -> Any:
    try:
        return do(item)
    except Exception as error:  # whatever an item does is its own failure
        return f"{type(error).__name__}: {error}"
