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

A likeness is judged as in the audit of recordings (`verdicts.likeness_of`): decisive at ten to one
or as many as there are people, whole interval above one; enrolled people and evaluation voices are
two searches. A ratio never says that a voice *is* somebody's. Sentences count from
`LEAST_WORDS` words on: shorter ones ("Hang on a moment") are anybody's.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Final

from sts_eval.audit.case.inventory import InventoryEntry
from sts_eval.audit.case.ratio import verbal
from sts_eval.audit.case.records import Level, Likeness
from sts_eval.audit.case.rows import CLEAN, FAILED, FINDINGS, INCONCLUSIVE
from sts_eval.audit.case.verdicts import RESEMBLES, UNDECIDED, likeness_of, numbers
from sts_eval.audit.dataset.copies import Copy, Track, find_copies, groups
from sts_eval.audit.dataset.listen import Heard, load_print
from sts_eval.audit.dataset.plan import ENROLLED, EVALUATION, Dataset
from sts_eval.audit.voices.consent import (
    ConsentAnswer,
    ConsentStatus,
    Use,
    check_evidence,
    evaluate,
)

LEAST_WORDS: Final = 4


@dataclass(frozen=True)
class Issue:
    """One thing to look at. files: ids; speaker: as named; reasons: what it rests on."""

    kind: str
    level: Level
    headline: str
    files: tuple[str, ...] = ()
    speaker: str = ""
    reasons: tuple[str, ...] = ()


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
    consents = _Consents(data)
    issues = [
        *_copies(data),
        *_texts(data),
        *_consent(data, consents),
        *_voices(data, consents),
        *_unexamined(data),
    ]
    if data.manifest.problems:
        said = f"{_count(data.manifest.problems, 'line')} of the manifest cannot be used"
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


def _rows(data: Dataset, consents: _Consents, issues: Sequence[Issue]) -> list[FileRow]:
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


def _copies(data: Dataset) -> list[Issue]:
    tracks = _tracks(data, data.recordings, "recording")
    within, of_known = find_copies(tracks, _tracks(data, data.prints, "print"))
    entries = {entry.id: entry for entry in data.inventory}
    issues = []
    for members, copies in groups(within):
        splits = sorted({data.manifest.about(entries[each]).split for each in members} - {""})
        names = ", ".join(entries[each].shown for each in members[:6])
        names += f" and {len(members) - 6} more" if len(members) > 6 else ""
        reasons = tuple(
            _copy_words(c, entries[c.one].shown, entries[c.other].shown) for c in copies
        )
        kind, said = "duplicate", f"one recording {len(members)} times: {names}"
        if len(splits) > 1:
            kind, said = "split leak", f"one recording in {' and '.join(splits)}: {names}"
        issues.append(Issue(kind, Level.FINDING, said, tuple(members), "", reasons))
    by_track: dict[str, list[Copy]] = defaultdict(list)
    for copy in of_known:
        by_track[copy.one].append(copy)
    for key, copies in by_track.items():
        shown = entries[key].shown
        known = [data.evaluation[copy.other].shown for copy in copies]
        reasons = tuple(
            _copy_words(copy, shown, name) for copy, name in zip(copies, known, strict=True)
        )
        said = f"{shown}: a recording of the evaluation set, {known[0]}"
        issues.append(Issue("evaluation recording", Level.FINDING, said, (key,), "", reasons))
    bad = [key for key, heard in data.prints.items() if heard.status != "examined"]
    if bad:
        reasons = tuple(f"{data.evaluation[k].shown}: {data.prints[k].reason}" for k in bad[:50])
        said = f"{_count(bad, 'recording')} of the evaluation set could not be read"
        issues.append(Issue("not compared", Level.INCONCLUSIVE, said, reasons=reasons))
    return issues


def _tracks(data: Dataset, heard: dict[str, Heard], kind: str) -> list[Track]:
    return [
        Track(key, each.sha256_bytes, each.sha256_pcm, load_print(data.work, kind, key))
        for key, each in sorted(heard.items())
        if each.status == "examined"
    ]


def _copy_words(copy: Copy, one: str, other: str) -> str:
    if copy.how != "matching landmarks":
        return f"{one} and {other}: {copy.how}"
    return f"{one} and {other}: {copy.share:.0%} of the landmarks agree over {copy.seconds:.1f} s"


def _texts(data: Dataset) -> list[Issue]:
    known: dict[str, str] = {}
    for item in data.evaluation.values():
        known.setdefault(_plain(item.text), item.shown)
    by_text: dict[str, list[str]] = defaultdict(list)
    for entry in data.inventory:
        text = _plain(data.manifest.about(entry).text)
        if entry.kind == "file" and len(text.split()) >= LEAST_WORDS and text in known:
            by_text[text].append(entry.id)
    return [
        Issue(
            "evaluation text",
            Level.FINDING,
            f"{_count(keys, 'recording')} with a sentence of the evaluation set "
            f"({known[text]}): {text[:80]}",
            tuple(keys),
        )
        for text, keys in by_text.items()
    ]


def _count(things: Sized, noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)?", text.casefold().replace("\u2019", "'")))


class _Consents:
    """Answers about training, by the name of a speaker or the id of a subject."""

    def __init__(self, data: Dataset) -> None:
        self.registry = data.registry
        self.skipped = "consent" in data.settings.skip
        self._use = Use("training", data.settings.purpose, data.settings.day)
        self._evidence = (
            {each: check_evidence(self.registry, each) for each in self.registry.subjects}
            if self.registry
            else {}
        )

    def of(self, subject: str) -> ConsentAnswer:
        """The answer for a subject of the registry."""
        assert self.registry is not None
        consents = self.registry.subjects[subject].consents
        return evaluate(consents, self._use, self._evidence[subject])

    def subject(self, speaker: str) -> str | None:
        """The subject that a manifest names, by id or name."""
        return self.registry.find(speaker) if self.registry and speaker else None

    def words(self, speaker: str) -> str:
        """One word or two for a table."""
        if self.skipped:
            return "not checked"
        if not speaker:
            return "unknown speaker"
        if self.registry is None:
            return "not checked"
        subject = self.subject(speaker)
        return str(self.of(subject).status if subject else ConsentStatus.NONE)

    def name(self, subject: str) -> str:
        """The name of a subject."""
        return self.registry.subjects[subject].name if self.registry else subject


def _consent(data: Dataset, consents: _Consents) -> list[Issue]:
    if consents.skipped:
        return []
    by_speaker: dict[str, list[str]] = defaultdict(list)
    for entry in data.inventory:
        heard = data.recordings.get(entry.id)
        if heard is not None and heard.status == "examined":
            by_speaker[data.manifest.about(entry).speaker].append(entry.id)
    issues = []
    if unknown := tuple(by_speaker.pop("", ())):
        said = f"{_count(unknown, 'recording')} without a named speaker: consent unknown"
        issues.append(Issue("unknown speaker", Level.INCONCLUSIVE, said, unknown))
    if consents.registry is None:
        if by_speaker:
            said = f"the consent of {_count(by_speaker, 'speaker')} was not checked: no registry"
            files = tuple(key for keys in by_speaker.values() for key in keys)
            issues.append(Issue("consent", Level.INCONCLUSIVE, said, files))
        return issues
    for speaker, keys in sorted(by_speaker.items()):
        subject = consents.subject(speaker)
        if subject is None:
            many = sum(each.name == speaker for each in consents.registry.subjects.values()) > 1
            why = "the registry has several of this name" if many else "not in the registry"
            reasons: tuple[str, ...] = (why,)
            status = "no consent on file"
        else:
            answer = consents.of(subject)
            if answer.status == ConsentStatus.CONSENTED:
                continue
            reasons, status = answer.reasons, f"consent to training: {answer.status}"
        said = f"speaker {speaker}, {_count(keys, 'recording')}: {status}"
        issues.append(Issue("consent", Level.FINDING, said, tuple(keys), speaker, reasons))
    return issues


def _voices(data: Dataset, consents: _Consents) -> list[Issue]:
    if not data.settings.encoder:
        return []
    entries = {entry.id: entry for entry in data.inventory}
    by_speaker: dict[str, list[str]] = defaultdict(list)
    issues = [*_not_compared(data, consents)]
    alone: list[tuple[str, str]] = []
    for key, heard in sorted(data.recordings.items()):
        if heard.status != "examined":
            continue
        speaker = data.manifest.about(entries[key]).speaker
        by_speaker[speaker].append(key)
        if heard.likenesses:
            issues += _likeness(data, consents, heard, (key,), speaker, entries[key].shown)
        elif not speaker and data.compared:
            alone.append((key, "; ".join(heard.outside) or "no stretch long enough to compare"))
    for speaker, heard in sorted(data.speakers.items()):
        keys = tuple(by_speaker.get(speaker, ()))
        if heard.likenesses:
            issues += _likeness(data, consents, heard, keys, speaker, f"speaker {speaker}")
        elif keys and data.compared:
            why = "; ".join(heard.outside) or heard.reason or "no stretch long enough"
            said = f"the voice of speaker {speaker} was not compared: {why}"
            issues.append(Issue("not compared", Level.INCONCLUSIVE, said, keys, speaker))
    if alone:
        said = f"the voice in {_count(alone, 'recording')} without a speaker was not compared"
        reasons = tuple(f"{entries[key].shown}: {why}" for key, why in alone[:50])
        keys = tuple(key for key, _ in alone)
        issues.append(Issue("not compared", Level.INCONCLUSIVE, said, keys, reasons=reasons))
    return issues


def _not_compared(data: Dataset, consents: _Consents) -> list[Issue]:
    """People and voices nothing was compared with, where that could hide something."""
    issues = []
    for key, why in data.not_compared.items():
        if key.startswith(ENROLLED):
            subject = key.removeprefix(ENROLLED)
            if consents.skipped or consents.of(subject).status == ConsentStatus.CONSENTED:
                continue
            who = consents.name(subject)
        else:
            who = f"the evaluation voice {key.removeprefix(EVALUATION)}"
        said = f"{who} was not compared with any recording: {why}"
        issues.append(Issue("not compared", Level.INCONCLUSIVE, said))
    return issues


def _likeness(
    data: Dataset,
    consents: _Consents,
    heard: Heard,
    files: tuple[str, ...],
    speaker: str,
    shown: str,
) -> list[Issue]:
    """Issues of one voice: of a recording, or of a speaker's recordings together."""
    # One recording of a named speaker decides nothing by being undecided: the speaker's voice does.
    tell_undecided = heard.kind == "voice" or not speaker
    issues = []
    for prefix, what in ((ENROLLED, "enrolled person"), (EVALUATION, "evaluation voice")):
        found = [each for each in heard.likenesses if each.subject.startswith(prefix)]
        if prefix == ENROLLED and consents.skipped:
            continue
        state, keys = likeness_of(found, data.settings.margin)
        subjects = [key.removeprefix(prefix) for key in keys]
        if prefix == ENROLLED:
            issues += _label(consents, found, files, speaker, shown)
        if state == UNDECIDED and tell_undecided:
            best = found[0]
            said = f"{shown}: undecided whether the voice resembles an {what}"
            reasons = (_ratio_words(best, len(found)),)
            issues.append(Issue("not decided", Level.INCONCLUSIVE, said, files, speaker, reasons))
        if state != RESEMBLES:
            continue
        named = tuple(_ratio_words(each, len(found)) for each in found if each.subject in keys)
        if prefix == EVALUATION:
            said = f"{shown}: the voice resembles the evaluation voice {' or '.join(subjects)}"
            issues.append(Issue("evaluation voice", Level.FINDING, said, files, speaker, named))
            continue
        # A named speaker's own consent is judged once, by name.
        others = [each for each in subjects if each != consents.subject(speaker)]
        answers = {each: consents.of(each) for each in others}
        lacking = [s for s, answer in answers.items() if answer.status != ConsentStatus.CONSENTED]
        if not lacking or len(others) < len(subjects):
            continue
        level = Level.FINDING if len(lacking) == len(subjects) else Level.INCONCLUSIVE
        people = " or ".join(consents.name(each) for each in subjects)
        said = f"{shown}: the voice resembles {people}, without valid consent to training"
        why = tuple(f"{consents.name(s)}: {line}" for s in lacking for line in answers[s].reasons)
        issues.append(Issue("resembles", level, said, files, speaker, (*named, *why)))
    return issues


def _label(
    consents: _Consents,
    found: Sequence[Likeness],
    files: tuple[str, ...],
    speaker: str,
    shown: str,
) -> list[Issue]:
    """A recording that names an enrolled person and decisively does not resemble them."""
    subject = consents.subject(speaker)
    own = next((each for each in found if each.subject == f"{ENROLLED}{subject}"), None)
    if own is None or not (-own.ratio).decisive():
        return []
    said = f"{shown}: named {speaker}, but does not resemble that person as enrolled"
    reasons = (
        _ratio_words(own, len(found)),
        "the consent of who is named may not be the one needed",
    )
    return [Issue("label", Level.INCONCLUSIVE, said, files, speaker, reasons)]


def _ratio_words(likeness: Likeness, among: int) -> str:
    name = likeness.subject.split(":", 1)[1]
    words = verbal(likeness.ratio, f"a likeness to {name}", "somebody else")
    return f"{name}, among {among} compared: {numbers(likeness.ratio)}, {words}"


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
