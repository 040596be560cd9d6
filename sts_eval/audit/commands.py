"""`sts-eval audit run | enroll | forget | verify | dataset`: the audit of recordings."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, Final

import click

from sts_eval.audit import DEFAULT_DETECTOR
from sts_eval.audit.command_parts import (
    FOLDER,
    MAX_SECONDS,
    RESUME,
    default_out,
    refuse_beside_resume,
)
from sts_eval.audit.dataset.command import dataset

_FILE = click.Path(path_type=Path, dir_okay=False)
_DATE = click.DateTime(["%Y-%m-%d"])
_SCOPES = click.Choice(["synthesis", "conversion", "training", "evaluation"])
_REGISTRY = click.option(
    "--registry", type=_FILE, help="voices.yaml: enrolled people and their consents."
)
_ENCODER = click.option(
    "--encoder",
    default="dvector",
    show_default=True,
    help="Its name, or python:MOD:FACTORY.",
)
_WORKERS = click.option(
    "--workers",
    type=click.IntRange(0, 256),
    help="Processes; default: one for each core. 0: this process, which a bad file may then end.",
)


@click.command()
@click.argument("recordings", required=False, type=click.Path(path_type=Path))
@_REGISTRY
@click.option(
    "--out", type=FOLDER, help="Folder of the report; the default is reports/audit/<name>-<time>."
)
@RESUME
@click.option(
    "--detector",
    "detectors",
    multiple=True,
    help=f"{DEFAULT_DETECTOR} (default) or another, python:MOD:FACTORY, none; may be repeated.",
)
@_ENCODER
@click.option(
    "--mark",
    "marks",
    multiple=True,
    help="c2pa, perth, audioseal:CHECKPOINT or none; default: c2pa.",
)
@click.option("--scope", type=_SCOPES, default="synthesis", show_default=True)
@click.option("--purpose", default="", help="What the recordings were made for.")
@click.option("--date", "made", type=_DATE, help="The day they were made; default: today.")
@click.option("--language", default="", help="Their language, e.g. en.")
@click.option(
    "--context", type=_FILE, help="CSV with these for each file: file,scope,purpose,date,language."
)
@MAX_SECONDS
@click.option(
    "--no-evidence", is_flag=True, help="Write no spectrograms and listening copies (faster)."
)
@_WORKERS
@click.pass_context
def run(ctx: click.Context, recordings: Path | None, resume: Path | None, **given: Any) -> None:
    """Audit RECORDINGS, a folder or a file: synthetic? like whom? was there consent?

    Exit code: 0 clean, 1 findings, 2 usage, 3 inconclusive (weak findings too), 4 nothing could be
    examined.
    """
    from sts_eval.audit.case.case import (
        examine_all,
        open_case,
        open_registry,
        resume_case,
        self_check,
        settings_of,
    )
    from sts_eval.audit.case.outputs import write_outputs
    from sts_eval.audit.case.rows import make_rows
    from sts_eval.progress import progress_bar

    if resume is not None:
        refuse_beside_resume(ctx, recordings, given)
        out, log = resume, resume_case(resume)
    else:
        if recordings is None:
            raise click.UsageError("name the recordings: a folder or a file")
        settings = _settings(recordings, **given)
        self_check(settings)
        for line in settings.reaches:
            click.echo(f"note: {line}")
        out = given["out"] or default_out(recordings, "recordings", 80)
        log = open_case(settings, out)
    with log:
        with progress_bar(quiet=False) as progress:
            case = examine_all(log, out, given["workers"], progress)
        rows = make_rows(case, open_registry(settings_of(log.entries)))
        code = write_outputs(case, rows, log, out)
        _tell(rows, out, log.head)
    ctx.exit(code)


def _settings(recordings: Path, **given: Any) -> Any:
    import sts_eval
    from sts_eval.audit import AuditError
    from sts_eval.audit.case.case import encoder_facts
    from sts_eval.audit.case.condition import Limits
    from sts_eval.audit.case.marks import DEFAULT, check_names
    from sts_eval.audit.case.parts import load_detector, part_files
    from sts_eval.audit.case.settings import Context, Settings, read_context
    from sts_eval.audit.voices.schema import load_registry

    if not recordings.exists():
        raise AuditError(f"{recordings}: no such file or folder")
    registry = load_registry(given["registry"]) if given["registry"] else None
    asked = given["detectors"] or (DEFAULT_DETECTOR,)
    detectors = () if asked == ("none",) else tuple(asked)
    loaded = [load_detector(name) for name in detectors]
    marks = given["marks"] or DEFAULT
    marks = () if marks == ("none",) else tuple(marks)
    check_names(marks)
    label, margin = encoder_facts(given["encoder"]) if registry else ("", 0.0)
    made = given["made"]
    languages = {each.languages for each in loaded if each.languages}
    return Settings(
        version=sts_eval.__version__,
        recordings=str(recordings.resolve()),
        registry=str(registry.path.resolve()) if registry else None,
        registry_sha256=registry.sha256 if registry else "",
        day=datetime.date.today(),
        detectors=detectors,
        detector_labels=tuple(each.label for each in loaded),
        detector_reach=tuple(each.reach for each in loaded),
        known_reach=tuple(each.known_reach for each in loaded),
        encoder=given["encoder"] if registry else "",
        encoder_label=label,
        part_files=part_files(detectors, given["encoder"] if registry else ""),
        margin=margin,
        marks=marks,
        limits=Limits(languages=min(languages, key=len) if languages else ()),
        default=Context(
            scope=given["scope"],
            purpose=given["purpose"],
            date=made.date() if made else None,
            language=given["language"],
        ),
        context=read_context(given["context"]) if given["context"] else {},
        max_seconds=given["max_seconds"],
        evidence=not given["no_evidence"],
    )


def _tell(rows: list[Any], out: Path, head: str) -> None:
    from sts_eval.audit.case.outputs import counts
    from sts_eval.audit.case.records import Level

    found = counts(rows)
    click.echo(", ".join(f"{found[level]} {level}" for level in Level if level in found))
    told = (Level.FINDING, Level.UNEXAMINED, Level.WEAK_FINDING)
    shown = sorted(
        (row for row in rows if row.verdict.level in told),
        key=lambda row: told.index(row.verdict.level),
    )
    for row in shown[:20]:
        click.echo(f"  {row.verdict.level:<12} {row.shown}: {row.verdict.headline}")
    if len(shown) > 20:
        click.echo(f"  and {len(shown) - 20} more in the report")
    click.echo(f"report: {out / 'report.html'}")
    click.echo(f"head of the custody log (keep it elsewhere): {head}")


@click.command()
@click.argument("name")
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option("--registry", type=_FILE, default=Path("voices.yaml"), show_default=True)
@click.option("--expires", type=_DATE, help="Last day before they expire; default: in a year.")
@_ENCODER
def enroll(
    name: str,
    files: tuple[Path, ...],
    registry: Path,
    expires: datetime.datetime | None,
    encoder: str,
) -> None:
    """Enrol the voice of NAME from recordings of that person alone.

    Checks net speech, SNR, band, clipping, repeats, and that all of it sounds like one speaker.
    Keeps embeddings beside the registry, no audio. Nothing leaves this machine.
    """
    from sts_eval.audit.case.parts import load_encoder
    from sts_eval.audit.voices.enrolment import enrol

    done = enrol(
        registry, name, files, load_encoder(encoder), expires=expires.date() if expires else None
    )
    click.echo(
        f"{done.subject}: enrolled from {done.speech_s:g} s of speech in {done.files} recordings, "
        f"expires {done.expires}"
    )
    click.echo(f"consents are yours to add: {registry}, subjects.{done.subject}.consents")


@click.command()
@click.argument("name")
@click.option("--registry", type=_FILE, default=Path("voices.yaml"), show_default=True)
def forget(name: str, registry: Path) -> None:
    """Delete the embeddings and the registry entry of NAME (an id or a name)."""
    from sts_eval.audit.voices.enrolment import forget as forget_subject

    click.echo(f"{forget_subject(registry, name)}: forgotten")


@click.command()
@click.argument("report", type=FOLDER)
@click.option("--recordings", type=click.Path(path_type=Path), help="Where they lie now, if moved.")
@click.option("--no-recordings", is_flag=True, help="Check the report alone.")
@click.option("--head", default="", help="The head of the log as it was noted elsewhere.")
@click.pass_context
def verify(
    ctx: click.Context, report: Path, recordings: Path | None, no_recordings: bool, head: str
) -> None:
    """Check the custody log, the files of REPORT and the recordings; a changed byte is found.

    REPORT: of recordings, or of a training set (`audit dataset`).

    Exit code: 0 all as it was sealed, 1 something changed, 2 usage.
    """
    from sts_eval.audit.case.inventory import shown_name
    from sts_eval.audit.verify import verify as check

    problems = check(
        report, recordings=recordings, check_recordings=not no_recordings, head=head.strip()
    )
    for problem in problems:
        click.echo(f"changed: {shown_name(problem)}")
    if not problems:
        click.echo("intact: log, report" + ("" if no_recordings else " and recordings"))
    ctx.exit(1 if problems else 0)


COMMANDS: Final = (run, enroll, forget, verify, dataset)
