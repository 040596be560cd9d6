"""Train the duplex language model on composed conversations; both stages are this loop.

    pre-training   `lm.yaml`: half monologues (the agent's own speech and text, one channel) and
                   statements, where text is free and only speech must follow it
    dialogue       `dialogue.yaml`, `start_from` the former: turns, pauses, barge-ins, tone

What is minimised: `sts_core.train.lm_losses`.

Weights that are evaluated and saved are an exponential moving average. Shards are read as
`sts-core compose` writes them; a running composition may go on in another process.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sts_core.checkpoint import load_checkpoint, save_checkpoint
from sts_core.codec.files import load_codec
from sts_core.codec.hearing import hearing
from sts_core.data.prosody import TONES
from sts_core.lm.config import LMConfig
from sts_core.lm.model import DuplexLM
from sts_core.lm.text import END_OF_PAD
from sts_core.lm.weights import load_lm, save_delta, save_lm
from sts_core.nn.precision import mixed_precision
from sts_core.train.lm_batches import Batch, Conversations, to_device
from sts_core.train.lm_losses import losses


@dataclass(frozen=True)
class LMTraining:
    """A run. Folders are relative to the working directory.

    Attributes:
        shards: folder of `sts-core compose`.
        validation: the same, of other seeds and never trained on; None: no validation.
        start_from: weights to begin with; None: from nothing.
        frames: frames in a batch, about.
        keep_from: weights whose text the model keeps to where it has nothing new to learn (see
            `sts_core.train.lm_losses`); None: it may forget.
        new_kinds: the kinds of conversation in which it may depart from them.
        only: if not empty, only parameters whose names begin so are trained, and the result is a
            small delta against `start_from`.
    """

    shards: str = "cache/dialogue"
    validation: str | None = None
    run: str = "runs/lm"
    start_from: str | None = None
    keep_from: str | None = None
    new_kinds: tuple[str, ...] = ("back_channel", "background")
    only: tuple[str, ...] = ()
    device: str = "auto"
    threads: int = 2
    seed: int = 5
    steps: int = 6000
    frames: int = 2400
    learning_rate: float = 0.0015
    warmup_steps: int = 150
    decay_from: float = 0.6
    weight_decay: float = 0.05
    average: float = 0.995
    text_weight: float = 1.0
    keep_weight: float = 2.0
    user_weight: float = 1.0
    semantic_weight: float = 1.0
    pitch_weight: float = 0.3
    acoustic_weight: float = 4.0
    pad_weight: float = 0.15
    fell_silent_weight: float = 0.4
    tone_weight: float = 0.3
    depth_share: float = 0.6
    code_noise: float = 0.15
    frame_noise: float = 0.3
    ear_noise: float = 0.1
    ear_loss: float = 0.03
    monologue_text_weight: float = 0.1
    background_text_weight: float = 4.0
    log_every: int = 20
    validate_every: int = 300
    checkpoint_every_s: float = 150.0
    model: LMConfig = field(default_factory=LMConfig)


@torch.no_grad()
def validate(
    model: DuplexLM, batches: list[Batch], config: LMTraining, tone_out: nn.Linear | None = None
) -> dict[str, float]:
    """Losses on conversations never trained on, and how many text tokens are right."""
    model.eval()
    generator = torch.Generator().manual_seed(0)
    sums: dict[str, float] = {}
    right = {"text": [0, 0], "user": [0, 0]}
    for batch in batches:
        with mixed_precision("cpu"):
            _, parts = losses(model, batch, config, generator, tone_out=tone_out)
            heard = model(batch.frames._replace(ear=batch.frames.ear.float()))
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + value.item() / len(batches)
        for name, logits, target in (
            ("text", heard.text_logits, batch.frames.text),
            ("user", heard.user_logits, batch.words),
        ):
            words = (target > END_OF_PAD) & batch.inside
            right[name][0] += int((logits.argmax(dim=-1) == target)[words].sum())
            right[name][1] += int(words.sum())
    model.train()
    accuracy = {f"{name}_accuracy": a / max(b, 1) for name, (a, b) in right.items()}
    return {f"val_{name}": value for name, value in (sums | accuracy).items()}


def learning_rate_at(step: int, config: LMTraining) -> float:
    """Linear warm-up, a plateau, then half a cosine down to 2 %."""
    warm = min(1.0, (step + 1) / config.warmup_steps)
    start = config.decay_from * config.steps
    done = max(0.0, (step - start) / max(config.steps - start, 1))
    return config.learning_rate * warm * (0.51 + 0.49 * math.cos(math.pi * min(done, 1.0)))


class Run:
    """Model, its moving average, optimizer and data of a run."""

    def __init__(self, config: LMTraining) -> None:
        self.config, self.folder = config, Path(config.run)
        use_cuda = torch.cuda.is_available() and config.device in ("auto", "cuda")
        self.device = torch.device("cuda" if use_cuda else "cpu")
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        weights = {
            "monologue": config.monologue_text_weight,
            "background": config.background_text_weight,
        }
        self.data = Conversations(Path(config.shards), weights)
        self.validation: list[Batch] = []
        if config.validation:
            self.validation = Conversations(Path(config.validation), weights).all_batches(4000)
        if config.start_from:
            self.model = load_lm(Path(config.start_from))
            if self.model.config != config.model:
                raise ValueError(f"{config.start_from}: a model of other sizes")
        else:
            self.model = DuplexLM(config.model)
            codec = load_codec()
            heard = hearing(codec, self.data.spoken_codes())
            self.model.code_tables.start_from(codec.code_vectors(), heard)
        self.teacher = None
        if config.keep_from:
            self.teacher = load_lm(Path(config.keep_from)).to(self.device)
        self.tone_out = nn.Linear(config.model.dim, len(TONES)).to(self.device)
        self.model.to(self.device).train()
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not config.only or name.startswith(config.only))
        self.average = [p.detach().clone() for p in self.model.parameters()]
        groups = _groups(self.model, config.weight_decay)
        groups.append({"params": list(self.tone_out.parameters()), "weight_decay": 0.0})
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-8)

    def averaged(self) -> DuplexLM:
        """A copy of the model with the averaged weights."""
        model = DuplexLM(self.config.model)
        model.load_state_dict(self.model.state_dict())
        with torch.no_grad():
            for parameter, value in zip(model.parameters(), self.average, strict=True):
                parameter.copy_(value)
        return model

    def save(self, step: int) -> None:
        """last.pt to go on from, and the averaged weights beside it."""
        content = {
            "step": step,
            "model": self.model.state_dict(),
            "average": self.average,
            "tone_out": self.tone_out.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        save_checkpoint(self.folder / "last.pt", content)
        file = self.folder / "lm.safetensors"
        if self.config.only:
            base = Path(str(self.config.start_from))
            save_delta(file, self.averaged(), base, self.config.only)
        else:
            save_lm(file, self.averaged())

    def resume(self) -> int:
        """Load last.pt; returns the number of steps it had done."""
        saved = load_checkpoint(self.folder / "last.pt")
        self.model.load_state_dict(saved["model"])
        self.average = [value.to(self.device) for value in saved["average"]]
        self.tone_out.load_state_dict(saved["tone_out"])
        self.optimizer.load_state_dict(saved["optimizer"])
        return int(saved["step"])


def _groups(model: DuplexLM, weight_decay: float) -> list[dict[str, object]]:
    """Matrices are decayed; tables, norms and biases are not."""
    decayed: list[Tensor] = []
    free: list[Tensor] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        matrix = parameter.ndim == 2 and "_in." not in name and "from_text" not in name
        (decayed if matrix or "_in.weight" in name else free).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


def train(config: LMTraining, *, resume: bool = False, echo: Callable[[str], None] = print) -> Path:
    """Run a stage; returns the `lm.safetensors` in the run folder.

    Args:
        resume: go on from last.pt if there is one; without it the run folder must hold none.

    Raises:
        FileExistsError: the run folder already holds a run and `resume` is off.
        FileNotFoundError: no shards.
        WeightsError: `start_from` cannot be read.
    """
    folder = Path(config.run)
    last = folder / "last.pt"
    if last.exists() and not resume:
        raise FileExistsError(f"{last} exists: go on with --resume, or choose another run folder")
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(config)
    first = run.resume() if last.exists() else 0
    size = sum(p.numel() for p in run.model.parameters()) / 1e6
    echo(f"{size:.2f} M parameters, {len(run.data.shards)} shards, steps {first} to {config.steps}")
    started = saved_at = time.monotonic()
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as metrics:
        for step in range(first, config.steps):
            line = _step(run, step)
            done = step + 1
            if run.validation and (done % config.validate_every == 0 or done == config.steps):
                model = run.averaged().to(run.device)
                line |= validate(model, run.validation, config, run.tone_out)
            if done % config.log_every == 0 or "val_text" in line or done == config.steps:
                elapsed_s = round(time.monotonic() - started, 1)
                line = {"step": done, "elapsed_s": elapsed_s} | line
                metrics.write(json.dumps(line) + "\n")
                metrics.flush()
                echo(" ".join(f"{k} {v:.4g}" for k, v in line.items()))
            if time.monotonic() - saved_at > config.checkpoint_every_s or done == config.steps:
                run.save(done)
                run.data.refresh()
                saved_at = time.monotonic()
    (folder / "config.json").write_text(json.dumps(dataclasses.asdict(config), indent=1) + "\n")
    return folder / "lm.safetensors"


def _step(run: Run, step: int) -> dict[str, float]:
    config = run.config
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate_at(step, config)
    rng = np.random.default_rng([config.seed, step])
    batch = to_device(run.data.batch(rng, config.frames), run.device)
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    with mixed_precision(run.device.type):
        loss, parts = losses(
            run.model, batch, config, generator, teacher=run.teacher, tone_out=run.tone_out
        )
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    run.optimizer.step()
    decay = min(config.average, (step + 1) / (step + 10))
    with torch.no_grad():
        torch._foreach_lerp_(run.average, list(run.model.parameters()), 1 - decay)
    numbers = {"loss": loss.item(), "grad_norm": norm.item()}
    return numbers | {name: value.item() for name, value in parts.items()}
