"""Train the countermeasure: one file, a plain loop, seeded, resumable.

Each kind of statistics (`joint.PARTS`) has a network, trained by itself. Each step draws half bona
fide, half spoofed clips: speakers equally likely, then families equally likely, so that no voice
and no attack dominates. Additive angular margin loss, AdamW, rate falling to zero over the run. The
mean and spread that standardise the input are those of the training side.

What a run leaves: `checkpoint-PART.pt` every `checkpoint_every` steps (weights, optimiser, step: a
run that is started again goes on from it) and `detector.safetensors` at the end.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from sts_eval.audit import AuditError
from sts_eval.audit.joint import DIMENSION, PARTS, JointCountermeasure
from sts_eval.audit.network import Countermeasure, margin_loss
from sts_eval.audit.training_set import Clip

KIND: Final = "sts-eval countermeasure"
Report = Callable[[str, int, float], None]
"""Of a part, after so many steps, the loss."""


@dataclass(frozen=True)
class TrainOptions:
    """The recipe. width: of the hidden layers; margin, scale: of the loss; pitch_share: of the
    score, 0: a detector of bands alone."""

    steps: int = 400
    rows: int = 64
    width: int = 128
    members: int = 3
    dropout: float = 0.5
    learning_rate: float = 0.003
    weight_decay: float = 1.0
    margin: float = 0.2
    scale: float = 10.0
    seed: int = 0
    checkpoint_every: int = 100
    pitch_share: float = 0.4

    @property
    def shares(self) -> dict[str, float]:
        """Of the score, by part. Raises AuditError: not a share."""
        if not 0 <= self.pitch_share < 1:
            raise AuditError(f"pitch has a share of the score in [0, 1), not {self.pitch_share:g}")
        whole = {"bands": 1 - self.pitch_share, "pitch": self.pitch_share}
        return {name: share for name, share in whole.items() if share}


class Sampler:
    """Balanced batches; which clips a step sees depends on (seed, step) only."""

    def __init__(self, clips: Sequence[Clip], features: NDArray[np.float32]) -> None:
        self._features = features
        self._pools: dict[int, list[list[NDArray[np.int64]]]] = {0: [], 1: []}
        for label, keys in ((1, ("speaker",)), (0, ("family", "speaker"))):
            tree: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
            for index, clip in enumerate(clips):
                if bool(clip.attack) != bool(label):
                    tree[getattr(clip, keys[0])][clip.speaker].append(index)
            self._pools[label] = [
                [np.array(found) for _, found in sorted(voices.items())]
                for _, voices in sorted(tree.items())
            ]
            if not self._pools[label]:
                raise AuditError("training needs both bona fide and spoofed clips")

    def batch(self, step: int, options: TrainOptions) -> tuple[torch.Tensor, torch.Tensor]:
        """(statistics [B, D], labels [B]: 1 bona fide)."""
        rng = np.random.default_rng([options.seed, step])
        labels = np.arange(options.rows) % 2
        drawn = []
        for label in labels.tolist():
            group = self._pools[label][rng.integers(len(self._pools[label]))]
            pool = group[rng.integers(len(group))]
            drawn.append(pool[rng.integers(len(pool))])
        return torch.from_numpy(self._features[np.array(drawn)]), torch.from_numpy(labels)


def train(
    clips: Sequence[Clip],
    features: NDArray[np.float32],
    options: TrainOptions,
    run: Path | None = None,
    report: Report | None = None,
) -> JointCountermeasure:
    """A trained detector, in evaluation mode. features: [N, 1280] of the clips, all parts.

    run: folder for checkpoints (None: none are kept). Raises AuditError.
    """
    if features.shape[1:] != (DIMENSION,):
        raise AuditError(f"statistics must be [N, {DIMENSION}], not of shape {features.shape}")
    shares, start, networks = options.shares, 0, {}
    for name, part in PARTS.items():
        mine, start = features[:, start : start + part.dimension], start + part.dimension
        if name in shares:
            told = partial(report, name) if report else None
            checkpoint = run / f"checkpoint-{name}.pt" if run else None
            networks[name] = _train_network(clips, mine, options, checkpoint, told)
    return JointCountermeasure(networks, shares).eval()


def _train_network(
    clips: Sequence[Clip],
    features: NDArray[np.float32],
    options: TrainOptions,
    checkpoint: Path | None,
    report: Callable[[int, float], None] | None,
) -> Countermeasure:
    """Of one part, features: [N, D], NaN where nothing was measured."""
    torch.manual_seed(options.seed)
    net = Countermeasure(options.width, options.dropout, options.members, features.shape[1])
    known = features[~np.isnan(features).any(axis=1)]
    if not len(known):
        raise AuditError("no clip to train on has enough voicing to measure its pitch")
    net.mean.copy_(torch.from_numpy(known.mean(axis=0)))
    net.spread.copy_(torch.from_numpy(known.std(axis=0) + 1e-3))
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    loss_of = margin_loss(options.margin, options.scale)
    sampler, first = Sampler(clips, features), 0
    if checkpoint and checkpoint.is_file():
        first = _resume(checkpoint, net, optimiser, options)
    net.train()
    mean_loss = 0.0
    for step in range(first, options.steps):
        for group in optimiser.param_groups:
            group["lr"] = _rate_at(step, options)
        torch.manual_seed(options.seed * 1_000_003 + step)  # dropout, the same after a restart
        inputs, labels = sampler.batch(step, options)
        cosines = net(inputs)  # [B, M, 2]
        each = labels.repeat_interleave(options.members)[:, None]  # [B M, 1]
        loss = loss_of(cosines.flatten(0, 1)[:, None], each)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        mean_loss += (float(loss.detach()) - mean_loss) / min(step - first + 1, 25)
        if (step + 1) % 25 == 0 and report:
            report(step + 1, mean_loss)
        if checkpoint and (step + 1) % options.checkpoint_every == 0:
            _save_checkpoint(checkpoint, net, optimiser, options, step + 1)
    return net.eval()


def _rate_at(step: int, options: TrainOptions) -> float:
    """Warm-up over 20 steps, then a cosine to zero."""
    falling = 0.5 * (1 + np.cos(np.pi * step / options.steps))
    return float(options.learning_rate * min(1.0, (step + 1) / 20) * falling)


def _save_checkpoint(
    path: Path, net: Countermeasure, optimiser: Any, options: TrainOptions, step: int
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "network": net.state_dict(),
        "optimiser": optimiser.state_dict(),
        "options": asdict(options),
        "step": step,
    }
    partial_file = path.with_suffix(".partial")
    torch.save(content, partial_file)
    os.replace(partial_file, path)


def _resume(path: Path, net: Countermeasure, optimiser: Any, options: TrainOptions) -> int:
    content = torch.load(path, map_location="cpu", weights_only=True)
    if content["options"] != asdict(options):
        raise AuditError(f"{path}: made with other options; delete it or name another run folder")
    net.load_state_dict(content["network"])
    optimiser.load_state_dict(content["optimiser"])
    return int(content["step"])


def score_features(net: JointCountermeasure, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """[N] scores of statistics [N, 1280], all parts; higher = bona fide."""
    with torch.inference_mode():
        heard = torch.from_numpy(features[:, : net.dimension])  # bands come first
        return np.asarray(net.scores(heard).double().numpy())


def save_detector(net: JointCountermeasure, path: Path, about: dict[str, Any]) -> None:
    """Write the networks as safetensors, float16, with what made them."""
    from safetensors.torch import save_file

    half = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in net.state_dict().items()
    }
    metadata = {"kind": KIND, "about": json.dumps({**_layout(net), **about}, sort_keys=True)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_file = path.with_suffix(".partial")
    save_file(half, partial_file, metadata=metadata)
    os.replace(partial_file, path)


def _layout(net: JointCountermeasure) -> dict[str, Any]:
    """What is needed to build the networks before their weights are read."""
    parts = {}
    for name, share in net.shares.items():
        one, part = net.network(name), PARTS[name]
        size = {"width": one.width, "members": one.members, "dimension": part.dimension}
        parts[name] = {**size, "share": share, "version": part.version}
    return {"parts": parts}


def load_network(path: Path) -> tuple[JointCountermeasure, dict[str, Any]]:
    """(networks in evaluation mode, what made them) of `save_detector`. Raises AuditError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get("kind") != KIND:
            raise AuditError(f"{path}: no countermeasure of this program")
        about = json.loads(metadata["about"])
        if "parts" not in about:  # a file of before there were two networks
            size = {"width": about["width"], "members": about["members"]}
            part = {"share": 1.0, "version": 1, "dimension": PARTS["bands"].dimension}
            about["parts"] = {"bands": size | part}
            tensors = {f"networks.bands.{name}": value for name, value in tensors.items()}
        net = _built(about["parts"], path)
        net.load_state_dict(
            {n: v.float() if v.is_floating_point() else v for n, v in tensors.items()}
        )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise AuditError(f"{path}: not a readable countermeasure: {error}") from error
    return net.eval(), about


def _built(parts: dict[str, Any], path: Path) -> JointCountermeasure:
    """Networks of this layout, weights not yet read. Raises AuditError: other statistics."""
    networks, shares = {}, {}
    for name, layout in parts.items():
        wanted = layout["dimension"], layout["version"]
        if name not in PARTS or wanted != tuple(PARTS[name]):
            raise AuditError(f"{path}: trained on other statistics ({name}, version {wanted[1]})")
        size = int(layout["width"]), int(layout["members"])
        networks[name] = Countermeasure(size[0], members=size[1], dimension=wanted[0])
        shares[name] = float(layout["share"])
    return JointCountermeasure(networks, shares)
