"""What the commands of `sts-eval audit` that write a report have in common."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click

FOLDER: Final = click.Path(path_type=Path, file_okay=False)
RESUME = click.option(
    "--resume", type=FOLDER, help="Continue an audit that was cut off, in this folder."
)
MAX_SECONDS = click.option(
    "--max-seconds",
    type=click.FloatRange(1, 4 * 3600),
    default=3600.0,
    show_default=True,
    help="Longer recordings are not examined.",
)


def refuse_beside_resume(ctx: click.Context, source: Path | None, names: Iterable[str]) -> None:
    """Raises UsageError when anything but --workers was given along with --resume."""
    given = [name for name in names if name != "workers" and _was_given(ctx, name)]
    if source is not None or given:
        raise click.UsageError("--resume continues an audit as it was: give no other settings")


def _was_given(ctx: click.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def default_out(source: Path, otherwise: str, most: int, what: str = "") -> Path:
    """A new folder of reports/audit, named after the source (at most so many characters)."""
    from sts_eval.audit.case.inventory import shown_name

    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    name = shown_name(source.resolve().name).replace("\\", "") or otherwise
    return Path("reports") / "audit" / f"{name[:most]}{what}-{now}"
