"""Sizes of the reference codec. Written beside the weights; a file and this class must agree."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CodecConfig:
    """Everything needed to build the network (rates are fixed by `sts_core.units`).

    Attributes:
        fast_dim, fast_blocks: encoder at 50 Hz.
        semantic_dim, semantic_blocks: encoder branch of codebook 0, at 12.5 Hz.
        estimator_dim: pitch estimator of the encoder, at 100 Hz.
        acoustic_dim, acoustic_blocks: encoder branch of the other codebooks, at 12.5 Hz.
        decoder_dim, decoder_blocks: decoder at 12.5 Hz.
        fine_dim, fine_blocks: decoder at 50 Hz.
        head_dim: decoder at 100 Hz.
        latent_dim: width of what the semantic and the acoustic codebooks quantise.
        acoustic_codebooks: residual codebooks after the semantic one and that of pitch contours.
    """

    fast_dim: int = 160
    fast_blocks: int = 2
    estimator_dim: int = 128
    semantic_dim: int = 320
    semantic_blocks: int = 4
    acoustic_dim: int = 288
    acoustic_blocks: int = 3
    latent_dim: int = 64
    acoustic_codebooks: int = 6
    codebook_size: int = 2048
    decoder_dim: int = 320
    decoder_blocks: int = 3
    fine_dim: int = 224
    fine_blocks: int = 3
    head_dim: int = 160
    kernel: int = 7
    expansion: int = 3

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
