"""What the tests of the audit share."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from sts_eval.audit.items import Item


def load_benchmark(name: str) -> ModuleType:
    """A script of tests/benchmarks, which is no package: by its path."""
    file = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_benchmark", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def item(
    name: str, family: str = "", speaker: str = "", codec: str = "none", group: str = ""
) -> Item:
    """A recording of a made-up corpus; without a family it is genuine."""
    return Item(
        path=Path(f"{name}.wav"),
        label="spoof" if family else "bonafide",
        speaker=speaker,
        attack=family,
        family=family,
        codec=codec,
        group=group or name,
        corpus="test",
    )
