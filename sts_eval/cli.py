"""`sts-eval`: the command line. Imports nothing heavy until a command needs it.

Exit codes: 0 pass, 1 a gate failed, 2 usage or suite error, 3 inconclusive, 4 the target or the
harness failed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from sts_eval.audit.cli import audit

USAGE, FAILED = 2, 4


class _Group(click.Group):
    """Turns the errors that a user can cause into one clear message and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if type(error).__name__ not in _USER_ERRORS:
                raise
            click.echo(f"error: {error}", err=True)
            ctx.exit(FAILED if type(error).__name__ == "TargetError" else USAGE)


_USER_ERRORS = {
    "BaselineError",
    "CompareError",
    "GateSyntaxError",
    "JudgeError",
    "RecordError",
    "RegistryError",
    "RunError",
    "StimuliError",
    "SuiteErrors",
    "TargetError",
    "TraceError",
}


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sts-eval")
def main() -> None:
    """Measure speech-to-speech systems, gate their releases and show the evidence.

    Start with:  sts-eval run suites/latency.yaml
    """


_FORMAT = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
_BASELINE = click.option(
    "--baseline",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Baseline file; the default is reports/baselines/<suite>.json if it exists.",
)
_WORKERS = click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Scenarios that run at the same time. More than one disturbs wall-clock numbers.",
)


@main.command()
@click.argument("suite", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--target", help="What to measure, NAME[:key=value,...]; see `sts-eval list targets`."
)
@click.option(
    "--stimuli",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder with a manifest.jsonl, in place of the packaged stimuli.",
)
@click.option("--limit", type=click.IntRange(1), help="Run so many scenarios, spread over all.")
@click.option("--profile", help="A profile of the suite, e.g. smoke.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of every random choice.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("reports"),
    show_default=True,
    help="Folder of the reports.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Continue an interrupted run folder.",
)
@_BASELINE
@_WORKERS
@click.option(
    "--batch",
    type=click.IntRange(1, 256),
    help="Scenarios of a local target that are stepped together in one call; default: as the"
    " suite says, else 1. Faster; wall-clock and heard numbers are not measured.",
)
@click.option(
    "--summary",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Append the markdown summary to this file (for a CI page).",
)
@_FORMAT
@click.pass_context
def run(
    ctx: click.Context,
    suite: Path | None,
    resume: Path | None,
    summary: Path | None,
    form: str,
    baseline: Path | None,
    workers: int,
    out: Path,
    **options: Any,
) -> None:
    """Run SUITE against a target, score it, test its gates and write the report."""
    from sts_eval import runner
    from sts_eval.planning import RunOptions, load_plan
    from sts_eval.progress import progress_bar

    with progress_bar(quiet=form == "json") as progress:
        if resume is not None:
            if suite is not None or any(value is not None for value in options.values()):
                raise click.UsageError("--resume continues a run as it was: give no other settings")
            folder = resume
            runner.resume_run(folder, workers, progress)
        elif suite is None:
            raise click.UsageError("name a suite file, e.g. suites/latency.yaml")
        else:
            asked = RunOptions(suite=suite, out=out, workers=workers, **options)
            folder = runner.start_run(asked, progress)
        plan = load_plan(folder)
        baseline = baseline or runner.default_baseline(runner.suite_name(folder, plan), out)
        record = runner.score_run(folder, progress, baseline=baseline)
    _tell(record, folder, form, summary)
    ctx.exit(record.exit_code)


@main.command()
@click.argument("run_path", metavar="RUN", type=click.Path(path_type=Path, exists=True))
@_BASELINE
@_FORMAT
@click.pass_context
def score(ctx: click.Context, run_path: Path, baseline: Path | None, form: str) -> None:
    """Score the traces of RUN again and rewrite its outputs. Talks to no target."""
    from sts_eval import runner
    from sts_eval.progress import progress_bar

    folder = runner.find_run(run_path)
    with progress_bar(quiet=form == "json") as progress:
        record = runner.score_run(folder, progress, baseline=baseline)
    _tell(record, folder, form, None)
    ctx.exit(record.exit_code)


@main.command()
@click.argument("run_path", metavar="RUN", type=click.Path(path_type=Path, exists=True))
@_BASELINE
@_FORMAT
@click.pass_context
def gate(ctx: click.Context, run_path: Path, baseline: Path | None, form: str) -> None:
    """Test the gates of RUN again, e.g. against another baseline. Writes nothing."""
    from sts_eval import runner
    from sts_eval.planning import load_plan
    from sts_eval.record import load_run

    folder = runner.find_run(run_path)
    record = load_run(folder)
    suite = runner.load_run_suite(folder, load_plan(folder))
    runner.judge(record, suite, baseline)
    _tell(record, folder, form, None)
    ctx.exit(record.exit_code)


@main.command()
@click.argument("run_a", metavar="RUN_A", type=click.Path(path_type=Path, exists=True))
@click.argument("run_b", metavar="RUN_B", type=click.Path(path_type=Path, exists=True))
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page, too.")
@click.option(
    "--unpaired",
    is_flag=True,
    help="Take each run whole: for runs of other seeds or stimuli, and for pooled metrics.",
)
@_FORMAT
def compare(run_a: Path, run_b: Path, html: Path | None, unpaired: bool, form: str) -> None:
    """What changed from RUN_A to RUN_B: differences with intervals, paired by scenario."""
    from sts_eval.compare import compare as compare_runs
    from sts_eval.compare import console_comparison
    from sts_eval.record import load_run
    from sts_eval.trace import write_text_atomic

    a, b = load_run(run_a), load_run(run_b)
    comparison = compare_runs(a, b, paired=not unpaired)
    if form == "json":
        click.echo(comparison.model_dump_json(indent=1))
    else:
        console_comparison(comparison)
    if html is not None:
        from sts_eval.report import build_comparison

        folders = (_folder(run_a), _folder(run_b))
        write_text_atomic(html, build_comparison(a, b, comparison, folders))
        click.echo(f"report: {html}", err=form == "json")


@main.command()
@click.argument("run_path", metavar="RUN", type=click.Path(path_type=Path, exists=True))
def report(run_path: Path) -> None:
    """Rebuild the HTML report of RUN from its run.json."""
    from sts_eval.record import load_run
    from sts_eval.report import write_report

    click.echo(f"report: {write_report(load_run(run_path), _folder(run_path))}")


@main.command()
@click.argument("suites", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.pass_context
def validate(ctx: click.Context, suites: tuple[Path, ...]) -> None:
    """Check suite files; every mistake is named with its line."""
    from sts_eval.suite import SuiteErrors, load_suite
    from sts_eval.targets import RegistryError, check_spec

    failed = False
    for path in suites:
        try:
            suite = load_suite(path)
            for profile in suite.model.profiles:
                load_suite(path, profile=profile)
            check_spec(suite.model.target)
        except (SuiteErrors, RegistryError) as error:
            click.echo(str(error), err=True)
            failed = True
        else:
            click.echo(f"{path}: ok ({len(suite.blocks)} blocks, {len(suite.gates)} gates)")
    ctx.exit(USAGE if failed else 0)


@main.command("list")
@click.argument(
    "what", type=click.Choice(["targets", "probes", "metrics", "judges", "faults"]), required=False
)
def list_(what: str | None) -> None:
    """List what there is: targets, probes, metrics, judges, faults."""
    from sts_eval.catalogue import catalogue

    for section, rows in catalogue(what).items():
        click.echo(section)
        for name, about in rows:
            click.echo(f"  {name:<26} {about}")


@main.command()
@click.argument("suites", nargs=-1, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--target", help="The healthy target of all suites; default: each suite's own.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    help="Scenarios per fault; default: those of the suite's profile `selftest`, else all.",
)
@_FORMAT
@click.pass_context
def selftest(
    ctx: click.Context, suites: tuple[Path, ...], target: str | None, limit: int | None, form: str
) -> None:
    """Run faulty targets through SUITES: each fault must be caught by its own metric alone."""
    from sts_eval.progress import progress_bar
    from sts_eval.selftest import console_matrix, run_selftest

    with progress_bar(quiet=form == "json") as progress:
        matrix = run_selftest(suites or (Path("suites/latency.yaml"),), target, limit, progress)
    if form == "json":
        click.echo(json.dumps(matrix.as_json(), indent=1))
    else:
        console_matrix(matrix)
    ctx.exit(0 if matrix.ok else 1)


@main.group()
def baseline() -> None:
    """What CI compares with."""


@baseline.command()
@click.argument("run_path", metavar="RUN", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("reports"),
    show_default=True,
    help="Reports folder; the file is <out>/baselines/<suite>.json.",
)
def accept(run_path: Path, out: Path) -> None:
    """Make RUN the baseline of its suite. Nothing else ever changes a baseline."""
    from sts_eval.baseline import accept as accept_run
    from sts_eval.baseline import save_baseline
    from sts_eval.record import load_run

    record = load_run(run_path)
    path = out / "baselines" / f"{record.suite['suite']}.json"
    save_baseline(accept_run(record, replaces=path if path.exists() else None), path)
    click.echo(f"baseline: {path}")


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
def init(folder: Path) -> None:
    """Write a commented starter suite, a target example and a CI snippet into DIR."""
    from sts_eval.starter import write_starter

    for path in write_starter(folder):
        click.echo(path)


main.add_command(audit)


def _folder(run_path: Path) -> Path:
    return run_path.parent if run_path.is_file() else run_path


def _tell(record: Any, folder: Path, form: str, summary: Path | None) -> None:
    from sts_eval.outputs import console_table, summary_markdown

    if summary is not None:
        with summary.open("a", encoding="utf-8") as handle:
            handle.write(summary_markdown(record) + "\n")
    if form == "json":
        keys = {"run_id", "state", "verdicts", "estimates", "exit_code"}
        sys.stdout.write(record.model_dump_json(include=keys, indent=1) + "\n")
        return
    console_table(record)
    click.echo(f"\nreport: {folder / 'report.html'}")


if __name__ == "__main__":
    main()
