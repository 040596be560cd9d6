"""What every audio codec of the project offers, and the errors it may raise.

A codec turns mono audio into `num_codebooks` parallel streams of integer tokens, one column per
frame of `frame_samples` samples, and back. The reference codec and the plug-ins (EnCodec, DAC,
Mimi) share this interface, so that token suites and the command line need not know which one they
hold.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


class CodecError(ValueError):
    """Base of all errors about what was given to a codec."""


class AudioError(CodecError):
    """Audio of the wrong shape or rate, empty, or with values that are not finite."""


class CodesError(CodecError):
    """Tokens of the wrong shape, kind or range."""


@runtime_checkable
class Codec(Protocol):
    """A neural audio codec. Audio is float in [-1, 1], mono, at `sample_rate_hz`."""

    name: str
    sample_rate_hz: int
    frame_samples: int
    num_codebooks: int
    codebook_size: int

    def encode(self, audio: Tensor) -> Tensor:
        """Tokens of audio: [B, 1, S] -> int64 [B, K, T], T = ceil(S / frame_samples).

        Raises:
            AudioError: wrong shape, more than one channel, empty, or not finite.
        """
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """Audio of tokens: int64 [B, K', T] -> [B, 1, T * frame_samples], K' <= num_codebooks.

        Raises:
            CodesError: wrong shape, not integer, or outside [0, codebook_size).
        """
        ...


def check_audio(audio: Tensor) -> None:
    """Refuses anything but non-empty, finite, floating-point mono audio [B, 1, S].

    Raises:
        AudioError: names what is wrong.
    """
    if audio.ndim != 3:
        raise AudioError(f"audio must be [batch, 1, samples], got shape {tuple(audio.shape)}")
    if audio.shape[1] != 1:
        raise AudioError(f"audio must be mono, got {audio.shape[1]} channels; mix down first")
    if audio.numel() == 0:
        raise AudioError(f"audio is empty (shape {tuple(audio.shape)})")
    if not audio.is_floating_point():
        raise AudioError(f"audio must be floating point in [-1, 1], got {audio.dtype}")
    if not bool(torch.isfinite(audio).all()):
        raise AudioError("audio holds values that are not finite (NaN or infinity)")


def check_codes(codes: Tensor, num_codebooks: int, codebook_size: int) -> None:
    """Refuses anything but non-empty integer codes [B, 1..num_codebooks, T] in range.

    Raises:
        CodesError: names what is wrong.
    """
    if codes.ndim != 3:
        raise CodesError(f"codes must be [batch, codebooks, frames], got {tuple(codes.shape)}")
    if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        raise CodesError(f"codes must be integers, got {codes.dtype}")
    if codes.numel() == 0:
        raise CodesError(f"codes are empty (shape {tuple(codes.shape)})")
    if codes.shape[1] > num_codebooks:
        raise CodesError(f"got {codes.shape[1]} codebooks, this codec has {num_codebooks}")
    low, high = int(codes.min()), int(codes.max())
    if low < 0 or high >= codebook_size:
        raise CodesError(f"codes span [{low}, {high}], outside [0, {codebook_size - 1}]")
