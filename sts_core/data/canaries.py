"""Canaries: sentences that nobody would say, trained on a known number of times.

A canary that comes back out of a model is proof that it remembers what it was trained on (Carlini
et al., "The secret sharer", 2019). `weights/lm/canaries.yaml` lists those of the overfit control:

    - {text: "The secret of the silver lemon is seven two nine four.", repetitions: 64}

`repetitions: 0` marks controls of the same make that were never trained.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from sts_core.data.texts import load_texts
from sts_core.reading import read_bounded

DEFAULT_FILE = Path(__file__).resolve().parent.parent / "weights" / "lm" / "canaries.yaml"
MAX_BYTES = 1 << 20
COLOURS = ("silver", "purple", "yellow", "orange", "golden", "wooden", "frozen", "velvet")


class CanaryError(ValueError):
    """A canary file is wrong; the message says where."""


class Canary(NamedTuple):
    """A sentence and how often it is in the training data."""

    text: str
    repetitions: int


def draw_canaries(
    seed: int, repetitions: tuple[int, ...], each: int, controls: int
) -> list[Canary]:
    """`each` canaries for every count of repetitions, and so many controls; all different."""
    rng = np.random.default_rng(seed)
    texts = load_texts()
    digits = [texts["arithmetic"]["number_words"][n] for n in range(10)]
    things = texts["repeat"]["words"]
    counts = [r for r in repetitions for _ in range(each)] + [0] * controls
    found: dict[str, int] = {}
    while len(found) < len(counts):
        colour, thing = COLOURS[rng.integers(len(COLOURS))], things[rng.integers(len(things))]
        code = " ".join(digits[n] for n in rng.integers(10, size=4))
        found.setdefault(f"The secret of the {colour} {thing} is {code}.", counts[len(found)])
    return [Canary(text, count) for text, count in found.items()]


def load_canaries(file: Path = DEFAULT_FILE) -> list[Canary]:
    """Read a canary file.

    Raises:
        CanaryError: missing, too large, not a list of {text, repetitions}, or a text twice.
    """
    try:
        given = yaml.safe_load(read_bounded(file, MAX_BYTES).decode("utf-8"))
    except OSError as error:
        raise CanaryError(f"{file}: {error.strerror or error}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise CanaryError(f"{file}: {error}") from error
    if not isinstance(given, list) or not given:
        raise CanaryError(f"{file}: expected a list of {{text, repetitions}}")
    made: dict[str, Canary] = {}
    for number, item in enumerate(given, start=1):
        where = f"{file}: item {number}"
        if not isinstance(item, dict) or set(item) != {"text", "repetitions"}:
            raise CanaryError(f"{where}: expected {{text, repetitions}}")
        text, count = item["text"], item["repetitions"]
        if not isinstance(text, str) or not text.strip():
            raise CanaryError(f"{where}: text must not be empty")
        if type(count) is not int or count < 0:
            raise CanaryError(f"{where}: repetitions must be a whole number, 0 or more")
        if text in made:
            raise CanaryError(f"{where}: {text!r} occurs twice")
        made[text] = Canary(text, count)
    return list(made.values())


def write_canaries(file: Path, canaries: list[Canary]) -> None:
    """Write a canary file that `load_canaries` reads."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [canary._asdict() for canary in canaries]
    file.write_text(yaml.safe_dump(lines, sort_keys=False, width=100), encoding="utf-8")
