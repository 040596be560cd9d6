"""Train the semantic student: masked prediction first, then alignment with text.

Stage A, self-supervised (any language, no transcripts): k-means clusters of the teacher's features
are the targets; spans of 80 ms frames are hidden from the encoder.

    L_A = CE(clusters | hidden frames) + visible_weight * CE(clusters | visible frames)

The first term asks for context, the second for hearing (with a causal student, a hidden frame can
only be guessed from what came before).

Stage B, speech and text (rows with English phonemes; all others keep L_A):

    L_B = CTC(phonemes) / phoneme + contrastive_weight * InfoNCE(speech, text) + masked_weight * L_A

InfoNCE (van den Oord et al., 2018) is symmetric, with a learned temperature; texts that occur twice
in a batch do not count as each other's negatives.

The learning rate warms up, stays, and falls linearly to zero over the last `decay_share` of all
steps. Everything that is random depends on (seed, step) only: a resumed run continues exactly.
A run folder holds last.pt, clusters.safetensors, metrics.jsonl and, at the end,
student.safetensors.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sts_core.checkpoint import load_checkpoint, save_checkpoint
from sts_core.codec.features import mel_filters
from sts_core.data.augment import AugmentConfig
from sts_core.data.cache import SpeechCache, teacher_meta
from sts_core.nn.precision import mixed_precision
from sts_core.semantic.batches import IGNORED, Batch, Sampler, make_batch, span_mask
from sts_core.semantic.clusters import (
    Clusters,
    cluster,
    load_clusters,
    sample_features,
    save_clusters,
)
from sts_core.semantic.evaluate import (
    Utterance,
    evaluate,
    load_utterances,
    phoneme_error_rate,
    retrieval_rate,
)
from sts_core.semantic.student import (
    CTC_PER_FRAME,
    Student,
    StudentConfig,
    TextEncoder,
    warped,
)
from sts_core.semantic.weights import save_student


@dataclass(frozen=True)
class SemanticConfig:
    """Everything that decides a run. Paths are relative to the working directory."""

    cache: str = "cache/train"
    run: str = "runs/semantic"
    heldout: str | None = None  # a corpus folder of unheard voices, for evaluation only
    heldout_splits: tuple[str, ...] = ("heldout",)
    seed: int = 7
    device: str = "auto"  # "cpu", "cuda", or "auto": cuda where there is one
    threads: int = 1
    masked_steps: int = 1_000
    align_steps: int = 3_000
    batch_size: int = 24
    max_frames: int = 80
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    warmup_steps: int = 200
    decay_share: float = 0.4
    mask_share_masked: float = 0.35
    mask_share_align: float = 0.12
    mask_span_frames: int = 4
    visible_weight: float = 0.5
    contrastive_weight: float = 0.5
    masked_weight: float = 0.3
    warp: float = 0.13  # vocal tract lengths from 1 - warp to 1 + warp
    cluster_frames: int = 60_000
    log_every: int = 25
    evaluate_every: int = 500
    evaluate_utterances: int = 160
    checkpoint_every_s: float = 120.0
    student: StudentConfig = field(default_factory=StudentConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    @property
    def steps(self) -> int:
        """Steps of both stages together."""
        return self.masked_steps + self.align_steps


def learning_rate_at(step: int, config: SemanticConfig) -> float:
    """Warm-up, plateau, linear decay to zero."""
    decay_steps = max(1, round(config.decay_share * config.steps))
    rising = (step + 1) / config.warmup_steps
    falling = (config.steps - step) / decay_steps
    return config.learning_rate * min(1.0, rising, falling)


def masked_loss(
    logits: Tensor, clusters: Tensor, mask: Tensor, visible_weight: float
) -> tuple[Tensor, dict[str, float]]:
    """Cross entropy of cluster logits [B, T, C] on hidden and visible frames, and accuracies."""
    known = clusters != IGNORED
    hidden, visible = known & mask, known & ~mask
    loss = logits.new_zeros(())
    numbers: dict[str, float] = {}
    right = logits.argmax(dim=-1) == clusters
    for name, chosen, weight in (("hidden", hidden, 1.0), ("visible", visible, visible_weight)):
        if chosen.any():
            loss = loss + weight * F.cross_entropy(logits[chosen].float(), clusters[chosen])
            numbers[f"{name}_accuracy"] = right[chosen].float().mean().item()
    return loss, numbers


def ctc_loss(student: Student, y: Tensor, frames: Tensor, labels: list[list[int]]) -> Tensor:
    """CTC of the phonemes, per phoneme, over rows that have labels."""
    log_probs = student.phoneme_logits(y).log_softmax(dim=-1).transpose(0, 1)  # [4 T, B, V]
    lengths = torch.tensor([len(row) for row in labels])
    targets = torch.tensor([number for row in labels for number in row])
    loss = F.ctc_loss(
        log_probs, targets, CTC_PER_FRAME * frames, lengths, reduction="sum", zero_infinity=True
    )
    return loss / lengths.sum()


def contrastive_loss(speech: Tensor, text: Tensor, texts: list[str], log_scale: Tensor) -> Tensor:
    """Symmetric InfoNCE of unit vectors [B, E]; equal texts are no negatives of each other."""
    scores = speech @ text.T * log_scale.exp().clamp(max=100.0)  # [B, B]
    same = torch.tensor([[a == b for b in texts] for a in texts], device=scores.device)
    same.fill_diagonal_(False)
    scores = scores.masked_fill(same, float("-inf"))
    own = torch.arange(len(texts), device=scores.device)
    return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2


class Models(torch.nn.Module):
    """All that learns: the student, the text encoder and the temperature of their comparison."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.student = Student(config)
        self.text = TextEncoder(config)
        self.log_scale = torch.nn.Parameter(torch.tensor(2.5))


def batch_loss(
    models: Models, batch: Batch, step: int, config: SemanticConfig, filters: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """The loss of one batch and the numbers worth logging."""
    aligning = step >= config.masked_steps
    device = models.log_scale.device
    rng = np.random.default_rng([config.seed, 2, step])
    share = config.mask_share_align if aligning else config.mask_share_masked
    width = batch.clusters.shape[1]
    mask = span_mask(batch.frames, width, rng, share, config.mask_span_frames).to(device)
    chosen = torch.from_numpy(rng.integers(len(filters), size=len(batch.audio)))
    with mixed_precision(device.type):
        y = models.student(batch.audio.to(device), mask, filters[chosen.to(device)])
        logits = models.student.to_clusters(y)
        loss, numbers = masked_loss(logits, batch.clusters.to(device), mask, config.visible_weight)
        numbers["masked_loss"] = loss.item()
        rows = [i for i, labels in enumerate(batch.labels) if labels]
        if not aligning or len(rows) < 2:
            return loss, numbers
        labels, texts = [batch.labels[i] for i in rows], [batch.texts[i] for i in rows]
        ctc = ctc_loss(models.student, y[rows], batch.frames[rows], labels)
        speech = models.student.pool(y[rows], batch.frames[rows].to(device))
        nce = contrastive_loss(speech, models.text(texts), texts, models.log_scale)
    numbers |= {"ctc": ctc.item(), "contrastive": nce.item()}
    return ctc + config.contrastive_weight * nce + config.masked_weight * loss, numbers


def get_clusters(config: SemanticConfig, cache: SpeechCache, run: Path) -> Clusters:
    """The run's clusters, made once from the features the cache has at that time."""
    file = run / "clusters.safetensors"
    if not file.is_file():
        features = sample_features(cache, config.cluster_frames, seed=config.seed)
        meta = teacher_meta(cache.folder)
        assert meta is not None  # there are features
        made = cluster(features, config.student.clusters, seed=config.seed)
        save_clusters(file, made, meta["name"])
    return load_clusters(file)


def evaluate_line(models: Models, utterances: list[Utterance]) -> dict[str, float]:
    """Held-out numbers for the metrics file."""
    models.eval()
    heard = evaluate(models.student, models.text, utterances)
    models.train()
    numbers = {"per": phoneme_error_rate(heard), "retrieval": retrieval_rate(heard)}
    for voice in sorted({h.voice for h in heard}):
        numbers[f"per_{voice}"] = phoneme_error_rate([h for h in heard if h.voice == voice])
    return numbers


class Run:
    """What a run is made of: data in, models, optimizer."""

    def __init__(self, config: SemanticConfig) -> None:
        """Open the cache and build everything; see `train` for the errors."""
        self.config = config
        self.folder = Path(config.run)
        self.folder.mkdir(parents=True, exist_ok=True)
        use_cuda = torch.cuda.is_available() and config.device in ("auto", "cuda")
        self.device = torch.device("cuda" if use_cuda else "cpu")
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.cache = SpeechCache.open(config.cache)
        self.clusters = get_clusters(config, self.cache, self.folder)
        self.ready = np.flatnonzero(self.cache.has_teacher()).tolist()
        self.sampler = Sampler(self.cache.rows, self.ready, config.batch_size, config.seed)
        plain = mel_filters(config.student.mel_bands, config.student.fft_size)
        warps = np.linspace(1 - config.warp, 1 + config.warp, 9)
        filters = [warped(plain, float(warp)) for warp in warps]
        self.filters = torch.stack(filters).to(self.device)  # [W, F, bands]
        self.heldout = load_heldout(config)
        self.models = Models(config.student).to(self.device)
        self.optimizer = torch.optim.AdamW(
            self.models.parameters(), betas=(0.9, 0.98), weight_decay=config.weight_decay
        )

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        rng = np.random.default_rng([self.config.seed, 3, step])
        indices = self.sampler.indices(step)
        return make_batch(
            self.cache, indices, self.clusters, self.config.augment, rng, self.config.max_frames
        )

    def save(self, step: int) -> None:
        """Write last.pt."""
        states = {"models": self.models.state_dict(), "optimizer": self.optimizer.state_dict()}
        save_checkpoint(self.folder / "last.pt", {"step": step} | states)

    def resume(self) -> int:
        """Load last.pt; returns the number of steps it had done."""
        saved = load_checkpoint(self.folder / "last.pt")
        self.models.load_state_dict(saved["models"])
        self.optimizer.load_state_dict(saved["optimizer"])
        return int(saved["step"])


def load_heldout(config: SemanticConfig) -> list[Utterance]:
    """The utterances that measure the run, none of which it learns from."""
    if config.heldout is None:
        return []
    folder, limit = Path(config.heldout), config.evaluate_utterances
    return load_utterances(folder, splits=config.heldout_splits, limit=limit)


def train(
    config: SemanticConfig, *, resume: bool = False, echo: Callable[[str], None] = print
) -> Path:
    """Run both stages; returns the `student.safetensors` in the run folder.

    Args:
        resume: go on from last.pt if there is one; without it the run folder must hold none.

    Raises:
        FileExistsError: the run folder already holds a run and `resume` is off.
        CacheError: no cache, or no teacher features in it.
    """
    last = Path(config.run) / "last.pt"
    if last.exists() and not resume:
        raise FileExistsError(f"{last} exists: go on with --resume, or choose another run folder")
    run = Run(config)
    models, optimizer = run.models, run.optimizer
    first = run.resume() if last.exists() else 0
    echo(
        f"{len(run.ready)} utterances, {len(run.heldout)} held out, steps {first} to "
        f"{config.steps} on {run.device}"
    )
    started = saved_at = time.monotonic()
    with (run.folder / "metrics.jsonl").open("a", encoding="utf-8") as metrics:
        for step in range(first, config.steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(step, config)
            loss, numbers = batch_loss(models, run.batch(step), step, config, run.filters)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(models.parameters(), 1.0)
            optimizer.step()

            done = step + 1
            line: dict[str, Any] = {}
            if done % config.log_every == 0 or done == config.steps:
                line = {"loss": loss.item(), "grad_norm": norm.item()} | numbers
            if run.heldout and (done % config.evaluate_every == 0 or done == config.steps):
                line |= evaluate_line(models, run.heldout)
            if line:
                elapsed_s = round(time.monotonic() - started, 1)
                line = {"step": done, "elapsed_s": elapsed_s} | line
                metrics.write(json.dumps(line) + "\n")
                metrics.flush()
                echo(" ".join(f"{k} {v:.4g}" for k, v in line.items() if "per_" not in k))
            late = time.monotonic() - saved_at > config.checkpoint_every_s
            if late or done in (config.masked_steps, config.steps):
                run.save(done)
                saved_at = time.monotonic()
    return save_student(run.folder / "student.safetensors", models.student, models.text)
