"""From what was found to issues, each with its level. Pure, but for the evidence of consents.

    finding       duplicate, split leak            recordings that are one (see `copies`)
                  evaluation recording, text       a recording or a sentence of the evaluation set
                  evaluation voice                 a voice that resembles one of the evaluation set
                  consent                          a named speaker without valid consent to training
                  resembles                        a voice like an enrolled person without it
    inconclusive  unknown speaker                  nobody is named, so no consent can be looked up
                  label                            does not resemble the enrolled person it names
                  not compared, manifest, and what of the above could not be decided
    unexamined    unexamined                       files that could not be read

Sentences count from `repeats.LEAST_WORDS` words on: shorter ones ("Hang on a moment") are
anybody's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sts_eval.audit.case.inventory import InventoryEntry
from sts_eval.audit.case.records import Level
from sts_eval.audit.case.rows import CLEAN, FAILED, FINDINGS, INCONCLUSIVE
from sts_eval.audit.dataset.consents import Consents, consent_issues
from sts_eval.audit.dataset.issues import Issue, count
from sts_eval.audit.dataset.likeness import voice_issues
from sts_eval.audit.dataset.listen import Heard
from sts_eval.audit.dataset.plan import Dataset
from sts_eval.audit.dataset.repeats import copy_issues, text_issues


@dataclass(frozen=True)
class FileRow:
    """One thing in the folder. level: the gravest of its issues; consent: of its named speaker."""

    entry: InventoryEntry
    level: Level
    speaker: str
    split: str
    consent: str
    heard: Heard | None
    issues: tuple[str, ...]


@dataclass(frozen=True)
class Judgement:
    """Issues, the gravest first; rows in the order of the folder; the exit code."""

    issues: list[Issue]
    rows: list[FileRow]
    exit_code: int


def judge(data: Dataset) -> Judgement:
    """Everything there is to say about a set."""
    consents = Consents(data)
    issues = [
        *copy_issues(data),
        *text_issues(data),
        *consent_issues(data, consents),
        *voice_issues(data, consents),
        *_unexamined(data),
    ]
    if data.manifest.problems:
        said = f"{count(data.manifest.problems, 'line')} of the manifest cannot be used"
        reasons = tuple(data.manifest.problems[:50])
        issues.append(Issue("manifest", Level.INCONCLUSIVE, said, reasons=reasons))
    order = list(Level)
    issues.sort(key=lambda each: order.index(each.level))
    rows = _rows(data, consents, issues)
    return Judgement(issues, rows, _exit_code(issues, rows))


def _exit_code(issues: Sequence[Issue], rows: Sequence[FileRow]) -> int:
    """0 clean, 1 findings, 3 inconclusive, 4 no recording could be examined."""
    examined = any(row.heard is not None and row.heard.status == "examined" for row in rows)
    levels = {issue.level for issue in issues}
    if Level.FINDING in levels:
        return FINDINGS
    if not examined:
        return FAILED
    return INCONCLUSIVE if levels else CLEAN


def _rows(data: Dataset, consents: Consents, issues: Sequence[Issue]) -> list[FileRow]:
    by_file: dict[str, list[Issue]] = defaultdict(list)
    for issue in issues:
        for key in issue.files:
            by_file[key].append(issue)
    rows = []
    for entry in data.inventory:
        heard = data.recordings.get(entry.id)
        said = data.manifest.about(entry)
        examined = heard is not None and heard.status == "examined"
        level = Level.CLEAR if examined else Level.SKIPPED
        if own := by_file[entry.id]:
            level = own[0].level  # issues come the gravest first
        consent = consents.words(said.speaker) if examined else ""
        kinds = tuple(dict.fromkeys(issue.kind for issue in own))
        rows.append(FileRow(entry, level, said.speaker, said.split, consent, heard, kinds))
    return rows


def _unexamined(data: Dataset) -> list[Issue]:
    issues = []
    for entry in data.inventory:
        heard = data.recordings.get(entry.id)
        if (heard is not None and heard.status == "examined") or entry.kind == "link inside":
            continue
        named = entry.name in data.manifest.said
        if entry.promises_no_recording and heard is not None and heard.not_audio and not named:
            continue  # a text, a table: listed only
        reason = entry.reason or (heard.reason if heard else "not heard")
        said = f"{entry.shown}: could not be examined: {reason}"
        issues.append(Issue("unexamined", Level.UNEXAMINED, said, (entry.id,), reasons=(reason,)))
    return issues
