"""Weights of the language model, and small deltas against them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from sts_core.checkpoint import WeightsError, load_weights, save_weights
from sts_core.lm.config import LMConfig
from sts_core.lm.model import DuplexLM

WEIGHTS_KIND = "sts-core duplex lm"
DEFAULT_WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "lm" / "lm.safetensors"


def save_lm(file: Path, model: DuplexLM) -> Path:
    """Write the model's weights and sizes; returns the file."""
    tensors = {name: value.detach() for name, value in model.state_dict().items()}
    save_weights(file, tensors, WEIGHTS_KIND, dataclasses.asdict(model.config))
    return file


def load_lm(file: Path | None = None) -> DuplexLM:
    """A model in evaluation mode, float32 on the CPU (None: the packaged weights).

    Raises:
        WeightsError: missing, truncated, foreign, not fitting, or not finite.
    """
    file = file or DEFAULT_WEIGHTS
    tensors, given = load_weights(file, WEIGHTS_KIND)
    try:
        model = DuplexLM(LMConfig(**given))
        model.load_state_dict(tensors)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{file}: tensors and configuration do not fit: {error}") from error
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise WeightsError(f"{file}: holds values that are not finite")
    return model.eval().requires_grad_(False)
