"""Files that survive interruption: training checkpoints, and weights that load without pickle.

A file is written beside its final name and renamed into place, so a reader never sees half of one
and a machine that is taken away leaves the last complete one.

Weights are a safetensors file whose metadata says what it is:

    kind      what the tensors are ("sts-core codec")
    config    JSON of the configuration that builds the network

Floating-point tensors are stored in float16 (half the size; for unit-scale weights the rounding
error is far below that of training) and loaded as float32.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor


class WeightsError(ValueError):
    """A weights file is missing, damaged, or belongs to something else; the message names it."""


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a training checkpoint (tensors, numbers, text, nested) atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".partial")
    torch.save(content, partial)
    os.replace(partial, path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of `save_checkpoint`; no code in it is ever run.

    Raises:
        WeightsError: unreadable.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, UnpicklingError) as error:
        raise WeightsError(f"{path}: not a readable checkpoint: {error}") from error


def save_weights(
    path: Path, tensors: Mapping[str, Tensor], kind: str, config: Mapping[str, Any]
) -> None:
    """Write weights with their configuration."""
    from safetensors.torch import save_file

    half = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in tensors.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".partial")
    metadata = {"kind": kind, "config": json.dumps(dict(config), sort_keys=True)}
    save_file(half, partial, metadata=metadata)
    os.replace(partial, path)


def load_weights(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (float32 where floating) and configuration of a file of `save_weights`.

    Raises:
        WeightsError: missing, truncated, not safetensors, or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: truncated or not a safetensors file ({error})") from error
    found = metadata.get("kind")
    if found != kind:
        raise WeightsError(f"{path}: holds {found or 'foreign tensors'!r}, expected {kind!r}")
    try:
        config = json.loads(metadata["config"])
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{path}: its configuration cannot be read") from error
    single = {n: v.float() if v.is_floating_point() else v for n, v in tensors.items()}
    return single, config


def weights_kind(path: Path) -> str:
    """What a weights file says it is; "" where it says nothing or is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return str((file.metadata() or {}).get("kind", ""))
    except (SafetensorError, OSError, ValueError):
        return ""
