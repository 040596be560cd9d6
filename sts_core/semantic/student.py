"""The student: a small causal speech encoder, 24 kHz audio in, one vector per 80 ms frame out.

    log-mel (80 bands, 10 ms) -> conv /2 -> blocks at 50 Hz -> conv /2 -> blocks at 25 Hz
        -> conv /2 -> blocks at 12.5 Hz -> y [B, T, D]

Blocks are causal ConvNeXt blocks (Liu et al., "A ConvNet for the 2020s", 2022: depthwise
convolution, layer norm, two linear layers). Nothing looks past the end of its frame: the
algorithmic latency is one frame, 80 ms. Three heads read y:

    clusters   [B, T, C]      which cluster the teacher's features fall in (masked prediction)
    phonemes   [B, 4 T, V]    CTC logits at 50 Hz: one linear layer reads four positions from each
                              vector, because English has up to 15 phonemes a second and CTC
                              needs a frame for each, and one for each blank between equal ones
    embedding  [B, E]         the utterance, unit length, comparable to a text's

State is an argument: `step(audio, state) -> (y, state)`; `forward` is a step from a fresh state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sts_core.semantic.phonemes import VOCABULARY_SIZE
from sts_core.units import FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE_HZ

State = list[Tensor]

CTC_PER_FRAME = 4
CTC_RATE_HZ = 50


@dataclass(frozen=True)
class StudentConfig:
    """Sizes of the student and of the text encoder beside it."""

    mel_bands: int = 80
    window_samples: int = 600
    fft_size: int = 1024
    dims: tuple[int, ...] = (160, 256, 320)
    depths: tuple[int, ...] = (3, 3, 2)
    kernel: int = 7
    expansion: int = 3
    clusters: int = 256
    embedding_dim: int = 128
    text_dim: int = 96


def mel_filters(bands: int, fft_size: int, rate_hz: int, warp: float = 1.0) -> Tensor:
    """Triangular mel filters [F, bands] from 40 Hz to half the rate, each of height 1.

    mel = 2595 log10(1 + hz / 700) (O'Shaughnessy, "Speech Communication", 1987). A `warp` other
    than 1 moves all edges: speech through it sounds as from a vocal tract of another length (Jaitly
    and Hinton, "Vocal tract length perturbation improves speech recognition", 2013).
    """
    low_hz = 40.0
    low_mel, high_mel = (2595.0 * math.log10(1.0 + f / 700.0) for f in (low_hz, rate_hz / 2))
    edges_mel = torch.linspace(low_mel, high_mel, bands + 2)
    edges_hz = warp * 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)  # [bands + 2]
    hz = torch.linspace(0.0, rate_hz / 2, fft_size // 2 + 1)[:, None]  # [F, 1]
    rising = (hz - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    falling = (edges_hz[2:] - hz) / (edges_hz[2:] - edges_hz[1:-1])
    return torch.minimum(rising, falling).clamp(min=0.0)


class LogMel(nn.Module):
    """Causal log-mel energies: audio [B, S] -> [B, S / 240, bands]; hop i ends at 240 (i + 1).

    The scale is fixed: values of speech lie mostly in [-2, 2].
    """

    window: Tensor
    filters: Tensor

    def __init__(self, bands: int, window_samples: int, fft_size: int) -> None:
        super().__init__()
        self.window_samples, self.fft_size = window_samples, fft_size
        self.register_buffer("window", torch.hann_window(window_samples), persistent=False)
        filters = mel_filters(bands, fft_size, SAMPLE_RATE_HZ)
        self.register_buffer("filters", filters, persistent=False)

    def fresh(self, batch: int) -> Tensor:
        return self.window.new_zeros(batch, self.window_samples - HOP_SAMPLES)

    @torch.autocast("cpu", enabled=False)
    def forward(
        self, audio: Tensor, past: Tensor, filters: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        audio = torch.cat([past, audio.float()], dim=1)
        windows = audio.unfold(1, self.window_samples, HOP_SAMPLES) * self.window  # [B, N, W]
        spectrum = torch.view_as_real(torch.fft.rfft(windows, self.fft_size))  # [B, N, F, 2]
        power = spectrum.square().sum(dim=-1)  # abs() of complex numbers is far slower
        log_mel = torch.log(power @ (self.filters if filters is None else filters) + 1e-4)
        return (log_mel + 1.0) / 4.0, audio[:, -past.shape[1] :]


class CausalConv(nn.Module):
    """Convolution over time that sees only the past: [B, N, C] -> [B, N / stride, C'].

    The state holds the last `kernel - stride` inputs, zeros at first. N must be a multiple of the
    stride, which whole 80 ms frames always are.
    """

    def __init__(self, dim_in: int, dim_out: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__()
        self.conv = nn.Conv1d(dim_in, dim_out, kernel, stride=stride, groups=groups)
        self.dim_in, self.past = dim_in, kernel - stride

    def fresh(self, batch: int) -> Tensor:
        return self.conv.weight.new_zeros(batch, self.past, self.dim_in)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat([past.to(x.dtype), x], dim=1)
        return self.conv(x.transpose(1, 2)).transpose(1, 2), x[:, x.shape[1] - self.past :]


class Block(nn.Module):
    """Causal ConvNeXt block on [B, N, C]."""

    def __init__(self, dim: int, kernel: int, expansion: int) -> None:
        super().__init__()
        self.mix = CausalConv(dim, dim, kernel, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, expansion * dim)
        self.down = nn.Linear(expansion * dim, dim)
        self.scale = nn.Parameter(torch.full((dim,), 0.3))

    def fresh(self, batch: int) -> Tensor:
        return self.mix.fresh(batch)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        y, past = self.mix(x, past)
        return x + self.scale * self.down(F.gelu(self.up(self.norm(y)))), past


class Down(nn.Module):
    """Layer norm, then a causal convolution that halves the rate."""

    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim_in)
        self.conv = CausalConv(dim_in, dim_out, kernel=4, stride=2)

    def fresh(self, batch: int) -> Tensor:
        return self.conv.fresh(batch)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        return self.conv(self.norm(x), past)


class Pool(nn.Module):
    """Utterance embedding from [B, N, D] and lengths: unit vectors [B, E].

    The mean alone would not tell "two plus three" from "three plus two", so the first moment over
    relative time u in [-1, 1] stands beside it: [mean x, mean u x] -> linear -> unit length.
    """

    def __init__(self, dim: int, embedding_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(2 * dim, embedding_dim)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        steps = torch.arange(x.shape[1], device=x.device)
        inside = (steps < lengths[:, None]).float() / lengths[:, None]  # [B, N]
        moment = inside * ((2 * steps + 1) / lengths[:, None] - 1)
        x = self.norm(x.float())
        pooled = torch.einsum("kbn,bnd->bkd", torch.stack([inside, moment]), x)
        return F.normalize(self.out(pooled.flatten(1)).float(), dim=-1)


class Student(nn.Module):
    """The causal encoder with its three heads; see the module docstring."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        self.mel = LogMel(config.mel_bands, config.window_samples, config.fft_size)
        self.stem = CausalConv(config.mel_bands, config.dims[0], kernel=4, stride=2)
        layers: list[nn.Module] = []
        for level, (dim, depth) in enumerate(zip(config.dims, config.depths, strict=True)):
            if level:
                layers.append(Down(config.dims[level - 1], dim))
            layers += [Block(dim, config.kernel, config.expansion) for _ in range(depth)]
        self.layers = nn.ModuleList(layers)
        width = config.dims[-1]
        self.norm = nn.LayerNorm(width)
        self.mask = nn.Parameter(torch.zeros(config.dims[0]))
        self.to_clusters = nn.Linear(width, config.clusters)
        self.to_phonemes = nn.Linear(width, CTC_PER_FRAME * VOCABULARY_SIZE)
        self.pool = Pool(width, config.embedding_dim)

    @property
    def dim(self) -> int:
        """Width of the frame vectors."""
        return self.config.dims[-1]

    def initial_state(self, batch: int) -> State:
        """The state of `batch` sessions that have heard nothing."""
        parts = [self.mel, self.stem, *self.layers]
        return [part.fresh(batch) for part in parts]

    def step(
        self,
        audio: Tensor,
        state: State,
        mask: Tensor | None = None,
        filters: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """The next frames of running sessions.

        Args:
            audio: [B, T * 1920] float in [-1, 1].
            mask: bool [B, T], frames hidden from the encoder (training only).
            filters: [B, F, bands], warped mel filters in place of the plain ones (training only).

        Returns:
            y [B, T, D] and the state after these frames.

        Raises:
            ValueError: audio that is not [B, whole frames].
        """
        if audio.ndim != 2 or audio.shape[1] == 0 or audio.shape[1] % FRAME_SAMPLES:
            raise ValueError(f"audio must be [B, T * {FRAME_SAMPLES}], got {tuple(audio.shape)}")
        x, mel_past = self.mel(audio, state[0], filters)  # [B, 8 T, bands]
        x, stem_past = self.stem(x, state[1])  # [B, 4 T, C]
        if mask is not None:
            hidden = mask.repeat_interleave(4, dim=1)[:, :, None]
            x = torch.where(hidden, self.mask.to(x.dtype), x)
        after = [mel_past, stem_past]
        for layer, past in zip(self.layers, state[2:], strict=True):
            x, past = layer(x, past)
            after.append(past)
        return self.norm(x), after

    def forward(
        self, audio: Tensor, mask: Tensor | None = None, filters: Tensor | None = None
    ) -> Tensor:
        """Whole utterances [B, T * 1920] -> y [B, T, D]; `mask` and `filters` as in `step`."""
        return self.step(audio, self.initial_state(audio.shape[0]), mask, filters)[0]

    def phoneme_logits(self, y: Tensor) -> Tensor:
        """CTC logits at 50 Hz: [B, T, D] -> [B, 4 T, V]."""
        return self.to_phonemes(y).float().unflatten(2, (CTC_PER_FRAME, -1)).flatten(1, 2)


class TextEncoder(nn.Module):
    """Written text to the same space: characters, a bidirectional GRU, the same pooling."""

    CHARACTERS = " abcdefghijklmnopqrstuvwxyz'"

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        dim = config.text_dim
        self.embed = nn.Embedding(len(self.CHARACTERS) + 1, dim)  # 0: padding
        self.gru = nn.GRU(dim, dim, batch_first=True, bidirectional=True)
        self.pool = Pool(2 * dim, config.embedding_dim)

    @classmethod
    def ids(cls, text: str) -> list[int]:
        """Character ids of a text, lower case, anything but letters and apostrophes as a space."""
        kept = "".join(c if c in cls.CHARACTERS else " " for c in text.lower())
        return [cls.CHARACTERS.index(c) + 1 for c in " ".join(kept.split())] or [1]

    def forward(self, texts: list[str]) -> Tensor:
        """Unit vectors [B, E] of the texts."""
        rows = [torch.tensor(self.ids(text)) for text in texts]
        lengths = torch.tensor([len(row) for row in rows])
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        device = self.embed.weight.device
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embed(ids.to(device)), lengths, batch_first=True, enforce_sorted=False
        )
        hidden, _ = nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        return self.pool(hidden, lengths.to(device))
