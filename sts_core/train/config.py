"""Training configurations: YAML in, frozen dataclasses out, every mistake named with its line.

Config is data: no class paths, templates or code. A section of the file is a nested dataclass, and
what is not given keeps its default.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml

from sts_core.reading import read_bounded

MAX_CONFIG_BYTES = 1 << 20

T = TypeVar("T")


class ConfigError(ValueError):
    """A configuration file is wrong; the message names the file, the line and what was expected."""


def load_config(kind: type[T], file: Path | None) -> T:
    """The dataclass `kind` with the values of a YAML file (None: all defaults).

    Raises:
        ConfigError: unreadable, not a mapping, an unknown key, or a value of the wrong type.
    """
    node = None if file is None else compose_yaml(file)
    return kind() if node is None else from_node(kind, node, str(file))


def compose_yaml(file: Path) -> yaml.Node | None:
    """The nodes of a YAML file, which know their lines; None: it is empty. Raises ConfigError."""
    try:
        text = read_bounded(file, MAX_CONFIG_BYTES).decode("utf-8")
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: {error}") from error
    return node


def from_node(kind: type[T], node: yaml.Node, file: str) -> T:
    """The dataclass `kind` from a composed YAML node of `file`. Raises ConfigError."""
    where = f"{file}:{node.start_mark.line + 1}"
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{where}: expected 'key: value' lines")
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key, where = str(key_node.value), f"{file}:{key_node.start_mark.line + 1}"
        if key not in names:
            near = difflib.get_close_matches(key, names, 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(names)}"
            raise ConfigError(f"{where}: unknown key {key!r}; {hint}")
        if key in values:
            raise ConfigError(f"{where}: {key!r} is given twice")
        values[key] = _value(hints[key], value_node, key, file)
    try:
        return kind(**values)
    except ValueError as error:  # a dataclass may check its values in __post_init__
        raise ConfigError(f"{where}: {error}") from error


def _value(hint: Any, node: yaml.Node, key: str, file: str) -> Any:
    """The value of a node as the annotated type: int, float, bool, str, None, tuple, dataclass."""
    where = f"{file}:{node.start_mark.line + 1}"
    if dataclasses.is_dataclass(hint):
        return from_node(typing.cast(type, hint), node, file)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null") and type(None) in args:
            return None
        (hint,) = [arg for arg in args if arg is not type(None)]
        return _value(hint, node, key, file)
    if origin is tuple:
        if not isinstance(node, yaml.SequenceNode):
            raise ConfigError(f"{where}: {key!r} must be a list")
        return tuple(_value(args[0], item, key, file) for item in node.value)
    try:
        value = yaml.safe_load(yaml.serialize(node))
    except yaml.YAMLError as error:  # a tag that SafeLoader does not construct
        raise ConfigError(f"{where}: {key!r} must be {hint.__name__}: {error}") from error
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint:
        raise ConfigError(f"{where}: {key!r} must be {hint.__name__}, got {value!r}")
    return value
