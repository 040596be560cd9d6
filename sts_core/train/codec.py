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
steps. Batches depend on (seed, step) only. What a run leaves behind: `sts_core.train.codec_run`.
"""

from __future__ import annotations

import dataclasses
import time
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor, nn

from sts_core.codec.contour import LEAST_WEIGHT, NEUTRAL_OCTAVE, to_octaves
from sts_core.codec.model import ReferenceCodec
from sts_core.codec.network import Heard, Latents
from sts_core.codec.pitch import Pitch, track_pitch
from sts_core.data.cache import SpeechCache
from sts_core.nn.precision import mixed_precision
from sts_core.train.codec_batches import CodecBatch, CodecSampler, teacher_statistics
from sts_core.train.codec_run import CodecTraining, Run, Trained, evaluate
from sts_core.train.config import load_config
from sts_core.train.discriminators import (
    deception_loss,
    discriminator_loss,
    feature_loss,
)
from sts_core.train.losses import SpectralLoss, distillation_loss, estimator_loss
from sts_core.units import FRAME_SAMPLES, HOPS_PER_FRAME


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
    learn = not config.decoder_only
    semantic = codec.semantic_quantiser(heard.semantic, learn=learn)
    acoustic = codec.acoustic_quantiser(heard.acoustic, levels, learn=learn)
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
    with mixed_precision(batch.audio.device.type):
        with torch.set_grad_enabled(not config.decoder_only):
            heard = codec.encoder(batch.audio[..., None])
        latents = Latents(heard.semantic.detach(), heard.acoustic, to_octaves(pitch.hz))
        loss = heard.acoustic.new_zeros(())
        if quantise:
            with torch.autocast(batch.audio.device.type, enabled=False):
                latents, commitment = quantised_latents(codec, heard, pitch, config)
            loss = config.commitment_weight * losses.add("commitment", commitment)
        if not config.decoder_only:
            loss = loss + config.distillation_weight * _distillation(
                trained, heard.semantic, latents.semantic, batch, losses
            )
        decoded = decode_from_anywhere(codec, latents)
    loss = loss + losses.add("spectral", spectral(batch.audio, decoded))
    estimator = losses.add("estimator", estimator_loss(heard.pitch_logits, pitch.hz, pitch.voiced))
    return loss + config.estimator_weight * estimator, decoded, losses.parts


def _distillation(
    trained: Trained, heard: Tensor, coded: Tensor, batch: CodecBatch, losses: Losses
) -> Tensor:
    """Distance to the teacher of the semantic latent as heard and as coded, [B, T, D] each."""
    # through the quantiser the gradient is straight, so the raw latent is taught beside it
    straight = heard + (coded - heard).detach()
    teacher = (batch.teacher - trained.mean) / trained.deviation
    total = heard.new_zeros(())
    for name, latent in (("distil", straight), ("distil_raw", heard)):
        predicted = trained.teacher_head(latent).float()
        total = total + losses.add(name, distillation_loss(predicted, teacher, batch.known))
    return total


@torch.no_grad()
def initialise_codebooks(trained: Trained, sampler: CodecSampler, config: CodecTraining) -> None:
    """Set all codebooks by k-means on latents of fresh batches."""
    device = trained.mean.device
    semantic, acoustic, octaves, voiced = [], [], [], []
    for batch in sampler.apart(config.kmeans_batches):
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


def train(config: CodecTraining, *, resume: bool = False) -> Path:
    """Run the training loop to its last step; returns the weights file."""
    torch.set_num_threads(config.threads)
    cache = SpeechCache.open(config.cache)
    run = Run(config, cache)
    if resume and (run.folder / "last.pt").is_file():
        run.resume()
    else:
        if not config.decoder_only:
            mean, deviation = teacher_statistics(cache, 20_000, config.seed)
            run.trained.mean.copy_(mean)
            run.trained.deviation.copy_(deviation)
        if config.start_from is not None:
            run.start_from(Path(config.start_from))
            if config.requantise:
                run.requantise()
    spectral = SpectralLoss().to(run.device)
    last_save, since, seen = time.monotonic(), time.monotonic(), 0
    sums: dict[str, float] = defaultdict(float)
    for batch in run.sampler.stream(run.step, config.loaders):
        if run.step >= config.steps:
            break
        batch = CodecBatch(*(part.to(run.device) for part in batch))
        torch.manual_seed(config.seed * 1_000_003 + run.step)
        if run.step == config.quantise_from and config.start_from is None:
            initialise_codebooks(run.trained, run.sampler, config)
        rate = learning_rate_at(run.step, config)
        for group in run.optimiser.param_groups:
            group["lr"] = rate
        quantise = run.step >= config.quantise_from or config.start_from is not None
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
    with mixed_precision(audio.device.type):
        judged_real = run.judges(real)
        loss = discriminator_loss(judged_real, run.judges(fake.detach()))
    _descend(run.judge_optimiser, loss, run.judges)
    run.judges.requires_grad_(False)
    with mixed_precision(audio.device.type):
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
