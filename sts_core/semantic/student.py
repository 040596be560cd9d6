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

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sts_core.codec.features import mel_filters
from sts_core.nn.layers import Pointwise, blocks
from sts_core.semantic.phonemes import VOCABULARY_SIZE
from sts_core.streaming import Chain, State, StreamingLayer
from sts_core.units import FRAME_SAMPLES, HOP_SAMPLES

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


def warped(filters: Tensor, factor: float) -> Tensor:
    """Mel filters [F, bands] moved to `factor` times their frequency, by linear interpolation.

    Speech through them sounds as from a vocal tract of another length (Jaitly and Hinton, "Vocal
    tract length perturbation improves speech recognition", 2013).
    """
    source = (torch.arange(len(filters)) / factor).clamp(max=len(filters) - 1)  # [F]
    low = source.long().clamp(max=len(filters) - 2)
    part = (source - low)[:, None]
    return filters[low] * (1 - part) + filters[low + 1] * part


class LogMel(StreamingLayer[Tensor]):
    """Causal log-mel energies: audio [B, S] -> [B, S / 240, bands]; hop i ends at 240 (i + 1).

    The scale is fixed: values of speech lie mostly in [-2, 2].
    """

    window: Tensor
    filters: Tensor

    def __init__(self, bands: int, window_samples: int, fft_size: int) -> None:
        super().__init__()
        self.window_samples, self.fft_size = window_samples, fft_size
        self.register_buffer("window", torch.hann_window(window_samples), persistent=False)
        self.register_buffer("filters", mel_filters(bands, fft_size), persistent=False)

    def initial_state(self, batch: int) -> Tensor:
        return self.window.new_zeros(batch, self.window_samples - HOP_SAMPLES)

    def step(
        self, x: Tensor, state: Tensor, filters: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """`filters` [B, F, bands]: other filters for each row (training only)."""
        with torch.autocast(x.device.type, enabled=False):
            audio = torch.cat([state, x.float()], dim=1)
            windows = audio.unfold(1, self.window_samples, HOP_SAMPLES) * self.window  # [B, N, W]
            spectrum = torch.view_as_real(torch.fft.rfft(windows, self.fft_size))  # [B, N, F, 2]
            power = spectrum.square().sum(dim=-1)  # abs() of complex numbers is far slower
            log_mel = torch.log(power @ (self.filters if filters is None else filters) + 1e-4)
        return (log_mel + 1.0) / 4.0, audio[:, x.shape[1] :]


class StridedConv(StreamingLayer[Tensor]):
    """Causal convolution that lowers the rate: [B, N, C] -> [B, N / stride, C'].

    The state holds the last `kernel - stride` inputs, zeros at first. N must be a multiple of the
    stride, which whole 80 ms frames always are.
    """

    def __init__(self, dim_in: int, dim_out: int, kernel: int = 4, stride: int = 2) -> None:
        super().__init__()
        self.conv = nn.Conv1d(dim_in, dim_out, kernel, stride=stride)
        self.dim_in, self.past = dim_in, kernel - stride

    def initial_state(self, batch: int) -> Tensor:
        return self.conv.weight.new_zeros(batch, self.past, self.dim_in)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        heard = torch.cat([state.to(x.dtype), x], dim=1)  # [B, past + N, C]
        y = self.conv(heard.transpose(1, 2)).transpose(1, 2)
        return y, heard[:, heard.shape[1] - self.past :]


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


class Student(StreamingLayer[State]):
    """The causal encoder with its three heads; see the module docstring."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        self.mel = LogMel(config.mel_bands, config.window_samples, config.fft_size)
        self.stem = StridedConv(config.mel_bands, config.dims[0])
        layers: list[StreamingLayer[Any]] = []
        for level, (dim, depth) in enumerate(zip(config.dims, config.depths, strict=True)):
            if level:
                layers.append(Pointwise(nn.LayerNorm(config.dims[level - 1])))
                layers.append(StridedConv(config.dims[level - 1], dim))
            layers += blocks(dim, depth, config.kernel, config.expansion)
        self.trunk = Chain(*layers)
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
        return tuple(part.initial_state(batch) for part in (self.mel, self.stem, self.trunk))

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
        mel_state, stem_state, trunk_state = state
        x, mel_state = self.mel.step(audio, mel_state, filters)  # [B, 8 T, bands]
        x, stem_state = self.stem.step(x, stem_state)  # [B, 4 T, C]
        if mask is not None:
            hidden = mask.repeat_interleave(4, dim=1)[:, :, None]
            x = torch.where(hidden, self.mask.to(x.dtype), x)
        y, trunk_state = self.trunk.step(x, trunk_state)  # [B, T, D]
        return self.norm(y), (mel_state, stem_state, trunk_state)

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
