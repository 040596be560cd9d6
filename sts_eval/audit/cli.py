"""`sts-eval audit`: what an auditor calls. Imports nothing heavy until a command needs it.

A group of subcommands. Input that cannot be used ends with one line that names the file and the
line, and exit code 2.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sts_eval.audit.score_metrics import Measure

USAGE = 2


class AuditGroup(click.Group):
    """Turns unusable input into one message and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        from sts_eval.audit import AuditError

        try:
            return super().invoke(ctx)
        except AuditError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(USAGE)


@click.group(cls=AuditGroup, context_settings={"help_option_names": ["-h", "--help"]})
def audit() -> None:
    """Measure detectors of cloned voices."""


_FILE = click.Path(path_type=Path, dir_okay=False)


@audit.command()
@click.option("--cm", type=_FILE, help="Countermeasure scores: filename, cm-score.")
@click.option("--cm-keys", type=_FILE, help="Their keys: filename, cm-label.")
@click.option(
    "--speakers",
    type=_FILE,
    help="Speaker of each file: filename, spk. The intervals then respect speakers.",
)
@click.option(
    "--sasv", type=_FILE, help="Track 2 scores: spk, filename, cm-score, asv-score, sasv-score."
)
@click.option("--sasv-keys", type=_FILE, help="Their keys: spk, filename, cm-label, asv-label.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Of the resampling.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def metrics(
    cm: Path | None,
    cm_keys: Path | None,
    speakers: Path | None,
    sasv: Path | None,
    sasv_keys: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Score files in the ASVspoof 5 format: costs, EER, Cllr, each with its 95 % interval.

    The files are tab-separated with a header line. A higher score speaks for bona fide speech (of a
    verifier: for the target). cllr_bits and act_dcf read scores as natural-log likelihood ratios.
    """
    for scores, keys, name in ((cm, cm_keys, "cm"), (sasv, sasv_keys, "sasv")):
        if (scores is None) != (keys is None):
            raise click.UsageError(f"--{name} and --{name}-keys belong together")
    if cm is None and sasv is None:
        raise click.UsageError("give --cm and --cm-keys, or --sasv and --sasv-keys, or all four")
    if speakers is not None and cm is None:
        raise click.UsageError("--speakers says who speaks in the files of --cm")

    from sts_eval.audit.score_metrics import cm_metrics, sasv_metrics
    from sts_eval.audit.scorefiles import read_cm, read_sasv

    measures: dict[str, Measure] = {}
    if cm is not None and cm_keys is not None:
        measures |= cm_metrics(read_cm(cm, cm_keys, speakers), seed)
    if sasv is not None and sasv_keys is not None:
        measures |= sasv_metrics(read_sasv(sasv, sasv_keys), seed)
    if as_json:
        shown = {name: measure.model_dump(mode="json") for name, measure in measures.items()}
        click.echo(json.dumps(shown, indent=1))
    else:
        _table(measures)


def _table(measures: dict[str, Measure]) -> None:
    from rich.console import Console
    from rich.table import Table

    from sts_eval.wording import interval_brackets, quantity_words

    table = Table("metric", "value", "95 % interval", "trials", "note", box=None, pad_edge=False)
    for name, measure in measures.items():
        trials = ", ".join(f"{n} {label}" for label, n in measure.n_by_class.items())
        table.add_row(
            name,
            quantity_words(measure.value, measure.unit),
            interval_brackets(measure.lo, measure.hi),
            trials,
            measure.reason or measure.method,
        )
    Console(highlight=False).print(table)
