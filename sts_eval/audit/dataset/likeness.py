"""Issues about whose voice it is: enrolled people, voices of the evaluation set, wrong labels.

A likeness is judged as in the audit of recordings (`verdicts.likeness_of`): decisive at ten to one
or as many as there are people, whole interval above one; enrolled people and evaluation voices are
two searches. A ratio never says that a voice *is* somebody's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sts_eval.audit.case.ratio import verbal
from sts_eval.audit.case.records import Level, Likeness
from sts_eval.audit.case.verdicts import RESEMBLES, UNDECIDED, likeness_of, numbers
from sts_eval.audit.dataset.consents import Consents
from sts_eval.audit.dataset.issues import Issue, count
from sts_eval.audit.dataset.listen import Heard
from sts_eval.audit.dataset.plan import ENROLLED, EVALUATION, Dataset
from sts_eval.audit.voices.consent import ConsentStatus


def voice_issues(data: Dataset, consents: Consents) -> list[Issue]:
    """What the voices say, and which could not be compared."""
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
        said = f"the voice in {count(alone, 'recording')} without a speaker was not compared"
        reasons = tuple(f"{entries[key].shown}: {why}" for key, why in alone[:50])
        keys = tuple(key for key, _ in alone)
        issues.append(Issue("not compared", Level.INCONCLUSIVE, said, keys, reasons=reasons))
    return issues


def _not_compared(data: Dataset, consents: Consents) -> list[Issue]:
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
    consents: Consents,
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
    consents: Consents,
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
