"""Who speaks in a folder of recordings, and whether they agreed to what is done with their voices.

    speakers:
      ann:
        user_in: ["calls/*.wav"]          # shell patterns of paths in the folder
        consent:
          status: granted
          scope: [training]
          date: 2026-05-04
          evidence: forms/ann.pdf
      bob:
        agent_in: ["calls/*.wav", "studio/*"]
        consent: {status: granted, scope: [training, voice], date: 2026-05-04, evidence: contract 7}
        split: train                      # any other name is held out of training

Consent is never assumed: without a `consent` field, with `unknown`, `refused` or `withdrawn`,
out of its scope or past its `until`, nothing of that speaker is heard by a recogniser or written. A
user is learnt from (`training`); an agent is also imitated (`voice`).
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from sts_core.train.config import ConfigError, compose_yaml, from_node

USER, AGENT = "user", "agent"
ROLES = (USER, AGENT)
STATUSES = ("granted", "refused", "withdrawn", "unknown")
SCOPES = ("training", "voice")
NEEDED = {USER: ("training",), AGENT: ("training", "voice")}
_NAME = re.compile(r"[\w][\w.@-]{0,63}")


@dataclass(frozen=True)
class Consent:
    """What a speaker agreed to, when, and where that is written down."""

    status: str
    scope: tuple[str, ...] = ()
    date: datetime.date | None = None
    evidence: str = ""
    until: datetime.date | None = None

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(STATUSES)}, got {self.status!r}")
        unknown = sorted(set(self.scope) - set(SCOPES))
        if unknown:
            raise ValueError(f"scope knows {', '.join(SCOPES)}, not {', '.join(unknown)}")
        if self.status == "granted":
            given = {"scope": self.scope, "date": self.date, "evidence": self.evidence.strip()}
            missing = [name for name, value in given.items() if not value]
            if missing:
                raise ValueError(f"granted consent needs {', '.join(missing)}")

    def __str__(self) -> str:
        if self.status != "granted":
            return self.status
        until = f" until {self.until}" if self.until else ""
        return f"granted {self.date}{until} ({', '.join(self.scope)}): {self.evidence}"


@dataclass(frozen=True)
class Speaker:
    """One person. `user_in` and `agent_in`: in which files the person has that role."""

    user_in: tuple[str, ...] = ()
    agent_in: tuple[str, ...] = ()
    consent: Consent | None = None
    split: str = "train"
    lang: str = "en"

    def __post_init__(self) -> None:
        if not (self.user_in or self.agent_in):
            raise ValueError("a speaker needs user_in or agent_in: the files they speak in")
        for name in (self.split, self.lang):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a split or a language")

    def speaks_in(self, path: str, role: str) -> bool:
        """Whether a file of the folder (its relative POSIX path) is one of this person's."""
        patterns = self.user_in if role == USER else self.agent_in
        return any(fnmatchcase(path, pattern) for pattern in patterns)

    def refusal(self, role: str, today: datetime.date) -> str | None:
        """Why the recordings of this person may not be used in that role, or None."""
        consent = self.consent
        if consent is None:
            return "no consent field"
        if consent.status != "granted":
            return f"consent is {consent.status}"
        assert consent.date is not None
        if consent.date > today:
            return f"consent is dated {consent.date}, which is yet to come"
        if consent.until is not None and consent.until < today:
            return f"consent ended on {consent.until}"
        missing = [scope for scope in NEEDED[role] if scope not in consent.scope]
        return f"consent does not cover {' and '.join(missing)}" if missing else None


@dataclass(frozen=True)
class Speakers:
    """Everybody in a folder, by name."""

    by_name: dict[str, Speaker] = field(default_factory=dict)

    def who(self, path: str, role: str) -> list[str]:
        """Names of those who have a role in a file; more than one is a contradiction."""
        return [name for name, person in self.by_name.items() if person.speaks_in(path, role)]


def load_speakers(file: Path) -> Speakers:
    """Read a speakers file.

    Raises:
        ConfigError: unreadable, an unknown key, a name given twice, a value of the wrong type, or
            granted consent without scope, date and evidence; it names the line.
    """
    top = _pairs(compose_yaml(file), str(file))
    if [key for key, _ in top] != ["speakers"]:
        raise ConfigError(f"{file}: expected one key, 'speakers', with a name under it for each")
    people: dict[str, Speaker] = {}
    for name, person in _pairs(top[0][1], str(file)):
        where = f"{file}:{person.start_mark.line + 1}"
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{where}: {name!r}: names have letters, digits and . _ - @ only")
        if name in people:
            raise ConfigError(f"{where}: {name!r} is given twice")
        people[name] = from_node(Speaker, _spelled_out(person), str(file))
    return Speakers(people)


def _pairs(node: yaml.Node | None, file: str) -> list[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode) or not node.value:
        line = f":{node.start_mark.line + 1}" if node is not None else ""
        raise ConfigError(f"{file}{line}: expected 'key: value' lines")
    return [(str(key.value), value) for key, value in node.value]


def _spelled_out(node: yaml.Node) -> yaml.Node:
    """`consent: unknown` as the mapping it stands for; `granted` alone lacks its evidence."""
    if not isinstance(node, yaml.MappingNode):
        return node
    pairs = []
    for key, value in node.value:
        if key.value == "consent" and isinstance(value, yaml.ScalarNode):
            status = yaml.ScalarNode("tag:yaml.org,2002:str", "status", key.start_mark)
            said = yaml.ScalarNode("tag:yaml.org,2002:str", value.value, value.start_mark)
            value = yaml.MappingNode(
                "tag:yaml.org,2002:map", [(status, said)], value.start_mark, value.end_mark
            )
        pairs.append((key, value))
    return yaml.MappingNode(node.tag, pairs, node.start_mark, node.end_mark)
