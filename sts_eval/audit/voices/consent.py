"""Was there consent? One answer from the consents of a subject, with its reasons. Pure.

    consented      a consent covers the scope, the purpose and the day, and its evidence is intact
    revoked        one would, had it not been revoked by that day
    expired        one would, had it not ended (or not begun) by that day
    out of scope   there are intact consents, but none for this scope and purpose
    none           no consent with intact evidence

The day is that of the recording where it was declared, else of the audit. A use that was not
declared is covered only by a consent for any purpose: what is not known is not assumed in favour.
With several consents the answer nearest to "consented", in the order above, counts.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sts_eval.audit.voices.schema import ANY, Consent, Scope, VoiceRegistry

_BLOCK = 1 << 20


class ConsentStatus(StrEnum):
    """The five answers, from the best to the worst."""

    CONSENTED = "consented"
    REVOKED = "revoked"
    EXPIRED = "expired"
    OUT_OF_SCOPE = "out of scope"
    NONE = "none"


@dataclass(frozen=True)
class Use:
    """What was done with a voice: its kind, its purpose ("" if not declared) and its day."""

    scope: Scope
    purpose: str
    day: datetime.date


@dataclass(frozen=True)
class ConsentAnswer:
    """The status and, for each consent on file, one line about why it does or does not cover."""

    status: ConsentStatus
    reasons: tuple[str, ...]


def evaluate(
    consents: Sequence[Consent], use: Use, evidence_problems: Mapping[int, str] | None = None
) -> ConsentAnswer:
    """Answer for one subject.

    evidence_problems: by index of the consent, what is wrong with its evidence (`check_evidence`).
    """
    problems = evidence_problems or {}
    if not consents:
        return ConsentAnswer(ConsentStatus.NONE, ("no consent on file",))
    answers = [
        _one(consent, use, problems.get(index, "")) for index, consent in enumerate(consents)
    ]
    best = min(answers, key=lambda answer: _ORDER.index(answer[0]))[0]
    return ConsentAnswer(best, tuple(reason for _, reason in answers))


_ORDER = list(ConsentStatus)


def _one(consent: Consent, use: Use, problem: str) -> tuple[ConsentStatus, str]:
    about = f"consent from {consent.valid_from} for {_words(consent.scope)}"
    about += f" ({_words(consent.purpose)})"
    if problem:
        return ConsentStatus.NONE, f"{about}: not counted, {problem}"
    if use.scope not in consent.scope:
        return ConsentStatus.OUT_OF_SCOPE, f"{about}: does not cover {use.scope}"
    if ANY not in consent.purpose and use.purpose not in consent.purpose:
        asked = f"the purpose {use.purpose!r}" if use.purpose else "a purpose that is not declared"
        return ConsentStatus.OUT_OF_SCOPE, f"{about}: does not cover {asked}"
    if consent.revoked is not None and use.day >= consent.revoked:
        return ConsentStatus.REVOKED, f"{about}: revoked on {consent.revoked}"
    if use.day < consent.valid_from:
        return ConsentStatus.EXPIRED, f"{about}: not yet valid on {use.day}"
    if consent.valid_until is not None and use.day > consent.valid_until:
        return ConsentStatus.EXPIRED, f"{about}: ended on {consent.valid_until}"
    return ConsentStatus.CONSENTED, f"{about}: covers {use.scope} on {use.day}"


def _words(values: Sequence[str]) -> str:
    return ", ".join(values)


def check_evidence(registry: VoiceRegistry, subject_id: str) -> dict[int, str]:
    """Problems with the evidence of a subject's consents, by index: missing, linked, changed."""
    found: dict[int, str] = {}
    for index, consent in enumerate(registry.subjects[subject_id].consents):
        problem = _evidence_problem(registry.path.parent, consent)
        if problem:
            found[index] = problem
    return found


def _evidence_problem(folder: Path, consent: Consent) -> str:
    file = folder / consent.evidence.file
    name = consent.evidence.file
    try:
        if not file.resolve().is_relative_to(folder.resolve()):
            return f"its evidence {name!r} leads out of the folder of the registry"
        if not file.is_file():
            return f"its evidence {name!r} is missing"
        digest = hashlib.sha256()
        with file.open("rb") as handle:
            while block := handle.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        return f"its evidence {name!r} cannot be read ({error.strerror})"
    if digest.hexdigest() != consent.evidence.sha256:
        return f"its evidence {name!r} has changed (SHA-256 differs)"
    return ""
