"""One kind of registry for targets, probes, faults and judges: explicit entries, loud failures.

An entry is a lazy import ("module:attribute"), so that listing names imports nothing heavy. A
duplicate or an unknown name raises with the candidates; plug-ins from outside are reached as
`python:module:attribute` where the registry allows it.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


class RegistryError(Exception):
    """An unknown, duplicate or unloadable name. The message names the candidates."""


@dataclass(frozen=True)
class Entry:
    """A registered name: where it lives and one line about it."""

    name: str
    path: str
    summary: str
    extra: str = ""


def nearest(name: str, candidates: Iterable[str]) -> str:
    """' - did you mean X?' for the closest candidate, or the list of all, or ''."""
    known = sorted(candidates)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f" - did you mean {close[0]!r}?"
    return f" (known: {', '.join(known)})" if known else ""


class Registry:
    """Names -> lazily imported attributes."""

    def __init__(self, what: str, entries: Iterable[Entry]) -> None:
        self.what = what
        self._entries: dict[str, Entry] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Register; a duplicate name raises RegistryError."""
        if entry.name in self._entries:
            raise RegistryError(f"{self.what} {entry.name!r} is registered twice")
        self._entries[entry.name] = entry

    def entries(self) -> Mapping[str, Entry]:
        """All entries by name."""
        return dict(self._entries)

    def load(self, name: str) -> Any:
        """Import and return the attribute behind a name. Raises RegistryError."""
        if name not in self._entries:
            raise RegistryError(f"unknown {self.what} {name!r}{nearest(name, self._entries)}")
        entry = self._entries[name]
        try:
            return _import(entry.path)
        except ModuleNotFoundError as error:
            hint = f": pip install 'sts-eval[{entry.extra}]'" if entry.extra else ""
            raise RegistryError(
                f"{self.what} {name!r} needs the package {error.name!r}{hint}"
            ) from error


def load_attribute(path: str) -> Any:
    """Import a user's "package.module:attribute"; whatever goes wrong is a RegistryError."""
    try:
        return _import(path)
    except RegistryError:
        raise
    except Exception as error:
        raise RegistryError(f"{path!r} cannot be imported: {error}") from error


def _import(path: str) -> Any:
    module, _, attribute = path.partition(":")
    if not module or not attribute:
        raise RegistryError(f"{path!r} is not of the form module:attribute")
    loaded = importlib.import_module(module)
    try:
        return getattr(loaded, attribute)
    except AttributeError:
        raise RegistryError(f"module {module!r} has no attribute {attribute!r}") from None
