"""What the tests of the audit share."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

from sts_eval.audio import write_flac
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


def folders(root: Path, speech: np.ndarray, n: int) -> tuple[list[Path], list[Path]]:
    """A person and a machine with `n` utterances of 3.4 s each."""
    utterance = np.resize(speech, round(3.4 * 24_000)).astype(np.float32)
    for folder, field in (("people", "speaker"), ("machines", "voice")):
        (root / folder).mkdir()
        rows = []
        for i in range(n):
            write_flac(root / folder / f"{i}.flac", utterance)
            row = {"path": f"{i}.flac", field: folder, "seconds": 3.4}
            rows.append(json.dumps(row | ({"engine": "espeak"} if field == "voice" else {})))
        (root / folder / "manifest.jsonl").write_text("\n".join(rows))
    return [root / "people"], [root / "machines"]
