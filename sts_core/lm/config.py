"""Sizes of the duplex language model. Written beside the weights; file and class must agree."""

from __future__ import annotations

from dataclasses import dataclass

from sts_core.units import exact_div


@dataclass(frozen=True)
class LMConfig:
    """Everything needed to build the model.

    Attributes:
        dim, layers, heads: temporal transformer, one position per 80 ms frame.
        window_frames: how far attention looks back; bounds the memory of a session.
        words_after_layers: the user's words are read off after so many layers, so that the
            layers above them can attend to what was understood.
        ear_dim: width of what the ear says about one frame of the user.
        text_vocabulary: text tokens, the special ones included (`sts_core.lm.text`).
        voices: agent voices, chosen by a token.
        depth_dim, depth_layers, depth_heads: depth transformer, over a frame's codes.
        depth_context_frames: how many frames back the depth transformer sees the codes.
        code_dim: width of the tables behind the semantic and the pitch codebook.
        latent_dim: width of the codec's acoustic latent.
        acoustic_delay_frames: codebooks 1.. lie so many frames after codebook 0.
    """

    dim: int = 256
    layers: int = 6
    heads: int = 4
    window_frames: int = 250
    words_after_layers: int = 3
    ear_dim: int = 456
    text_vocabulary: int = 1024
    voices: int = 2
    depth_dim: int = 256
    depth_layers: int = 3
    depth_heads: int = 4
    depth_context_frames: int = 3
    codebooks: int = 8
    codebook_size: int = 2048
    code_dim: int = 64
    latent_dim: int = 64
    acoustic_delay_frames: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < (0 if name == "acoustic_delay_frames" else 1):
                raise ValueError(f"{name} is too small: {value}")
        if exact_div(self.dim, self.heads) % 2 or exact_div(self.depth_dim, self.depth_heads) % 2:
            raise ValueError("rotary positions need an even width per head")
        if not self.words_after_layers <= self.layers:
            raise ValueError("words_after_layers must not exceed layers")
        if self.acoustic_delay_frames > 2:
            raise ValueError("acoustic_delay_frames must be 0, 1 or 2")
