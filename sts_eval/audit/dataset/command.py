"""`sts-eval audit dataset FOLDER`: a training set, before it is trained on."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import click

from sts_eval.audit.command_parts import (
    FOLDER,
    MAX_SECONDS,
    RESUME,
    default_out,
    refuse_beside_resume,
)


@click.command()
@click.argument("folder", required=False, type=FOLDER)
@click.option(
    "--registry",
    type=click.Path(path_type=Path, dir_okay=False),
    help="voices.yaml: people and their consents; without it no consent can be checked.",
)
@click.option(
    "--evaluation", type=FOLDER, help="The evaluation set; default: the packaged stimuli."
)
@click.option("--out", type=FOLDER, help="Folder of the report; default: reports/audit/...")
@RESUME
@click.option("--encoder", default="dvector", show_default=True, help="Or python:MOD:FACTORY.")
@click.option("--purpose", default="", help="What will be trained, as consents name it.")
@click.option(
    "--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="Day of training; default: today."
)
@click.option(
    "--skip",
    multiple=True,
    type=click.Choice(["consent", "voices"]),
    help="Do not look at this; the report says so. May be repeated.",
)
@MAX_SECONDS
@click.option(
    "--workers", type=click.IntRange(0, 256), help="Processes; default: one for each core."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def dataset(
    ctx: click.Context, folder: Path | None, resume: Path | None, as_json: bool, **given: Any
) -> None:
    """Check a training set: duplicates, speakers without consent, leaked evaluation voices.

    A manifest.jsonl in FOLDER may name path, speaker (or voice), text and split of recordings.
    Exit code: 0 clean, 1 findings, 2 usage, 3 inconclusive, 4 nothing could be examined.
    """
    from sts_eval.audit.dataset.judge import judge
    from sts_eval.audit.dataset.plan import finish, hear_all, open_dataset, resume_dataset
    from sts_eval.audit.dataset.report import FILES, HTML_NAME, to_text, write_report
    from sts_eval.progress import progress_bar

    if resume is not None:
        refuse_beside_resume(ctx, folder, given)
        out, log = resume, resume_dataset(resume)
    else:
        if folder is None:
            raise click.UsageError("name the folder of the training set")
        settings = _settings(folder, **given)
        out = given["out"] or default_out(folder, "set", 70, "-dataset")
        log = open_dataset(
            lambda manifest: settings.model_copy(update={"manifest_sha256": manifest.sha256}),
            folder,
            out,
        )
    with log:
        with progress_bar(quiet=as_json) as progress:
            data = hear_all(log, out, given["workers"], progress)
        judged = judge(data)
        text = write_report(data, judged, out)
        finish(log, out, FILES, judged.exit_code)
        head = log.head
    click.echo(text if as_json else to_text(data, judged), nl=not as_json)
    if not as_json:
        click.echo(f"report: {out / HTML_NAME}")
        click.echo(f"head of the custody log (keep it elsewhere): {head}")
    ctx.exit(judged.exit_code)


def _settings(folder: Path, **given: Any) -> Any:
    import sts_eval
    from sts_eval.audit import AuditError
    from sts_eval.audit.case.case import encoder_facts
    from sts_eval.audit.case.condition import Limits
    from sts_eval.audit.case.selfcheck import check_parts
    from sts_eval.audit.dataset.plan import DatasetSettings, evaluation_items
    from sts_eval.audit.voices.schema import load_registry

    if not folder.is_dir():
        raise AuditError(f"{folder}: no such folder")
    evaluation = given["evaluation"]
    if evaluation is not None and not evaluation.is_dir():
        raise AuditError(f"{evaluation}: no such folder")
    place = str(evaluation.resolve()) if evaluation else None
    evaluation_items(place)  # its mistakes before any work
    registry = load_registry(given["registry"]) if given["registry"] else None
    label, margin, encoder = "", 0.0, ""
    if "voices" not in given["skip"]:
        encoder = given["encoder"]
        label, margin = encoder_facts(encoder)
        check_parts((), encoder)
    day = given["day"]
    return DatasetSettings(
        version=sts_eval.__version__,
        folder=str(folder.resolve()),
        manifest_sha256="",
        registry=str(registry.path.resolve()) if registry else None,
        registry_sha256=registry.sha256 if registry else "",
        evaluation=place,
        day=day.date() if day else datetime.date.today(),
        purpose=given["purpose"],
        encoder=encoder,
        encoder_label=label,
        margin=margin,
        skip=tuple(sorted(set(given["skip"]))),
        limits=Limits(),
        max_seconds=given["max_seconds"],
    )
