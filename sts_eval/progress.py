"""Progress bars with the time left; silent when the output is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sts_eval.runner import Progress


class _Bar(Progress):
    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task: Any = None

    def begin(self, what: str, total: int) -> None:
        """Start a new line for a phase."""
        self._task = self._bar.add_task(what, total=total, note="")

    def step(self, note: str = "") -> None:
        """Advance the current phase."""
        self._bar.update(self._task, advance=1, note=note[:60])


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Progress]:
    """A rich progress display on stderr, or silence."""
    if quiet or not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description:<8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bar:
        yield _Bar(bar)
