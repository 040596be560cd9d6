"""Train the countermeasure: one file, a plain loop, seeded, resumable.

Each step draws half bona fide, half spoofed clips: speakers equally likely, then families equally
likely, so that no voice and no attack dominates. Additive angular margin loss, AdamW, rate falling
to zero over the run. The mean and spread that standardise the input are those of the training side.

What a run leaves: `checkpoint.pt` every `checkpoint_every` steps (weights, optimiser, step: a run
that is started again goes on from it) and `detector.safetensors` at the end.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from sts_eval.audit import AuditError
from sts_eval.audit.network import Countermeasure, margin_loss
from sts_eval.audit.training_set import Clip

KIND: Final = "sts-eval countermeasure"
Report = Callable[[int, float], None]


@dataclass(frozen=True)
class TrainOptions:
    """The recipe. width: of the hidden layers; margin, scale: of the loss."""

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
) -> Countermeasure:
    """A trained network, in evaluation mode. features: [N, D] of the clips.

    run: folder for checkpoints (None: none are kept).
    """
    torch.manual_seed(options.seed)
    net = Countermeasure(options.width, options.dropout, options.members, features.shape[1])
    net.mean.copy_(torch.from_numpy(features.mean(axis=0)))
    net.spread.copy_(torch.from_numpy(features.std(axis=0) + 1e-3))
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    loss_of = margin_loss(options.margin, options.scale)
    sampler, first = Sampler(clips, features), 0
    checkpoint = run / "checkpoint.pt" if run else None
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
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    os.replace(partial, path)


def _resume(path: Path, net: Countermeasure, optimiser: Any, options: TrainOptions) -> int:
    content = torch.load(path, map_location="cpu", weights_only=True)
    if content["options"] != asdict(options):
        raise AuditError(f"{path}: made with other options; delete it or name another run folder")
    net.load_state_dict(content["network"])
    optimiser.load_state_dict(content["optimiser"])
    return int(content["step"])


def score_features(net: Countermeasure, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """[N] scores of statistics [N, D]; higher = bona fide."""
    with torch.inference_mode():
        return np.asarray(net.scores(torch.from_numpy(features)).double().numpy())


def save_detector(net: Countermeasure, path: Path, about: dict[str, Any]) -> None:
    """Write the network as safetensors, float16, with what made it."""
    from safetensors.torch import save_file

    half = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in net.state_dict().items()
    }
    metadata = {"kind": KIND, "about": json.dumps({**net_size(net), **about}, sort_keys=True)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(half, partial, metadata=metadata)
    os.replace(partial, path)


def net_size(net: Countermeasure) -> dict[str, int]:
    """What is needed to build the network before its weights are read."""
    return {"width": net.width, "members": net.members}


def load_network(path: Path) -> tuple[Countermeasure, dict[str, Any]]:
    """(network in evaluation mode, what made it) of `save_detector`. Raises AuditError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get("kind") != KIND:
            raise AuditError(f"{path}: no countermeasure of this program")
        about = json.loads(metadata["about"])
        net = Countermeasure(int(about["width"]), members=int(about["members"]))
        net.load_state_dict(
            {n: v.float() if v.is_floating_point() else v for n, v in tensors.items()}
        )
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise AuditError(f"{path}: not a readable countermeasure: {error}") from error
    return net.eval(), about
