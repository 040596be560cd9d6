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


def average_weights(one: Path, other: Path, share: float, target: Path) -> None:
    """Write share * one + (1 - share) * other, of two files of one kind and configuration.

    Of two ends of one training the mean often keeps what either has learnt (Wortsman et al., Model
    soups, 2022). What is no floating-point number must be equal in both.

    Raises:
        WeightsError: a file is unreadable, they do not fit, or share is not in [0, 1].
    """
    if not 0 <= share <= 1:
        raise WeightsError(f"a share must be in [0, 1], not {share:g}")
    kind = weights_kind(one)
    (first, config), (second, beside) = load_weights(one, kind), load_weights(other, kind)
    if config != beside:
        raise WeightsError(f"{one} and {other} are of different configurations")
    shapes = [{name: (v.shape, v.dtype) for name, v in each.items()} for each in (first, second)]
    if shapes[0] != shapes[1]:
        raise WeightsError(f"{one} and {other} hold different tensors")
    mixed = {}
    for name, value in first.items():
        if value.is_floating_point():
            mixed[name] = share * value + (1 - share) * second[name]
        elif torch.equal(value, second[name]):
            mixed[name] = value
        else:
            raise WeightsError(f"{name} differs between {one} and {other} and has no mean")
    save_weights(target, mixed, kind, config)


def weights_kind(path: Path) -> str:
    """What a weights file says it is; "" where it says nothing or is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return str((file.metadata() or {}).get("kind", ""))
    except (SafetensorError, OSError, ValueError):
        return ""
