"""Train the countermeasure: one pass over the statistics of all clips, nothing random.

People weigh as much as all attacks together; voices weigh equally, families of attacks equally and
the voices in a family equally, so that none of them dominates (`discriminant` has the method). What
is written is `detector.safetensors`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from sts_eval.audit import AuditError
from sts_eval.audit.clip_statistics import DIMENSION, PARTS
from sts_eval.audit.discriminant import ANY, Countermeasure, fit
from sts_eval.audit.training_set import Clip

KIND: Final = "sts-eval countermeasure"


@dataclass(frozen=True)
class TrainOptions:
    """The recipe; see `discriminant.fit`. apart: a class for each attack as well, or
    one for all alone."""

    shrinkage: float = 0.1
    softness: float = 0.5
    lean: float = 0.35
    apart: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.shrinkage < float("inf") and 0 < self.softness < float("inf")):
            raise AuditError(
                f"shrinkage and softness must be above 0: {self.shrinkage:g}, {self.softness:g}"
            )
        if not 0 <= self.lean <= 1:
            raise AuditError(f"lean must be from 0 to 1: {self.lean:g}")


def train(
    clips: Sequence[Clip], features: NDArray[np.float32], options: TrainOptions | None = None
) -> Countermeasure:
    """A trained detector. features: [N, 1304] of the clips. Raises AuditError."""
    options = options or TrainOptions()
    if features.shape != (len(clips), DIMENSION):
        raise AuditError(
            f"statistics must be [{len(clips)}, {DIMENSION}], not of shape {features.shape}"
        )
    if np.isnan(features).any(axis=1).all():
        raise AuditError("no clip to train on has enough voicing to measure its pitch")
    labels = [clip.attack if options.apart else clip.attack and ANY for clip in clips]
    weights = torch.from_numpy(clip_weights(clips))
    with torch.inference_mode():
        found = torch.from_numpy(features)
        return fit(found, labels, weights, options.shrinkage, options.softness, options.lean)


def clip_weights(clips: Sequence[Clip]) -> NDArray[np.float32]:
    """[N], their sum 1 (see the module). Raises AuditError: people or attacks are missing."""
    keys = [(bool(clip.attack), clip.family, clip.speaker) for clip in clips]
    clips_of = Counter(keys)
    voices_of = Counter(key[:2] for key in clips_of)
    families_of = Counter(key[0] for key in voices_of)
    if len(families_of) < 2:
        raise AuditError("training needs both bona fide and spoofed clips")
    each = [0.5 / (clips_of[k] * voices_of[k[:2]] * families_of[k[0]]) for k in keys]
    return np.array(each, np.float32)


def score_features(net: Countermeasure, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """[N] scores of statistics [N, 1304]; higher = bona fide."""
    with torch.inference_mode():
        return np.asarray(net.scores(torch.from_numpy(features)).double().numpy())


def save_detector(net: Countermeasure, path: Path, about: dict[str, Any]) -> None:
    """Write the detector as safetensors, with what made it."""
    from safetensors.torch import save_file

    layout = {
        "attacks": list(net.attacks),
        "softness": net.softness,
        "parts": {name: part._asdict() for name, part in PARTS.items()},
    }
    metadata = {"kind": KIND, "about": json.dumps({**about, **layout}, sort_keys=True)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_file = path.with_suffix(".partial")
    save_file(net.state_dict(), partial_file, metadata)
    os.replace(partial_file, path)


def load_detector_file(path: Path) -> tuple[Countermeasure, dict[str, Any]]:
    """(detector, what made it) of `save_detector`. Raises AuditError."""
    from safetensors import SafetensorError, safe_open

    damaged = AttributeError, KeyError, TypeError, ValueError
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get("kind") != KIND:
            raise AuditError(f"{path}: no countermeasure of this program")
        about = json.loads(metadata["about"])
        if "attacks" not in about:
            raise AuditError(f"{path}: of an earlier version of this program: train it again")
        for name, part in PARTS.items():
            if about["parts"].get(name) != part._asdict():
                raise AuditError(f"{path}: trained on other statistics ({name})")
        net = Countermeasure(DIMENSION, about["attacks"], float(about["softness"]))
        net.load_state_dict(tensors)
    except (OSError, SafetensorError, RuntimeError, *damaged) as error:
        raise AuditError(f"{path}: not a readable countermeasure: {error}") from error
    if not all(value.isfinite().all() for value in tensors.values()):
        raise AuditError(f"{path}: not a readable countermeasure: values that are not finite")
    return net.eval(), about
