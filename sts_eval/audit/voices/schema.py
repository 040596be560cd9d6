"""voices.yaml: the people an audit compares with, and their consents.

    schema: sts-eval/voices/1
    subjects:
      alice:
        name: Alice Example
        enrolment:                    # written by `sts-eval audit enroll`, not by hand
          encoder: dvector 1
          sha256: 9f86d081884c7d65...
          files: 3
          speech_s: 41.2
          enrolled: 2026-03-01
          expires: 2027-03-01
        consents:
          - scope: [synthesis]
            purpose: [audiobook]      # or [any]
            from: 2026-01-01
            until: 2026-12-31         # may be left out
            revoked: 2026-09-30       # may be left out
            evidence: {file: consents/alice.pdf, sha256: 2c26b46b68ffc68f...}

Strict: an unknown key, a bad date or an impossible order of dates is an error with its line. The
file of a person's embeddings follows from the id, so the registry cannot point it elsewhere;
evidence lies in the registry's folder or below.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from sts_eval.audit import AuditError
from sts_eval.yamlfile import SuiteError, SuiteErrors, YamlDocument, explain, read_yaml

SCHEMA: Literal["sts-eval/voices/1"] = "sts-eval/voices/1"
ID_PATTERN = r"^\w[\w-]{0,63}$"
ANY = "any"

Scope = Literal["synthesis", "conversion", "training", "evaluation"]
"""synthesis: speech made in the voice; conversion: other speech turned into the voice; training:
recordings used to train a model; evaluation: recordings used to test one."""


def _inside(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path or not path:
        raise ValueError("must be a path inside the folder of the registry")
    return path


def _plain_date(value: object) -> object:
    # PyYAML reads 2026-01-01 as a date already; a time of day or a number is a mistake.
    if isinstance(value, datetime.datetime) or not isinstance(value, (datetime.date, str)):
        raise ValueError("must be a date such as 2026-01-31")
    return value


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
InnerPath = Annotated[str, Field(max_length=500), AfterValidator(_inside)]
Day = Annotated[datetime.date, BeforeValidator(_plain_date)]
Word = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^\S(.*\S)?$")]
SubjectId = Annotated[str, Field(pattern=ID_PATTERN)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )


class EvidenceFile(_Strict):
    """The document that shows a consent, and its SHA-256."""

    file: InnerPath
    sha256: Sha256


class Consent(_Strict):
    """What somebody agreed to. Both ends of the period belong to it; a revocation begins its day.

    purpose: the uses it was given for, in the auditor's own words; "any" admits every use.
    """

    scope: Annotated[tuple[Scope, ...], Field(min_length=1)]
    purpose: Annotated[tuple[Word, ...], Field(min_length=1)]
    valid_from: Day = Field(alias="from")
    valid_until: Day | None = Field(None, alias="until")
    revoked: Day | None = None
    evidence: EvidenceFile

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise ValueError("`until` lies before `from`")
        if self.revoked is not None and self.revoked < self.valid_from:
            raise ValueError("`revoked` lies before `from`")
        return self


class Enrolment(_Strict):
    """What the embeddings of a subject were made from; the file is named after the subject's id.

    encoder: name and version of the speaker encoder: embeddings of another one cannot be compared.
    """

    encoder: Annotated[str, Field(min_length=1, max_length=200)]
    sha256: Sha256
    files: Annotated[int, Field(ge=1)]
    speech_s: Annotated[float, Field(gt=0)]
    enrolled: Day
    expires: Day

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.expires <= self.enrolled:
            raise ValueError("`expires` must lie after `enrolled`")
        return self


class Subject(_Strict):
    """A person."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    enrolment: Enrolment | None = None
    consents: tuple[Consent, ...] = ()


class RegistryModel(_Strict):
    """voices.yaml as written."""

    schema_: Literal["sts-eval/voices/1"] = Field(alias="schema")
    subjects: dict[SubjectId, Subject] = {}


@dataclass(frozen=True)
class VoiceRegistry:
    """A checked registry: its file, its content and the SHA-256 of its bytes."""

    path: Path
    model: RegistryModel
    document: YamlDocument
    sha256: str

    @property
    def subjects(self) -> dict[str, Subject]:
        """Subjects by id."""
        return self.model.subjects

    @property
    def embeddings_folder(self) -> Path:
        """Where the embeddings lie: `voices.yaml` -> `voices.embeddings/`."""
        return self.path.with_name(f"{self.path.stem}.embeddings")

    def embeddings_file(self, subject_id: str) -> Path:
        """The file of a subject. Raises ValueError for an id that is no id."""
        if not re.match(ID_PATTERN, subject_id):
            raise ValueError(f"{subject_id!r} is not an id")
        return self.embeddings_folder / f"{subject_id}.safetensors"

    def find(self, name: str) -> str | None:
        """The id of a subject by its id or its name; None if there is none or more than one."""
        if name in self.subjects:
            return name
        named = [each for each, subject in self.subjects.items() if subject.name == name]
        return named[0] if len(named) == 1 else None


def load_registry(path: Path) -> VoiceRegistry:
    """Read and check voices.yaml. Raises SuiteErrors naming every mistake and its line."""
    document = read_yaml(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return VoiceRegistry(path, check(document), document, digest)


def registry_as_it_was(path: str | None, sha256: str) -> VoiceRegistry | None:
    """The registry that an audit began with; None without one. Raises AuditError, SuiteErrors."""
    if path is None:
        return None
    registry = load_registry(Path(path))
    if registry.sha256 != sha256:
        raise AuditError(f"{path} has changed since the audit began: start it anew")
    return registry


def check(document: YamlDocument) -> RegistryModel:
    """The content of a registry. Raises SuiteErrors."""
    if not isinstance(document.data, dict):
        message = f"a registry is a mapping that begins with `schema: {SCHEMA}`"
        raise SuiteErrors([SuiteError(document.file, 1, message)])
    try:
        return RegistryModel.model_validate(document.data)
    except ValidationError as error:
        raise SuiteErrors(explain(error, document, (), RegistryModel)) from error
