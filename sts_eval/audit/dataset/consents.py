"""Issues about consent to training, of the speakers that a manifest names."""

from __future__ import annotations

from collections import defaultdict

from sts_eval.audit.case.records import Level
from sts_eval.audit.dataset.issues import Issue, count
from sts_eval.audit.dataset.plan import Dataset
from sts_eval.audit.voices.consent import (
    ConsentAnswer,
    ConsentStatus,
    Use,
    check_evidence,
    evaluate,
)


class Consents:
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


def consent_issues(data: Dataset, consents: Consents) -> list[Issue]:
    """Speakers without valid consent, and recordings that name nobody."""
    if consents.skipped:
        return []
    by_speaker: dict[str, list[str]] = defaultdict(list)
    for entry in data.inventory:
        heard = data.recordings.get(entry.id)
        if heard is not None and heard.status == "examined":
            by_speaker[data.manifest.about(entry).speaker].append(entry.id)
    issues = []
    if unknown := tuple(by_speaker.pop("", ())):
        said = f"{count(unknown, 'recording')} without a named speaker: consent unknown"
        issues.append(Issue("unknown speaker", Level.INCONCLUSIVE, said, unknown))
    if consents.registry is None:
        if by_speaker:
            said = f"the consent of {count(by_speaker, 'speaker')} was not checked: no registry"
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
        said = f"speaker {speaker}, {count(keys, 'recording')}: {status}"
        issues.append(Issue("consent", Level.FINDING, said, tuple(keys), speaker, reasons))
    return issues
