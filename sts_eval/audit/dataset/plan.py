"""Run the audit of a set: inventory, hear on all cores, keep a log. Resumable.

What is heard lies in `dataset.jsonl`, a hash-chained log like that of an audit of recordings, as
soon as it is known: "opened" (the plan), "inventory", "evaluation" (what was compared with), one
"heard" for each recording and each speaker, "sealed" at the end with the hashes of the report. A
run that was cut off goes on with what is missing. Landmarks and embeddings are kept in a working
folder beside it and in memory, and are deleted at the end.
"""

from __future__ import annotations

import datetime
import hashlib
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from sts_eval.audit import AuditError
from sts_eval.audit.case.case import DEADLINE_S, SEALED
from sts_eval.audit.case.condition import Limits
from sts_eval.audit.case.custody import CustodyLog, LogEntry, plan_in
from sts_eval.audit.case.inventory import InventoryEntry, shown_name, take_inventory
from sts_eval.audit.case.pool import run_pool
from sts_eval.audit.dataset.listen import Heard, Job, ListenConfig, print_file, start
from sts_eval.audit.dataset.manifest import Manifest, read_manifests
from sts_eval.audit.voices.enrolment import Vectors, load_all_vectors
from sts_eval.audit.voices.schema import VoiceRegistry, registry_as_it_was
from sts_eval.runner import Progress
from sts_eval.stimuli import QUESTIONS, REMARKS, Stimuli

LOG_NAME: Final = "dataset.jsonl"
WORK_NAME: Final = "working"
ENROLLED, EVALUATION = "enrolled:", "evaluation:"
Skipped = Literal["consent", "voices"]


class DatasetSettings(BaseModel):
    """The plan. evaluation: a folder; None for the packaged stimuli. margin: as of an audit."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    schema_: Literal["sts-eval/audit-dataset/1"] = "sts-eval/audit-dataset/1"
    version: str
    folder: str
    manifest_sha256: str
    registry: str | None
    registry_sha256: str
    evaluation: str | None
    day: datetime.date
    purpose: str
    encoder: str
    encoder_label: str
    margin: float
    skip: tuple[Skipped, ...]
    limits: Limits
    max_seconds: float


@dataclass(frozen=True)
class EvaluationItem:
    """A recording of the evaluation set."""

    key: str
    shown: str
    path: Path
    voice: str
    text: str


@dataclass(frozen=True)
class Dataset:
    """All that was found out; the judgement follows from it and the registry alone.

    recordings, speakers: by id and name. evaluation: items by key; prints: what was heard of them.
    not_compared: enrolled subjects and evaluation voices (keys) that could not be compared, and
    why. compared: the keys that were.
    """

    settings: DatasetSettings
    opened: str
    inventory: list[InventoryEntry]
    manifest: Manifest
    recordings: dict[str, Heard]
    speakers: dict[str, Heard]
    evaluation: dict[str, EvaluationItem]
    prints: dict[str, Heard]
    compared: list[str]
    not_compared: dict[str, str]
    registry: VoiceRegistry | None
    work: Path


def open_dataset(
    make: Callable[[Manifest], DatasetSettings], folder: Path, out: Path
) -> CustodyLog:
    """Make the report folder and start its log. Raises AuditError if there is a report in it."""
    try:
        (out / WORK_NAME).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AuditError(f"{out}: {error.strerror}") from error
    log = CustodyLog.create(out / LOG_NAME)
    entries = take_inventory(folder, leave_out=out)
    settings = make(read_manifests(folder, entries))
    log.append("opened", settings.model_dump(mode="json"))
    log.append("inventory", {"entries": [each.model_dump(mode="json") for each in entries]})
    return log


def resume_dataset(out: Path) -> CustodyLog:
    """Open the log of an unfinished audit. Raises AuditError: finished, damaged, set changed."""
    log = CustodyLog.reopen(out / LOG_NAME)
    try:
        events = [each.event for each in log.entries]
        if events[:2] != ["opened", "inventory"]:
            raise AuditError(f"{out}: the log holds no plan: start the audit anew")
        if events[-1] == SEALED:
            raise AuditError(f"{out}: this audit is finished and sealed")
        (out / WORK_NAME).mkdir(exist_ok=True)
        log.append("resumed", {})
    except BaseException:
        log.close()
        raise
    return log


def finish(log: CustodyLog, out: Path, files: Sequence[str], code: int) -> None:
    """Seal the log and remove what was only needed to work."""
    hashes = {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in files}
    log.append(SEALED, {"files": hashes, "exit_code": code})
    shutil.rmtree(out / WORK_NAME, ignore_errors=True)


def hear_all(log: CustodyLog, out: Path, workers: int | None, progress: Progress) -> Dataset:
    """Hear what the log does not have yet. Raises AuditError, SuiteErrors."""
    settings, inventory, _ = read_plan(log.entries)
    root = Path(settings.folder)
    manifest = read_manifests(root, inventory)
    if manifest.sha256 != settings.manifest_sha256:
        raise AuditError("the manifest has changed since the audit began: start it anew")
    registry = registry_as_it_was(settings.registry, settings.registry_sha256)
    work = out / WORK_NAME
    voices = bool(settings.encoder)

    def hear(
        jobs: Sequence[Job], what: str, references: dict[str, Vectors], keep: bool
    ) -> dict[str, tuple[Heard, Vectors | None]]:
        found: dict[str, tuple[Heard, Vectors | None]] = {}

        def on_done(job: Job, result: tuple[Heard, Vectors | None] | str) -> None:
            if isinstance(result, str):
                failed = Heard(kind=job.kind, key=job.key, status="failed", reason=result)
                result = (failed, None)
            if keep:
                log.append("heard", result[0].model_dump(mode="json"))
            found[job.key] = result
            progress.step(job.shown)

        config = ListenConfig(
            work.resolve(), settings.encoder, references, settings.limits, settings.max_seconds
        )
        progress.begin(what, len(jobs))
        run_pool(start, config, jobs, workers=workers, deadline_s=DEADLINE_S, on_done=on_done)
        return found

    items = evaluation_items(settings.evaluation)
    shown = "evaluation set"
    prints = hear([Job("print", i.key, (i.path,), i.shown) for i in items], shown, {}, False)
    by_voice: dict[str, list[Path]] = defaultdict(list)
    for item in items:
        if item.voice:
            by_voice[item.voice].append(item.path)
    jobs = [Job("voice", name, tuple(paths), name) for name, paths in by_voice.items()]
    references, missing = _enrolled(settings, registry)
    if voices:
        for name, (heard, vectors) in hear(jobs, "evaluation voices", {}, False).items():
            if vectors is None:
                missing[EVALUATION + name] = "; ".join(heard.outside) or heard.reason
            else:
                references[EVALUATION + name] = vectors
    _same_evaluation(log, [heard for heard, _ in prints.values()], references)
    todo = _missing(log.entries, inventory, manifest, root, work, voices)
    hear(todo, "recordings and speakers", references, True)
    recordings, speakers = _heard(log.entries)
    return Dataset(
        settings=settings,
        opened=log.entries[0].at,
        inventory=inventory,
        manifest=manifest,
        recordings=recordings,
        speakers=speakers,
        evaluation={item.key: item for item in items},
        prints={key: heard for key, (heard, _) in prints.items()},
        compared=sorted(references),
        not_compared=missing,
        registry=registry,
        work=work,
    )


def read_plan(
    entries: Sequence[LogEntry],
) -> tuple[DatasetSettings, list[InventoryEntry], dict[str, Heard]]:
    """Settings, inventory and what was heard of recordings so far, by id. Raises AuditError."""
    settings = plan_in(entries, DatasetSettings)
    listed = next((each.data["entries"] for each in entries if each.event == "inventory"), None)
    if listed is None:
        raise AuditError("the log holds no inventory")
    return settings, [InventoryEntry.model_validate(each) for each in listed], _heard(entries)[0]


def evaluation_items(folder: str | None) -> list[EvaluationItem]:
    """The recordings of an evaluation set. Raises AuditError, StimuliError."""
    if folder is None:
        folders = (None, QUESTIONS, REMARKS)
        packaged = [item for each in folders for item in Stimuli.load(each).items]
        return [
            EvaluationItem(f"e{number:05d}", each.id, each.path, each.voice, each.text)
            for number, each in enumerate(packaged, 1)
        ]
    root = Path(folder)
    inventory = take_inventory(root)
    manifest = read_manifests(root, inventory)
    if manifest.problems:
        raise AuditError(f"the evaluation set {shown_name(folder)}: {manifest.problems[0]}")
    found = []
    for entry in inventory:
        if entry.kind == "file" and not entry.promises_no_recording:
            said = manifest.about(entry)
            key = entry.id.replace("r", "e", 1)
            found.append(
                EvaluationItem(key, entry.shown, entry.path(root), said.speaker, said.text)
            )
    if not found:
        raise AuditError(f"the evaluation set {shown_name(folder)} holds no recordings")
    return found


def _enrolled(
    settings: DatasetSettings, registry: VoiceRegistry | None
) -> tuple[dict[str, Vectors], dict[str, str]]:
    if not settings.encoder:
        return {}, {}
    found, missing = load_all_vectors(registry, settings.encoder_label, settings.day)
    return (
        {ENROLLED + subject: vectors for subject, vectors in found.items()},
        {ENROLLED + subject: reason for subject, reason in missing.items()},
    )


def _same_evaluation(
    log: CustodyLog, prints: Iterable[Heard], references: dict[str, Vectors]
) -> None:
    """Note what is compared with; when resumed it must be what it was. Raises AuditError."""
    digest = hashlib.sha256("".join(sorted(each.sha256_bytes for each in prints)).encode())
    now: dict[str, Any] = {"sha256": digest.hexdigest(), "voices": sorted(references)}
    before = next((each.data for each in log.entries if each.event == "evaluation"), None)
    if before is None:
        log.append("evaluation", now)
    elif before != now:
        raise AuditError("the evaluation set has changed since the audit began: start it anew")


def _missing(
    entries: Sequence[LogEntry],
    inventory: Sequence[InventoryEntry],
    manifest: Manifest,
    root: Path,
    work: Path,
    voices: bool,
) -> list[Job]:
    """Recordings and speakers that the log lacks, or whose landmarks are gone."""
    recordings, speakers = _heard(entries)
    jobs = []
    files = [entry for entry in inventory if entry.kind == "file"]
    for entry in sorted(files, key=lambda each: -(each.size_bytes or 0)):
        heard = recordings.get(entry.id)
        gone = heard is not None and heard.status == "examined"
        if heard is None or (gone and not print_file(work, "recording", entry.id).is_file()):
            jobs.append(Job("recording", entry.id, (entry.path(root),), entry.shown))
    by_speaker: dict[str, list[Path]] = defaultdict(list)
    for entry in files:
        if voices and (speaker := manifest.about(entry).speaker):
            by_speaker[speaker].append(entry.path(root))
    for name, paths in by_speaker.items():
        if name not in speakers:
            jobs.append(Job("voice", name, tuple(paths), name))
    return jobs


def _heard(entries: Sequence[LogEntry]) -> tuple[dict[str, Heard], dict[str, Heard]]:
    recordings: dict[str, Heard] = {}
    speakers: dict[str, Heard] = {}
    for entry in entries:
        if entry.event == "heard":
            heard = Heard.model_validate(entry.data)
            (recordings if heard.kind == "recording" else speakers)[heard.key] = heard
    return recordings, speakers
