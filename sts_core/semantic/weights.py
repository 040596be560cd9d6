"""The shipped student: safetensors in half precision with its sizes in the header."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from sts_core.checkpoint import WeightsError, load_weights, save_weights
from sts_core.semantic.student import Student, StudentConfig, TextEncoder

WEIGHTS_KIND = "sts-core semantic student"
DEFAULT_WEIGHTS = (
    Path(__file__).resolve().parent.parent / "weights" / "semantic" / "student.safetensors"
)


def save_student(file: Path, student: Student, text: TextEncoder) -> Path:
    """Write student and text encoder; returns the file."""
    tensors = {f"student.{name}": value for name, value in student.state_dict().items()}
    tensors |= {f"text.{name}": value for name, value in text.state_dict().items()}
    detached = {name: value.detach() for name, value in tensors.items()}
    save_weights(file, detached, WEIGHTS_KIND, dataclasses.asdict(student.config))
    return file


def load_student(file: Path | None = None) -> tuple[Student, TextEncoder]:
    """The student and its text encoder in evaluation mode, float32 on the CPU.

    Args:
        file: weights (None: those in the package).

    Raises:
        WeightsError: missing, truncated, foreign, not fitting, or not finite.
    """
    file = file or DEFAULT_WEIGHTS
    tensors, given = load_weights(file, WEIGHTS_KIND)
    sizes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    try:
        config = StudentConfig(**sizes)
        student, text = Student(config), TextEncoder(config)
        for prefix, module in (("student.", student), ("text.", text)):
            module.load_state_dict(
                {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            )
    except (TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{file}: tensors and configuration do not fit: {error}") from error
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise WeightsError(f"{file}: holds values that are not finite")
    return student.eval(), text.eval()
