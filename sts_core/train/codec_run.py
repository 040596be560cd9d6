"""What a run of codec training is: its configuration, its folder, its checkpoints, its evaluation.

A run folder holds last.pt (all that is needed to go on), metrics.jsonl, samples/ of held-out speech
and codec.safetensors (the moving average of the weights). `sts_core.train.codec` is the loop.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sts_core.checkpoint import WeightsError, load_checkpoint, save_checkpoint, save_weights
from sts_core.codec.config import CodecConfig
from sts_core.codec.files import WEIGHTS_KIND, load_codec
from sts_core.codec.hearing import hearing
from sts_core.codec.model import ReferenceCodec
from sts_core.data.augment import AugmentConfig
from sts_core.data.cache import SpeechCache
from sts_core.data.manifest import load_audio, read_manifest, select
from sts_core.train.codec_batches import CodecSampler, Shares
from sts_core.train.discriminators import (
    Discriminators,
)
from sts_core.train.losses import SpectralLoss
from sts_core.units import FRAME_SAMPLES, SAMPLE_RATE_HZ

HEARING_BATCHES = 6  # that tell how much of a latent is heard


@dataclass(frozen=True)
class CodecTraining:
    """Everything that decides a run. Paths are relative to the working directory."""

    cache: str = "cache/train"
    run: str = "runs/codec"
    start_from: str | None = None  # weights of an equal codec to train on; codebooks are kept
    requantise: bool = False  # with start_from: fit the acoustic codebooks anew, as it is heard
    decoder_only: bool = False  # with start_from: tokens stay what they are from there on
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

    def __post_init__(self) -> None:
        if self.start_from is None and (self.decoder_only or self.requantise):
            raise ValueError("decoder_only and requantise need start_from: a codec to go on from")


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
        if config.decoder_only:
            self.trained.requires_grad_(False)
            self.trained.codec.decoder.requires_grad_(True)
        self.judges = Discriminators(config.discriminator_width).to(self.device)
        self.optimiser = torch.optim.AdamW(
            [p for p in self.trained.parameters() if p.requires_grad],
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
            for name, module in codebooks_of(self.trained.codec).items()
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
        for name, module in codebooks_of(self.trained.codec).items():
            module.count.copy_(content["codebooks"][name]["count"])
            module.total.copy_(content["codebooks"][name]["total"])
        self.step = int(content["step"])

    def start_from(self, weights: Path) -> None:
        """Take the network and codebooks of a weights file; optimisers start afresh.

        Raises:
            WeightsError: no such file, or the configurations differ.
        """
        given = load_codec(weights)
        if given.config != self.config.codec:
            raise WeightsError(f"{weights}: its sizes are not those of this configuration")
        self.trained.codec.load_state_dict(given.state_dict())
        fair = self.config.rows * self.config.crop_frames / self.config.codec.codebook_size
        for book in codebooks_of(self.trained.codec).values():
            book.set_entries(book.entries.clone(), fair)
        self.average = Average(self.trained.codec)

    def requantise(self) -> None:
        """Fit the acoustic codebooks anew, to latents in distances that are heard.

        The latent's loudest directions are hardly heard, and took most of the bits.
        """
        codec = self.trained.codec
        frames: list[Tensor] = []
        codes: list[Tensor] = []
        for batch in self.sampler.apart(self.config.kmeans_batches):
            audio = batch.audio.to(self.device)
            if len(codes) < HEARING_BATCHES:
                codes.append(codec.encode(audio[:, None]).transpose(1, 2))
            with torch.no_grad():
                frames.append(codec.encoder(audio[..., None]).acoustic.flatten(0, 1))
        heard = hearing(codec, torch.cat(codes))
        codec.change_acoustic_basis(heard)
        per_batch = self.config.rows * self.config.crop_frames
        codec.acoustic_quantiser.initialise(torch.cat(frames) @ heard, per_batch=per_batch)
        self.average = Average(codec)

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


def codebooks_of(codec: ReferenceCodec) -> dict[str, Any]:
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
