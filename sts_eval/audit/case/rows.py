"""Rows of a report: one for everything in the folder, and one for everybody not compared."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sts_eval.audit.case.case import Case
from sts_eval.audit.case.condition import (
    APART_BAND_HZ,
    APART_SNR_DB,
    Condition,
    outside,
    tells_apart,
)
from sts_eval.audit.case.inventory import InventoryEntry
from sts_eval.audit.case.records import Examination, Level, Verdict
from sts_eval.audit.case.verdicts import judge
from sts_eval.audit.voices.consent import ConsentAnswer, Use, check_evidence, evaluate
from sts_eval.audit.voices.schema import VoiceRegistry

CLEAN, FINDINGS, INCONCLUSIVE, FAILED = 0, 1, 3, 4


@dataclass(frozen=True)
class Row:
    """One line of the report. kind: "recording", "other" (listed, nothing to hear) or "registry".

    use: what the verdict on consent was about. same_as: shown names of files with equal sound.
    """

    id: str
    shown: str
    kind: str
    verdict: Verdict
    found: Examination | None = None
    size_bytes: int | None = None
    use: Use | None = None
    language: str = ""
    same_as: tuple[str, ...] = ()


def make_rows(case: Case, registry: VoiceRegistry | None) -> list[Row]:
    """Judge a case. Pure but for the evidence files of consents, whose hashes are checked."""
    evidence = (
        {each: check_evidence(registry, each) for each in registry.subjects} if registry else {}
    )
    names = {each: subject.name for each, subject in registry.subjects.items()} if registry else {}
    same = _equal_sounds(case)
    rows = []
    for entry in case.inventory:
        found = case.examinations.get(entry.id)
        if found is None or found.status != "examined":
            rows.append(_unexamined(entry, found))
            continue
        about = case.settings.about(entry.shown)
        assert about.scope is not None
        assert about.date is not None
        use = Use(about.scope, about.purpose, about.date)
        answers: dict[str, ConsentAnswer] = {
            each.subject: evaluate(
                registry.subjects[each.subject].consents, use, evidence[each.subject]
            )
            for each in found.likenesses
            if registry is not None
        }
        verdict = judge(
            found,
            outside=_outside(found, case, about.language),
            consents=answers,
            names=names,
            margin=case.settings.margin,
        )
        verdict = verdict.model_copy(
            update={"reasons": (*verdict.reasons, *_caveats(entry, found, about.language))}
        )
        rows.append(
            Row(
                entry.id,
                entry.shown,
                "recording",
                verdict,
                found,
                entry.size_bytes,
                use,
                about.language,
                same.get(entry.id, ()),
            )
        )
    return rows + [_not_compared(subject, why, names) for subject, why in case.missing.items()]


def exit_code(rows: list[Row]) -> int:
    """0 clean, 1 findings, 3 inconclusive (weak support decides nothing), 4 none was examined."""
    levels = [row.verdict.level for row in rows]
    recordings = [row for row in rows if row.kind != "registry"]
    counted = [row for row in recordings if row.verdict.level != Level.SKIPPED]
    if Level.FINDING in levels:
        return FINDINGS
    if all(row.verdict.level == Level.UNEXAMINED for row in counted):
        return FAILED
    return CLEAN if set(levels) <= {Level.CLEAR, Level.SKIPPED} else INCONCLUSIVE


def _outside(found: Examination, case: Case, language: str) -> list[str]:
    return outside(_condition(found), case.settings.limits, language)


def _condition(found: Examination) -> Condition:
    assert found.sound is not None
    sound = found.sound
    return Condition(sound.speech_s, sound.snr_db, sound.band_hz, sound.clipped_share)


def _caveats(entry: InventoryEntry, found: Examination, language: str) -> list[str]:
    caveats = []
    if not language:
        caveats.append("the language was not declared: the ratios hold for the validated ones")
    if found.sound is not None and found.sound.snr_db is None:
        caveats.append("the SNR could not be measured (too little besides speech)")
    if found.likenesses and not tells_apart(_condition(found)):
        caveats.append(
            f"band below {APART_BAND_HZ / 1000:g} kHz or SNR below {APART_SNR_DB:g} dB: "
            "a low likeness was not read as somebody else's voice"
        )
    if entry.promises_no_recording and found.sound is not None:
        caveats.append(f"its name hides that it holds {found.sound.container} audio")
    return caveats


def _unexamined(entry: InventoryEntry, found: Examination | None) -> Row:
    reason = entry.reason or (found.reason if found else "not examined yet")
    skipped = entry.kind == "link inside" or (
        entry.promises_no_recording and found is not None and found.not_audio
    )
    if skipped:
        headline = "listed only: " + (entry.reason or f"not a recording ({reason})")
        verdict = Verdict(level=Level.SKIPPED, headline=headline, reasons=())
    else:
        headline = f"could not be examined: {reason}"
        verdict = Verdict(level=Level.UNEXAMINED, headline=headline, reasons=(reason,))
    return Row(entry.id, entry.shown, "other", verdict, found, entry.size_bytes)


def _not_compared(subject: str, why: str, names: dict[str, str]) -> Row:
    name = names.get(subject, subject)
    headline = f"{name} was not compared with any recording: {why}"
    verdict = Verdict(level=Level.INCONCLUSIVE, headline=headline, reasons=(why,))
    return Row(f"subject-{subject}", f"registry: {subject}", "registry", verdict)


def _equal_sounds(case: Case) -> dict[str, tuple[str, ...]]:
    """For each recording the names of the others with the same samples (or the same bytes)."""
    groups: dict[str, list[InventoryEntry]] = defaultdict(list)
    for entry in case.inventory:
        found = case.examinations.get(entry.id)
        if found is not None and (key := found.sha256_pcm or found.sha256_bytes):
            groups[key].append(entry)
    return {
        entry.id: tuple(other.shown for other in group if other.id != entry.id)
        for group in groups.values()
        if len(group) > 1
        for entry in group
    }
