"""Change one subject of voices.yaml and leave the rest of the file, comments included, as it is.

The lines of the subject are found by the YAML parser and replaced as text. The result is parsed
again: unless it says exactly what was meant (flow style, odd indentation), the file is written anew
by PyYAML, which keeps the content but not the comments.
"""

from __future__ import annotations

import copy
from typing import Any

import yaml

from sts_eval.audit.voices.schema import Enrolment, VoiceRegistry, check
from sts_eval.trace import write_text_atomic
from sts_eval.yamlfile import SuiteErrors, parse_yaml


def put_subject(registry: VoiceRegistry, subject: str, name: str, enrolment: Enrolment) -> None:
    """Add a subject with an enrolment, or replace the enrolment of one. Raises SuiteErrors."""
    data = copy.deepcopy(registry.document.data)
    data["subjects"] = data.get("subjects") or {}
    entry = data["subjects"].setdefault(subject, {"name": name})
    entry["enrolment"] = enrolment.model_dump()
    _write(registry, data, subject, entry)


def remove_subject(registry: VoiceRegistry, subject: str) -> None:
    """Take a subject out of the file."""
    data = copy.deepcopy(registry.document.data)
    del data["subjects"][subject]
    _write(registry, data, subject, None)


def _write(
    registry: VoiceRegistry, data: dict[str, Any], subject: str, entry: dict[str, Any] | None
) -> None:
    text = _edited(registry.document.text, subject, entry)
    try:
        if text is None or parse_yaml(text, registry.path.name).data != data:
            text = _dumped(data)
    except SuiteErrors:
        text = _dumped(data)
    check(parse_yaml(text, str(registry.path)))
    write_text_atomic(registry.path, text)


def _edited(text: str, subject: str, entry: dict[str, Any] | None) -> str | None:
    """The text with the lines of one subject replaced; None where they cannot be told apart."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return None
    subjects = next((value for key, value in root.value if key.value == "subjects"), None)
    if not isinstance(subjects, yaml.MappingNode) or subjects.flow_style or not subjects.value:
        return None
    lines = text.splitlines(keepends=True)
    indent = subjects.value[0][0].start_mark.column
    # A value ends where the next token begins: blank lines and comments between belong to that.
    start = stop = _last_line(lines, subjects.value[-1][1])
    for key, value in subjects.value:
        if str(key.value) == subject:
            start, stop = key.start_mark.line, _last_line(lines, value)
            break
    new = ""
    if entry is not None:
        dumped = _dumped({subject: entry})
        new = "".join(" " * indent + line for line in dumped.splitlines(keepends=True))
        if start and not lines[start - 1].endswith("\n"):
            new = "\n" + new
    elif len(subjects.value) == 1:
        return None
    return "".join(lines[:start]) + new + "".join(lines[stop:])


def _last_line(lines: list[str], value: yaml.Node) -> int:
    """The line after the last one of a value that is neither blank nor a comment."""
    end: int = value.end_mark.line + (1 if value.end_mark.column else 0)
    while end > 0 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return end


def _dumped(data: dict[str, Any]) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=False)
