"""Read an untrusted YAML file and keep the line of every key, so that each error can name it.

Only plain data: `yaml.SafeLoader`, at most 1 MB, no aliases (they serve attacks, not suites), no
duplicate keys (YAML would keep the last one silently).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from sts_core.reading import read_bounded
from sts_eval.registry import nearest

MAX_BYTES = 1_000_000
KeyPath = tuple[str | int, ...]


class SuiteError(Exception):
    """A suite file that cannot be used. `str()` is `file:line: message`."""

    def __init__(self, file: str, line: int | None, message: str) -> None:
        self.file, self.line, self.message = file, line, message
        where = file if line is None else f"{file}:{line}"
        super().__init__(f"{where}: {message}")


class SuiteErrors(Exception):
    """All the mistakes of one file, in the order of their lines."""

    def __init__(self, errors: list[SuiteError]) -> None:
        self.errors = sorted(errors, key=lambda error: error.line or 0)
        super().__init__("\n".join(str(error) for error in self.errors))


@dataclass(frozen=True)
class YamlDocument:
    """The data of a YAML file and the line (from 1) of every path in it."""

    file: str
    data: Any
    lines: dict[KeyPath, int]
    text: str

    def line(self, path: KeyPath) -> int | None:
        """Line of a path, or of its nearest ancestor."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None


def read_yaml(path: Path) -> YamlDocument:
    """Parse a file. Raises SuiteErrors with the line of the mistake."""
    name = str(path)
    try:
        text = read_bounded(path, MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise SuiteErrors([SuiteError(name, None, f"not UTF-8 text: {error.reason}")]) from error
    except OSError as error:
        raise SuiteErrors([SuiteError(name, None, error.strerror or str(error))]) from error
    return parse_yaml(text, name)


def parse_yaml(text: str, name: str) -> YamlDocument:
    """Parse YAML text; `name` is the file name for messages. Raises SuiteErrors."""
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.events.AliasEvent):
                mark = event.start_mark
                line = mark.line + 1 if mark else None
                raise SuiteErrors([SuiteError(name, line, "YAML aliases are not allowed")])
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise SuiteErrors(
            [SuiteError(name, mark.line + 1 if mark else None, f"not YAML: {error.problem}")]
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SuiteErrors([SuiteError(name, None, f"not YAML: {error}")]) from error
    lines: dict[KeyPath, int] = {}
    errors: list[SuiteError] = []
    if node is not None:
        _collect(node, (), lines, errors, name)
    if errors:
        raise SuiteErrors(errors)
    return YamlDocument(name, data, lines, text)


def _collect(
    node: yaml.Node,
    path: KeyPath,
    lines: dict[KeyPath, int],
    errors: list[SuiteError],
    name: str,
) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            label, line = str(key.value), key.start_mark.line + 1
            if label in seen:
                errors.append(SuiteError(name, line, f"the key {label!r} appears twice"))
            seen.add(label)
            lines[(*path, label)] = line
            _collect(value, (*path, label), lines, errors, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect(value, (*path, index), lines, errors, name)


def explain(
    error: ValidationError, document: YamlDocument, prefix: KeyPath, model: type[BaseModel]
) -> list[SuiteError]:
    """Pydantic's findings as `file:line: key: what is wrong - did you mean ...?`."""
    found = []
    for detail in error.errors(include_url=False):
        path: KeyPath = (*prefix, *detail["loc"])
        key = ".".join(str(part) for part in path) or "file"
        if detail["type"] == "extra_forbidden":
            fields = _fields_at(model, detail["loc"][:-1])
            message = f"unknown key {path[-1]!r}{nearest(str(path[-1]), fields)}"
        elif detail["type"] == "missing":
            message = f"missing key {path[-1]!r}"
        else:
            message = f"{key}: {detail['msg']} (got {_short(detail.get('input'))})"
        found.append(SuiteError(document.file, document.line(path), message))
    return found


def _fields_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Keys that are valid below a path of a model, as the file spells them."""
    current: Any = model
    for part in path:
        if get_origin(current) in (Union, UnionType):
            current = _model_in(current) or current
        inner = _model_in(current)
        if inner is None:
            return []
        if current is inner:
            field = inner.model_fields.get(str(part)) or _by_alias(inner, str(part))
            current = field.annotation if field else None
        else:  # `part` is the key of a mapping or the index of a list
            current = inner
    last = _model_in(current)
    return [field.alias or name for name, field in last.model_fields.items()] if last else []


def _by_alias(model: type[BaseModel], alias: str) -> Any:
    return next((field for field in model.model_fields.values() if field.alias == alias), None)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation is, or holds: `X`, `X | None`, `dict[str, X]`, `list[X]`."""
    if get_origin(annotation) is None:
        is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        return annotation if is_model else None
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
