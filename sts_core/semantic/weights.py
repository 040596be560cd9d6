"""Weights of the student on disk: safetensors in half precision, sizes in the header.

The header's metadata says what the file is (`format`), its version and the student's sizes, so that
a foreign or truncated file is refused before a number of it is used.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from sts_core.semantic.student import Student, StudentConfig, TextEncoder

FORMAT = "sts-core/semantic-student"
VERSION = 1
MAX_BYTES = 64 << 20
DEFAULT_FILE = Path(__file__).parent.parent / "weights" / "semantic" / "student.safetensors"


class WeightsError(ValueError):
    """A weights file is missing, truncated, foreign, or of another version."""


def save_student(file: Path, student: Student, text: TextEncoder) -> Path:
    """Write student and text encoder as float16; returns the file."""
    from safetensors.torch import save_file

    tensors = {f"student.{name}": value for name, value in student.state_dict().items()}
    tensors |= {f"text.{name}": value for name, value in text.state_dict().items()}
    half = {name: value.detach().cpu().half().contiguous() for name, value in tensors.items()}
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "config": json.dumps(dataclasses.asdict(student.config)),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(half, file, metadata=metadata)
    return file


def load_student(file: Path = DEFAULT_FILE) -> tuple[Student, TextEncoder]:
    """The student and its text encoder in evaluation mode, float32 on the CPU.

    Raises:
        WeightsError: names the file and what is wrong with it.
    """
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        raise WeightsError(f"{file}: no such weights file")
    if file.stat().st_size > MAX_BYTES:
        raise WeightsError(f"{file}: larger than {MAX_BYTES >> 20} MB, not a student")
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name).float() for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{file}: truncated or not safetensors: {error}") from error
    if metadata.get("format") != FORMAT or metadata.get("version") != str(VERSION):
        raise WeightsError(
            f"{file}: holds {metadata.get('format', 'something else')!r} version "
            f"{metadata.get('version', '?')}, expected {FORMAT!r} version {VERSION}"
        )
    try:
        given = json.loads(metadata["config"])
        sizes: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in given.items()
        }
        config = StudentConfig(**sizes)
        student, text = Student(config), TextEncoder(config)
        for prefix, module in (("student.", student), ("text.", text)):
            module.load_state_dict(
                {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{file}: does not fit a student: {error}") from error
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise WeightsError(f"{file}: holds values that are not finite")
    return student.eval(), text.eval()
