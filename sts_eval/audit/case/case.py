"""Run a case: take the inventory, examine on all cores, judge, write, seal. Resumable.

Everything is in the custody log as soon as it is known: "opened" (settings), "inventory",
"registry" (who can be compared, who cannot and why), one "recording" for each examination, and at
the end "sealed" with the hashes of the report's files. After a crash, `resume` reads the log,
examines what is missing and goes on; judging reads the log alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sts_eval.audit import AuditError
from sts_eval.audit.case.custody import CustodyLog, LogEntry, plan_in
from sts_eval.audit.case.examine import ExamineConfig, start
from sts_eval.audit.case.inventory import InventoryEntry, take_inventory
from sts_eval.audit.case.parts import load_encoder, part_files
from sts_eval.audit.case.pool import run_pool
from sts_eval.audit.case.records import Examination
from sts_eval.audit.case.settings import Settings
from sts_eval.audit.voices.enrolment import load_all_vectors
from sts_eval.audit.voices.schema import VoiceRegistry, load_registry, registry_as_it_was
from sts_eval.runner import Progress

LOG_NAME: Final = "custody.jsonl"
SEALED: Final = "sealed"
DEADLINE_S: Final = 900.0


@dataclass(frozen=True)
class Case:
    """What a log holds: enough to judge and to report.

    missing: subjects that could not be compared, with the reason.
    """

    settings: Settings
    opened: str
    inventory: list[InventoryEntry]
    missing: dict[str, str]
    compared: list[str]
    examinations: dict[str, Examination]


def open_case(settings: Settings, out: Path) -> CustodyLog:
    """Make the report folder and start its log. Raises AuditError if there is a case in it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "evidence").mkdir(exist_ok=True)
    except OSError as error:
        raise AuditError(f"{out}: {error.strerror}") from error
    log = CustodyLog.create(out / LOG_NAME)
    log.append("opened", settings.model_dump(mode="json"))
    entries = take_inventory(Path(settings.recordings), leave_out=out)
    log.append("inventory", {"entries": [each.model_dump(mode="json") for each in entries]})
    return log


def resume_case(out: Path) -> CustodyLog:
    """Open the log of an unfinished case. Raises AuditError if it is finished or damaged."""
    log = CustodyLog.reopen(out / LOG_NAME)
    try:
        if not log.entries or log.entries[0].event != "opened":
            raise AuditError(f"{out}: the log does not begin with a plan: start the audit anew")
        if log.entries[-1].event == SEALED:
            raise AuditError(f"{out}: this audit is finished and sealed")
        settings = settings_of(log.entries)
        if settings.registry and _sha256(Path(settings.registry)) != settings.registry_sha256:
            raise AuditError(f"{settings.registry} has changed since: start the audit anew")
        _check_parts(settings)
        if not any(each.event == "inventory" for each in log.entries):
            entries = take_inventory(Path(settings.recordings), leave_out=out)
            log.append("inventory", {"entries": [one.model_dump(mode="json") for one in entries]})
        log.append("resumed", {})
    except BaseException:
        log.close()
        raise
    return log


def examine_all(log: CustodyLog, out: Path, workers: int | None, progress: Progress) -> Case:
    """Examine what the log does not have yet, and append it as it comes."""
    settings = settings_of(log.entries)
    registry = load_registry(Path(settings.registry)) if settings.registry else None
    enrolled, missing = load_all_vectors(registry, settings.encoder_label, settings.day)
    if not any(each.event == "registry" for each in log.entries):
        log.append("registry", {"compared": sorted(enrolled), "not_compared": missing})
    case = read_case(log.entries)
    todo = [
        entry
        for entry in case.inventory
        if entry.kind == "file" and entry.id not in case.examinations
    ]
    config = ExamineConfig(
        root=Path(settings.recordings),
        out=out,
        detectors=settings.detectors,
        encoder=settings.encoder,
        enrolled=enrolled,
        marks=settings.marks,
        max_seconds=settings.max_seconds,
        evidence=settings.evidence,
    )
    # The longest first: no core waits at the end for one that began a long one last.
    todo.sort(key=lambda entry: -(entry.size_bytes or 0))
    progress.begin("examine", len(todo))

    def on_done(entry: InventoryEntry, found: Examination | str) -> None:
        if isinstance(found, str):
            found = Examination(id=entry.id, status="failed", reason=found)
        log.append("recording", found.model_dump(mode="json"))
        progress.step(entry.shown)

    run_pool(start, config, todo, workers=workers, deadline_s=DEADLINE_S, on_done=on_done)
    return read_case(log.entries)


def settings_of(entries: list[LogEntry]) -> Settings:
    """The settings in the first line of a log. Raises AuditError."""
    return plan_in(entries, Settings)


def read_case(entries: list[LogEntry]) -> Case:
    """The case that a checked log describes."""
    last: dict[str, dict[str, Any]] = {}
    examinations = {}
    for entry in entries:
        if entry.event == "recording":
            examinations[entry.data["id"]] = Examination.model_validate(entry.data)
        last[entry.event] = entry.data
    listed = last.get("inventory", {}).get("entries", [])
    registry = last.get("registry", {})
    return Case(
        settings=settings_of(entries),
        opened=entries[0].at,
        inventory=[InventoryEntry.model_validate(each) for each in listed],
        missing=dict(registry.get("not_compared", {})),
        compared=list(registry.get("compared", [])),
        examinations=examinations,
    )


def open_registry(settings: Settings) -> VoiceRegistry | None:
    """The registry of a case, unchanged. Raises AuditError, SuiteErrors."""
    return registry_as_it_was(settings.registry, settings.registry_sha256)


def encoder_facts(name: str) -> tuple[str, float]:
    """Label of an encoder and the difference of scores that is worth a ratio of ten."""
    import math

    encoder = load_encoder(name)
    return encoder.label, math.log(10) / encoder.calibration.slope


def _check_parts(settings: Settings) -> None:
    """The parts must be those that the audit began with. Raises AuditError."""
    known = settings.part_files
    now = part_files(settings.detectors, settings.encoder) if known else {}
    changed = sorted(name for name in known.keys() | now.keys() if known.get(name) != now.get(name))
    if changed:
        raise AuditError(f"{changed[0]} has changed since: start the audit anew")


def self_check(settings: Settings, check: Callable[[], None] | None = None) -> None:
    """Run the parts on known voices before anything is measured. Raises AuditError."""
    from sts_eval.audit.case.selfcheck import check_parts

    (check or (lambda: check_parts(settings.detectors, settings.encoder)))()


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise AuditError(f"{path}: {error.strerror}") from error
