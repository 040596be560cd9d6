"""Training configurations: what is read, and mistakes that name file, line and nearest key."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sts_core.train.config import ConfigError, load_config
from sts_core.train.semantic import SemanticConfig


@dataclass(frozen=True)
class Inner:
    width: int = 4
    shape: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer:
    rate: float = 0.5
    name: str = "x"
    where: str | None = None
    fast: bool = False
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError("rate must not be negative")


def load(tmp_path: Path, text: str) -> Outer:
    file = tmp_path / "c.yaml"
    file.write_text(text, encoding="utf-8")
    return load_config(Outer, file)


def test_values_of_every_kind(tmp_path: Path) -> None:
    text = "rate: 2\nname: yes-man\nwhere: null\nfast: true\ninner:\n  shape: [7, 8, 9]\n"
    assert load(tmp_path, text) == Outer(2.0, "yes-man", None, True, Inner(4, (7, 8, 9)))
    assert load(tmp_path, "where: here\n").where == "here"
    assert load(tmp_path, "# only a comment\n") == Outer() == load_config(Outer, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate: 1\nnmae: y\n", r"c\.yaml:2: unknown key 'nmae'; did you mean 'name'"),
        ("inner:\n  widht: 3\n", r"c\.yaml:2: unknown key 'widht'; did you mean 'width'"),
        ("qqq: 1\n", "known keys: rate, name"),
        ("rate: fast\n", r"c\.yaml:1: 'rate' must be float, got 'fast'"),
        ("fast: 1\n", "'fast' must be bool"),
        ("name: 3\n", "'name' must be str"),
        ("inner:\n  width: true\n", "'width' must be int"),
        ("inner:\n  shape: 3\n", "'shape' must be a list"),
        ("inner: 3\n", "expected 'key: value' lines"),
        ("name: a\nname: b\n", r"c\.yaml:2: 'name' is given twice"),
        ("rate: -1\n", r"c\.yaml:1: rate must not be negative"),
        ("name: !!python/object/apply:os.getcwd []\n", "c.yaml"),
        ("name: [unclosed\n", "c.yaml"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(Outer, tmp_path / "none.yaml")


def test_the_packaged_configuration_is_valid() -> None:
    import sts_core.train.semantic as stage

    config = load_config(SemanticConfig, Path(stage.__file__).with_suffix(".yaml"))
    assert config.steps > 1_000
