"""`sts-eval audit`: what an auditor calls. Imports nothing heavy until a command needs it.

A group of subcommands. Input that cannot be used ends with one line that names the file and the
line, and exit code 2.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sts_eval.audit import DEFAULT_DETECTOR
from sts_eval.audit.cli_detector import (
    false_alarms,
    gather_replies,
    gather_speech,
    gather_voices,
    train_detector,
)

if TYPE_CHECKING:
    from sts_eval.audit.folds import FoldReport
    from sts_eval.audit.items import Item
    from sts_eval.audit.score_metrics import Measure

USAGE, INCONCLUSIVE = 2, 3


class AuditGroup(click.Group):
    """Turns unusable input into one message and exit code 2; what is no command is recordings."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        from sts_eval.audio import AudioError
        from sts_eval.audit import AuditError
        from sts_eval.registry import RegistryError
        from sts_eval.yamlfile import SuiteErrors

        try:
            return super().invoke(ctx)
        except (AuditError, AudioError, RegistryError, SuiteErrors) as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(USAGE)


@click.group(cls=AuditGroup, context_settings={"help_option_names": ["-h", "--help"]})
def audit() -> None:
    """Audit recordings for cloned voices, and measure the detectors that do it.

    sts-eval audit FOLDER --registry voices.yaml   is short for   sts-eval audit run FOLDER ...
    """


audit.add_command(gather_voices)
audit.add_command(train_detector)
audit.add_command(gather_replies)
audit.add_command(gather_speech)
audit.add_command(false_alarms)


_FILE = click.Path(path_type=Path, dir_okay=False)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@audit.command()
@click.option("--cm", type=_FILE, help="Countermeasure scores: filename, cm-score.")
@click.option("--cm-keys", type=_FILE, help="Their keys: filename, cm-label.")
@click.option(
    "--speakers",
    type=_FILE,
    help="Speaker of each file: filename, spk. The intervals then respect speakers.",
)
@click.option(
    "--families",
    type=_FILE,
    help="Attack family of each file: filename, family. Adds the macro mean and the worst.",
)
@click.option(
    "--sasv", type=_FILE, help="Track 2 scores: spk, filename, cm-score, asv-score, sasv-score."
)
@click.option("--sasv-keys", type=_FILE, help="Their keys: spk, filename, cm-label, asv-label.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Of the resampling.")
@click.option(
    "--plots",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for det.svg and tippett.svg of the countermeasure.",
)
@_JSON
def metrics(
    cm: Path | None,
    cm_keys: Path | None,
    speakers: Path | None,
    families: Path | None,
    sasv: Path | None,
    sasv_keys: Path | None,
    seed: int,
    plots: Path | None,
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
    if cm is None and (speakers or families or plots):
        raise click.UsageError("--speakers, --families and --plots are about the files of --cm")

    from sts_eval.audit.score_metrics import by_family, cm_metrics, sasv_metrics
    from sts_eval.audit.scorefiles import read_cm, read_sasv

    measures: dict[str, Measure] = {}
    each: FoldReport | None = None
    if cm is not None and cm_keys is not None:
        trials = read_cm(cm, cm_keys, speakers, families)
        measures |= cm_metrics(trials, seed)
        each = by_family(trials, seed) if families is not None else None
        if plots is not None:
            from sts_eval.audit.plots import det_plot, save_svg, tippett_plot

            save_svg(det_plot(trials.bonafide, trials.spoof), plots / "det.svg")
            save_svg(tippett_plot(trials.bonafide, trials.spoof), plots / "tippett.svg")
    if sasv is not None and sasv_keys is not None:
        measures |= sasv_metrics(read_sasv(sasv, sasv_keys), seed)
    if as_json:
        shown = {name: measure.model_dump(mode="json") for name, measure in measures.items()}
        if each is not None:
            shown["eer_percent_by_family"] = each.model_dump(mode="json")
        click.echo(json.dumps(shown, indent=1))
        return
    if each is not None:
        _families(each)
    _table(measures)


@audit.command()
@click.argument("corpus")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--subset", help="One subset, as the corpus calls it (train, dev, eval, ...).")
@click.option("--keys", type=_FILE, help="Write a key file for `audit metrics`.")
@click.option("--speakers", type=_FILE, help="Write a speakers file for `audit metrics`.")
@click.option("--families", type=_FILE, help="Write a families file for `audit metrics`.")
@click.option("--scores", type=_FILE, help="Score every recording and write a score file.")
@click.option(
    "--detector", default=DEFAULT_DETECTOR, show_default=True, help="Whose scores these are."
)
@_JSON
@click.pass_context
def protocol(
    ctx: click.Context,
    corpus: str,
    folder: Path,
    subset: str | None,
    keys: Path | None,
    speakers: Path | None,
    families: Path | None,
    scores: Path | None,
    detector: str,
    as_json: bool,
) -> None:
    """Check the download of CORPUS in FOLDER and say what is in it.

    Every line of its protocol is checked and every recording must be there. A corpus that is not
    known is answered with the list of those that are. With --scores, a recording that cannot be
    scored is named and has no line in the file; the exit code is then 3.
    """
    from sts_eval.audit import protocols
    from sts_eval.audit.readers import read

    items = read(corpus, folder, subset)
    protocols.write_files(items, folder, keys, speakers, families)
    counts = protocols.contents(items)
    if as_json:
        click.echo(json.dumps(counts, indent=1))
    for section, rows in counts.items() if not as_json else ():
        click.echo(section)
        for name, count in rows.items():
            click.echo(f"  {name or '(not said)':<28} {count}")
    if scores is not None:
        ctx.exit(_write_scores(items, protocols.names(items, folder), detector, scores))


def _write_scores(items: list[Item], names: list[str], detector: str, target: Path) -> int:
    """Write a score file; returns the exit code."""
    from sts_eval.audit.scorefiles import write_cm_scores
    from sts_eval.audit.scoring import score_items
    from sts_eval.progress import progress_bar

    with progress_bar(quiet=False) as progress:
        found = score_items(items, detector, progress)
    write_cm_scores(target, ((names[index], score) for index, score in found.scores.items()))
    for index, reason in found.refused.items():
        click.echo(f"not scored: {names[index]}: {reason}", err=True)
    return INCONCLUSIVE if found.refused else 0


def _table(measures: dict[str, Measure]) -> None:
    from rich.console import Console
    from rich.table import Table

    from sts_eval.wording import interval_brackets, quantity_words

    console = Console(highlight=False)
    table = Table("metric", "value", "95 % interval", "note", box=None, pad_edge=False)
    for name, measure in measures.items():
        value = quantity_words(measure.value, measure.unit)
        table.add_row(name, value, interval_brackets(measure.lo, measure.hi), measure.reason)
    console.print(table)
    for line in dict.fromkeys(_about(measure) for measure in measures.values()):
        console.print(line)


def _families(each: FoldReport) -> None:
    """Macro mean and worst come before the pooled numbers."""
    from sts_eval.wording import interval_words, quantity_words

    macro = each.macro
    value, interval = quantity_words(macro.value, "%"), interval_words(macro.lo, macro.hi, "%")
    click.echo(f"macro mean EER over {macro.n} attack families: {value} ({interval})")
    click.echo(f"worst family: {each.worst_name}, {quantity_words(each.worst, '%')}")
    rest = sorted(each.by_name.items(), key=lambda pair: -(pair[1] or 0.0))
    click.echo(", ".join(f"{name} {quantity_words(eer, '%')}" for name, eer in rest))
    click.echo("pooled:")


def _about(measure: Measure) -> str:
    trials = ", ".join(f"{n} {label}" for label, n in measure.n_by_class.items())
    clusters = f"{measure.method} ({measure.n_clusters} drawn)"
    return trials if measure.lo is None else f"{trials}; {clusters}"


def _add_commands() -> None:
    from sts_eval.audit.commands import COMMANDS

    for command in COMMANDS:
        audit.add_command(command)


_add_commands()
