"""What the audit of a set finds: one issue, and how its words are made."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass

from sts_eval.audit.case.records import Level
from sts_eval.wording import counted


@dataclass(frozen=True)
class Issue:
    """One thing to look at. files: ids; speaker: as named; reasons: what it rests on."""

    kind: str
    level: Level
    headline: str
    files: tuple[str, ...] = ()
    speaker: str = ""
    reasons: tuple[str, ...] = ()


def count(things: Sized, noun: str) -> str:
    """How many there are of things, in words."""
    return counted(len(things), noun)
