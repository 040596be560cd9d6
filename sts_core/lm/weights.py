"""Weights of the language model, and small deltas against them."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import torch
from torch import Tensor

from sts_core.checkpoint import WeightsError, load_weights, save_weights, weights_kind
from sts_core.lm.config import LMConfig
from sts_core.lm.model import DuplexLM

WEIGHTS_KIND = "sts-core duplex lm"
DELTA_KIND = "sts-core duplex lm delta"
DEFAULT_WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "lm" / "lm.safetensors"


def save_lm(file: Path, model: DuplexLM) -> Path:
    """Write the model's weights and sizes; returns the file."""
    tensors = {name: value.detach() for name, value in model.state_dict().items()}
    save_weights(file, tensors, WEIGHTS_KIND, dataclasses.asdict(model.config))
    return file


def save_delta(file: Path, model: DuplexLM, base: Path, only: tuple[str, ...]) -> Path:
    """Write the tensors of `model` whose names begin with one of `only`, as a change of `base`."""
    tensors = {
        name: value.detach() for name, value in model.state_dict().items() if name.startswith(only)
    }
    save_weights(file, tensors, DELTA_KIND, {"base_sha256": _sha256(base)})
    return file


def load_lm(file: Path | None = None) -> DuplexLM:
    """A model in evaluation mode, float32 on the CPU (None: the packaged weights).

    A delta is applied to the packaged weights, which must be those it was made against.

    Raises:
        WeightsError: missing, truncated, foreign, not fitting, or not finite.
    """
    file = file or DEFAULT_WEIGHTS
    changed: dict[str, Tensor] = {}
    if weights_kind(file) == DELTA_KIND:
        changed, about = load_weights(file, DELTA_KIND)
        if about.get("base_sha256") != _sha256(DEFAULT_WEIGHTS):
            raise WeightsError(f"{file}: a change of other weights than {DEFAULT_WEIGHTS.name}")
        tensors, given = load_weights(DEFAULT_WEIGHTS, WEIGHTS_KIND)
    else:
        tensors, given = load_weights(file, WEIGHTS_KIND)
    try:
        model = DuplexLM(LMConfig(**given))
        model.load_state_dict(tensors | changed)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{file}: tensors and configuration do not fit: {error}") from error
    if not all(bool(torch.isfinite(value).all()) for value in model.state_dict().values()):
        raise WeightsError(f"{file}: holds values that are not finite")
    return model.eval().requires_grad_(False)


def _sha256(file: Path) -> str:
    if not file.is_file():
        raise WeightsError(f"{file}: no such weights file")
    return hashlib.sha256(file.read_bytes()).hexdigest()
