"""Train the reference codec.

    L = spectral(y, x) + estimator_weight * estimator + commitment_weight * commitment
        + distillation_weight * (distillation of codebook 0, and of its latent before quantising)
        + in the last part: adversarial_weight * deception + feature_weight * feature matching

Order of events: the first `quantise_from` steps leave the latents continuous; then all codebooks
are set by k-means on latents of fresh batches and learn by moving averages; from
`adversarial_from` (a share of all steps; 1: never) discriminators join in. Codebook 0 follows the
teacher alone: the decoder hears it, but sends no gradient back through it.

In training the pulses run at the measured pitch, in half of the rows as the contour codebook would
give it, so that harmonics line up with the reference from the first step; meanwhile the estimator
learns to find it. Spectra and pitch never compete for the same latent.

The learning rate warms up, stays, and falls linearly to zero over the last `decay_share` of all
steps. Batches depend on (seed, step) only. A run folder holds last.pt, metrics.jsonl, samples/ of
held-out speech, and codec.safetensors (the moving average of the weights, at every evaluation).
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sts_core.checkpoint import load_checkpoint, save_checkpoint, save_weights
from sts_core.codec.config import CodecConfig
from sts_core.codec.contour import LEAST_WEIGHT, NEUTRAL_OCTAVE, to_octaves
from sts_core.codec.files import WEIGHTS_KIND
from sts_core.codec.model import ReferenceCodec
from sts_core.codec.network import Heard, Latents
from sts_core.codec.pitch import Pitch, track_pitch
from sts_core.data.augment import AugmentConfig
from sts_core.data.cache import SpeechCache
from sts_core.data.manifest import load_audio, read_manifest, select
from sts_core.train.codec_batches import CodecBatch, CodecSampler, Shares, teacher_statistics
from sts_core.train.config import load_config
from sts_core.train.discriminators import (
    Discriminators,
    deception_loss,
    discriminator_loss,
    feature_loss,
)
from sts_core.train.losses import SpectralLoss, distillation_loss, estimator_loss
from sts_core.units import FRAME_SAMPLES, HOPS_PER_FRAME, SAMPLE_RATE_HZ


@dataclass(frozen=True)
class CodecTraining:
    """Everything that decides a run. Paths are relative to the working directory."""

    cache: str = "cache/train"
    run: str = "runs/codec"
    heldout: str | None = None  # a corpus folder of unheard voices, for evaluation only
    heldout_splits: tuple[str, ...] = ("heldout",)
    seed: int = 3
    device: str = "auto"  # "cpu", "cuda", or "auto": cuda where there is one
    threads: int = 2
    loaders: int = 1  # threads that prepare batches
    steps: int = 10_000
    rows: int = 12
    crop_frames: int = 24
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_steps: int = 200
    decay_share: float = 0.35
    average: float = 0.998  # decay of the moving average of the weights
    quantise_from: int = 800
    kmeans_batches: int = 50
    full_depth_share: float = 0.6  # rows that use all codebooks; the others a random prefix
    continuous_share: float = 0.1  # rows whose acoustic latent skips the quantiser
    estimator_weight: float = 0.3
    neutral_share: float = 0.04  # rows without the pitch code, as when only codebook 0 is decoded
    commitment_weight: float = 0.25
    distillation_weight: float = 1.0
    adversarial_from: float = 1.0
    adversarial_weight: float = 0.05
    feature_weight: float = 0.5
    adversarial_frames: int = 6
    discriminator_width: int = 16
    discriminator_rate: float = 2e-4
    log_every: int = 25
    evaluate_every: int = 1_000
    evaluate_files: int = 24
    checkpoint_every_s: float = 120.0
    codec: CodecConfig = field(default_factory=CodecConfig)
    augment: AugmentConfig = field(
        default_factory=lambda: AugmentConfig(
            rate=0.5, gain=0.8, band=0.1, room=0.06, second=0.06, noise=0.12, silence=0.2
        )
    )
    shares: Shares = field(default_factory=Shares)


class Trained(nn.Module):
    """All that gradients change, except the discriminators."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: CodecConfig, teacher_dim: int) -> None:
        super().__init__()
        self.codec = ReferenceCodec(config)
        self.teacher_head = nn.Linear(config.latent_dim, teacher_dim)
        self.register_buffer("mean", torch.zeros(teacher_dim))
        self.register_buffer("deviation", torch.ones(teacher_dim))


def learning_rate_at(step: int, config: CodecTraining) -> float:
    """Warm-up, plateau, linear decay to zero."""
    decay_steps = max(1, round(config.decay_share * config.steps))
    rising = (step + 1) / config.warmup_steps
    falling = (config.steps - step) / decay_steps
    return config.learning_rate * max(0.0, min(1.0, rising, falling))


def quantised_latents(
    codec: ReferenceCodec, heard: Heard, pitch: Pitch, config: CodecTraining
) -> tuple[Latents, Tensor]:
    """Latents as the decoder sees them in training, and the commitment loss."""
    rows, device = len(heard.acoustic), heard.acoustic.device
    levels = torch.randint(0, config.codec.acoustic_codebooks, (rows,), device=device)
    full = torch.rand(rows, device=device) < config.full_depth_share
    levels = torch.where(full, config.codec.acoustic_codebooks, levels)
    semantic = codec.semantic_quantiser(heard.semantic)
    acoustic = codec.acoustic_quantiser(heard.acoustic, levels)
    continuous = torch.rand(rows, 1, 1, device=device) < config.continuous_share
    latent = torch.where(continuous, heard.acoustic, acoustic.latent)
    octaves = to_octaves(pitch.hz)
    voiced = pitch.voiced.unflatten(1, (-1, HOPS_PER_FRAME)).float() + LEAST_WEIGHT
    coded = codec.pitch_codebook.decode(codec.pitch_codebook.nearest(octaves, voiced))
    draw = torch.rand(rows, 1, 1, device=device)
    octaves = torch.where(draw < 0.5, coded, octaves)
    neutral = (draw > 1 - config.neutral_share) & (levels == 0)[:, None, None]
    octaves = torch.where(neutral, NEUTRAL_OCTAVE, octaves)
    latents = Latents(semantic.latent.detach(), latent, octaves)
    return latents, semantic.commitment + acoustic.commitment


def decode_from_anywhere(codec: ReferenceCodec, latents: Latents) -> Tensor:
    """Audio [B, S] of latents; phase and noise start at random, as they do amid a stream."""
    state = codec.decoder.initial_state(len(latents.octaves))
    source = state.synthesis.source
    hop = torch.randint_like(source.noise_hop, len(codec.decoder.synthesis.source.table))
    source = source._replace(cycles=torch.rand_like(source.cycles), noise_hop=hop)
    state = state._replace(synthesis=state.synthesis._replace(source=source))
    return codec.decoder.step(latents, state)[0]


class Losses:
    """The generator's losses of one batch, by name, and what they were computed from."""

    def __init__(self) -> None:
        self.parts: dict[str, Tensor] = {}

    def add(self, name: str, value: Tensor) -> Tensor:
        """Record a part and return it."""
        self.parts[name] = value.detach()
        return value


def generator_step(
    trained: Trained,
    batch: CodecBatch,
    spectral: SpectralLoss,
    config: CodecTraining,
    quantise: bool,
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Loss, decoded audio [B, S], and the parts of the loss, of one batch."""
    losses, codec = Losses(), trained.codec
    pitch: Pitch = track_pitch(batch.audio)
    with torch.autocast(batch.audio.device.type, dtype=torch.bfloat16):
        heard = codec.encoder(batch.audio[..., None])
        latents = Latents(heard.semantic.detach(), heard.acoustic, to_octaves(pitch.hz))
        loss = heard.acoustic.new_zeros(())
        if quantise:
            with torch.autocast(batch.audio.device.type, enabled=False):
                latents, commitment = quantised_latents(codec, heard, pitch, config)
            loss = config.commitment_weight * losses.add("commitment", commitment)
        # through the quantiser the gradient is straight, so the raw latent is taught beside it
        straight = heard.semantic + (latents.semantic - heard.semantic).detach()
        teacher = (batch.teacher - trained.mean) / trained.deviation
        for name, latent in (("distil", straight), ("distil_raw", heard.semantic)):
            predicted = trained.teacher_head(latent).float()
            part = losses.add(name, distillation_loss(predicted, teacher, batch.known))
            loss = loss + config.distillation_weight * part
        decoded = decode_from_anywhere(codec, latents)
    loss = loss + losses.add("spectral", spectral(batch.audio, decoded))
    estimator = losses.add("estimator", estimator_loss(heard.pitch_logits, pitch.hz, pitch.voiced))
    return loss + config.estimator_weight * estimator, decoded, losses.parts


@torch.no_grad()
def initialise_codebooks(trained: Trained, sampler: CodecSampler, config: CodecTraining) -> None:
    """Set all codebooks by k-means on latents of fresh batches."""
    device = trained.mean.device
    semantic, acoustic, octaves, voiced = [], [], [], []
    for number in range(config.kmeans_batches):
        batch = sampler.batch(-1 - number & 0x7FFFFFFF)  # steps that training never reaches
        audio = batch.audio.to(device)
        heard, pitch = trained.codec.encoder(audio[..., None]), track_pitch(audio)
        semantic.append(heard.semantic.flatten(0, 1))
        acoustic.append(heard.acoustic.flatten(0, 1))
        octaves.append(to_octaves(pitch.hz).flatten(0, 1))
        voiced.append(pitch.voiced.unflatten(1, (-1, HOPS_PER_FRAME)).flatten(0, 1))
    per_batch = config.rows * config.crop_frames
    trained.codec.semantic_quantiser.initialise(torch.cat(semantic), per_batch=per_batch)
    trained.codec.acoustic_quantiser.initialise(torch.cat(acoustic), per_batch=per_batch)
    trained.codec.pitch_codebook.initialise(torch.cat(octaves), torch.cat(voiced))


class Average:
    """Moving average of all weights; codebooks are averages already and are copied."""

    def __init__(self, module: nn.Module) -> None:
        self.values = {name: v.detach().clone() for name, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, decay: float) -> None:
        """Move towards the module's weights."""
        for name, value in module.state_dict().items():
            if "codebook" in name:
                self.values[name].copy_(value)
            else:
                self.values[name].lerp_(value, 1 - decay)


@torch.no_grad()
def evaluate(codec: ReferenceCodec, files: list[Path], folder: Path | None) -> dict[str, float]:
    """Spectral distance of held-out speech at all codebooks and at one; writes samples."""
    import soundfile

    spectral = SpectralLoss().to(next(codec.parameters()).device)
    distances: dict[str, list[float]] = defaultdict(list)
    counts = torch.zeros(codec.num_codebooks, codec.codebook_size)
    for number, file in enumerate(files):
        audio = torch.from_numpy(load_audio(file).astype(np.float32) / 32768)[None, None]
        padded = nn.functional.pad(audio, (0, -audio.shape[-1] % FRAME_SAMPLES))
        padded = padded.to(next(codec.parameters()).device)
        codes = codec.encode(padded)
        for codebooks in (codec.num_codebooks, 1):
            decoded = codec.decode(codes[:, :codebooks])
            distances[f"spectral_{codebooks}"].append(float(spectral(padded[0], decoded[0])))
            if folder is not None and number < 6 and codebooks > 1:
                folder.mkdir(parents=True, exist_ok=True)
                wav = decoded[0, 0].cpu().clamp(-1, 1).numpy()
                soundfile.write(folder / f"{file.stem}.wav", wav, SAMPLE_RATE_HZ)
        for level in range(codec.num_codebooks):
            counts[level] += torch.bincount(codes[0, level].cpu(), minlength=codec.codebook_size)
    used = (counts > 0).float().mean(dim=1)
    results = {name: float(np.mean(values)) for name, values in distances.items()}
    return results | {"used_0": float(used[0]), "used_last": float(used[-1])}


class Run:
    """A run folder and everything in training that a checkpoint must hold."""

    def __init__(self, config: CodecTraining, cache: SpeechCache) -> None:
        self.config = config
        self.device = _device(config.device)
        self.folder = Path(config.run)
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        self.sampler = CodecSampler(
            cache, config.rows, config.crop_frames, config.seed, config.augment, config.shares
        )
        self.trained = Trained(config.codec, self.sampler.teacher_dim).to(self.device)
        self.judges = Discriminators(config.discriminator_width).to(self.device)
        self.optimiser = torch.optim.AdamW(
            self.trained.parameters(),
            config.learning_rate,
            betas=(0.8, 0.99),
            fused=True,
            weight_decay=config.weight_decay,
        )
        self.judge_optimiser = torch.optim.AdamW(
            self.judges.parameters(), config.discriminator_rate, betas=(0.8, 0.99)
        )
        self.average = Average(self.trained.codec)
        self.step = 0
        self.files = _heldout_files(config)

    def parts(self) -> dict[str, Any]:
        """The modules and optimisers by the name that they have in a checkpoint."""
        return {
            "trained": self.trained,
            "judges": self.judges,
            "optimiser": self.optimiser,
            "judge_optimiser": self.judge_optimiser,
        }

    def save(self) -> None:
        """Write last.pt."""
        content = {name: part.state_dict() for name, part in self.parts().items()}
        books = {
            name: {"count": module.count, "total": module.total}
            for name, module in _codebooks(self.trained.codec).items()
        }
        content |= {"step": self.step, "average": self.average.values, "codebooks": books}
        content["config"] = json.dumps(dataclasses.asdict(self.config))
        save_checkpoint(self.folder / "last.pt", content)

    def resume(self) -> None:
        """Go on from last.pt."""
        content = load_checkpoint(self.folder / "last.pt")
        for name, part in self.parts().items():
            part.load_state_dict(content[name])
        self.average.values = {n: v.to(self.device) for n, v in content["average"].items()}
        for name, module in _codebooks(self.trained.codec).items():
            module.count.copy_(content["codebooks"][name]["count"])
            module.total.copy_(content["codebooks"][name]["total"])
        self.step = int(content["step"])

    def export(self) -> ReferenceCodec:
        """The averaged codec, also written to codec.safetensors."""
        codec = ReferenceCodec(self.config.codec).to(self.device)
        codec.load_state_dict(self.average.values)
        weights = dataclasses.asdict(self.config.codec)
        save_weights(self.folder / "codec.safetensors", self.average.values, WEIGHTS_KIND, weights)
        return codec.eval()

    def log(self, **values: float) -> None:
        """Append a line to metrics.jsonl and print it."""
        line = {"step": self.step} | {name: round(value, 5) for name, value in values.items()}
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def train(config: CodecTraining, *, resume: bool = False) -> Path:
    """Run the training loop to its last step; returns the weights file."""
    torch.set_num_threads(config.threads)
    cache = SpeechCache.open(config.cache)
    run = Run(config, cache)
    if resume and (run.folder / "last.pt").is_file():
        run.resume()
    else:
        mean, deviation = teacher_statistics(cache, 20_000, config.seed)
        run.trained.mean.copy_(mean)
        run.trained.deviation.copy_(deviation)
    spectral = SpectralLoss().to(run.device)
    last_save, since, seen = time.monotonic(), time.monotonic(), 0
    sums: dict[str, float] = defaultdict(float)
    for batch in run.sampler.stream(run.step, config.loaders):
        if run.step >= config.steps:
            break
        batch = CodecBatch(*(part.to(run.device) for part in batch))
        torch.manual_seed(config.seed * 1_000_003 + run.step)
        if run.step == config.quantise_from:
            initialise_codebooks(run.trained, run.sampler, config)
        rate = learning_rate_at(run.step, config)
        for group in run.optimiser.param_groups:
            group["lr"] = rate
        quantise = run.step >= config.quantise_from
        loss, decoded, parts = generator_step(run.trained, batch, spectral, config, quantise)
        if run.step >= config.adversarial_from * config.steps:
            loss = loss + adversarial_step(run, batch.audio, decoded, parts)
        _descend(run.optimiser, loss, run.trained)
        run.average.update(run.trained.codec, min(config.average, 1 - 1 / (run.step + 2)))
        run.step, seen = run.step + 1, seen + 1
        for name, value in parts.items():
            sums[name] += float(value)
        if run.step % config.log_every == 0:
            seconds = (time.monotonic() - since) / seen
            run.log(rate=rate, seconds=seconds, **{n: v / seen for n, v in sums.items()})
            sums.clear()
            since, seen = time.monotonic(), 0
        finished = run.step >= config.steps
        if time.monotonic() - last_save > config.checkpoint_every_s or finished:
            run.save()
            last_save = time.monotonic()
        if run.step % config.evaluate_every == 0 or finished:
            codec = run.export()
            if run.files:
                run.log(**evaluate(codec, run.files, run.folder / "samples" / f"{run.step:07d}"))
    return run.folder / "codec.safetensors"


def adversarial_step(run: Run, audio: Tensor, decoded: Tensor, parts: dict[str, Tensor]) -> Tensor:
    """Train the discriminators on a crop, then what they ask of the codec."""
    config = run.config
    length = config.adversarial_frames * FRAME_SAMPLES
    start = int(torch.randint(0, audio.shape[1] - length + 1, ()))
    real, fake = audio[:, start : start + length], decoded[:, start : start + length]
    with torch.autocast(audio.device.type, dtype=torch.bfloat16):
        judged_real = run.judges(real)
        loss = discriminator_loss(judged_real, run.judges(fake.detach()))
    _descend(run.judge_optimiser, loss, run.judges)
    run.judges.requires_grad_(False)
    with torch.autocast(audio.device.type, dtype=torch.bfloat16):
        judged_real, judged_fake = run.judges(real), run.judges(fake)
        deception = deception_loss(judged_fake)
        matching = feature_loss(judged_real, judged_fake)
    run.judges.requires_grad_(True)
    parts |= {"judges": loss.detach(), "deception": deception.detach(), "match": matching.detach()}
    return config.adversarial_weight * deception + config.feature_weight * matching


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor, module: nn.Module) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    if bool(torch.isfinite(norm)):  # one bad batch must not end a run of hours
        optimiser.step()


def _codebooks(codec: ReferenceCodec) -> dict[str, Any]:
    return {
        f"{kind}.{level}": module
        for kind in ("semantic", "acoustic")
        for level, module in enumerate(getattr(codec, f"{kind}_quantiser").codebooks)
    }


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _heldout_files(config: CodecTraining) -> list[Path]:
    if config.heldout is None:
        return []
    folder = Path(config.heldout)
    rows = select(read_manifest(folder), splits=config.heldout_splits)
    chosen = np.linspace(0, len(rows) - 1, min(config.evaluate_files, len(rows))).astype(int)
    return [folder / rows[index]["path"] for index in chosen]


def main(
    config_path: Path | None = None,
    *,
    resume: bool = False,
    out: Path | None = None,
    device: str | None = None,
) -> Path:
    """Train from a configuration file (`sts-core train codec`); returns the weights file.

    Raises:
        ConfigError, CacheError, ManifestError: see there.
    """
    config = load_config(CodecTraining, config_path)
    if out is not None:
        config = dataclasses.replace(config, run=str(out))
    if device is not None:
        config = dataclasses.replace(config, device=device)
    return train(config, resume=resume)
