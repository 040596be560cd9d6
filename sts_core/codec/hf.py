"""EnCodec, DAC and Mimi as codecs of this project, through Hugging Face `transformers`.

    load_hf_codec("hf:FOLDER")    a downloaded model folder (config.json, model.safetensors)
    load_hf_codec("mimi")         from the hub: kyutai/mimi; "encodec" and "dac" likewise

All three sit behind the `Codec` protocol: audio is padded to whole frames, tokens are [B, K, T]
with T = ceil(S / frame_samples), any prefix of codebooks decodes, and decoded audio is exactly
T * frame_samples long (DAC's transposed convolutions may give less, which is zeros here).
Weights are read from safetensors only: a pickle may run code.

Sources: Defossez et al., "High Fidelity Neural Audio Compression", 2022 (EnCodec); Kumar et al.,
"High-Fidelity Audio Compression with Improved RVQGAN", 2023 (DAC); Defossez et al., "Moshi", 2024.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sts_core.codec.base import CodecError, check_audio, check_codes
from sts_core.hf import import_transformers

HUB_NAMES = {
    "encodec": "facebook/encodec_24khz",
    "dac": "descript/dac_24khz",
    "mimi": "kyutai/mimi",
}
MODEL_CLASSES = {"encodec": "EncodecModel", "dac": "DacModel", "mimi": "MimiModel"}


class HuggingFaceCodec:
    """One of the three families behind the `Codec` protocol, on the CPU, without gradients."""

    def __init__(self, family: str, model: Any, num_codebooks: int | None = None) -> None:
        """Wrap a loaded model.

        Args:
            num_codebooks: how many of its codebooks to use (None: all).

        Raises:
            CodecError: a stereo or chunked model, or more codebooks than it has.
        """
        config = model.config
        if getattr(config, "audio_channels", 1) != 1 or getattr(config, "chunk_length_s", None):
            raise CodecError(f"{family}: only mono models that code whole utterances are supported")
        self.name = family
        self.sample_rate_hz = int(config.sampling_rate)
        self.frame_samples = int(config.frame_size if family == "mimi" else config.hop_length)
        self.codebook_size = int(config.codebook_size)
        available = int(config.n_codebooks if family == "dac" else config.num_quantizers)
        self.num_codebooks = available if num_codebooks is None else num_codebooks
        if not 1 <= self.num_codebooks <= available:
            raise CodecError(f"{family}: {num_codebooks} codebooks asked for, it has {available}")
        self._model = model.eval()

    @torch.inference_mode()
    def encode(self, audio: Tensor) -> Tensor:
        """Tokens of audio: [B, 1, S] -> int64 [B, K, T].

        Raises:
            AudioError: wrong shape, more than one channel, empty, or not finite.
        """
        check_audio(audio)
        frames = -(-audio.shape[-1] // self.frame_samples)
        audio = F.pad(audio.float(), (0, frames * self.frame_samples - audio.shape[-1]))
        if self.name == "encodec":
            widest = self._model.config.target_bandwidths[-1]
            codes = self._model.encode(audio, bandwidth=widest).audio_codes[0]  # [B, K, T]
        else:
            codes = self._model.encode(audio).audio_codes  # [B, K, T]
        return codes[:, : self.num_codebooks, :frames].long()

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """Audio of tokens: [B, K', T] -> [B, 1, T * frame_samples].

        Raises:
            CodesError: wrong shape, not integer, or out of range.
        """
        check_codes(codes, self.num_codebooks, self.codebook_size)
        codes = codes.long()
        if self.name == "encodec":
            audio = self._model.decode(codes[None], [None]).audio_values
        elif self.name == "dac":
            audio = self._model.decode(audio_codes=codes).audio_values
        else:
            audio = self._model.decode(codes).audio_values
        audio = audio.reshape(len(codes), 1, -1)  # [B, 1, S]
        return F.pad(audio, (0, codes.shape[-1] * self.frame_samples - audio.shape[-1]))

    def code_vectors(self) -> list[Tensor]:
        """What the codes of each codebook stand for: K tensors [codebook_size, D]."""
        quantizer = self._model.quantizer
        if self.name == "dac":
            vectors = [level.codebook.weight for level in quantizer.quantizers]
        elif self.name == "encodec":
            vectors = [level.codebook.embed for level in quantizer.layers]
        else:
            stacks = (
                quantizer.semantic_residual_vector_quantizer,
                quantizer.acoustic_residual_vector_quantizer,
            )
            vectors = [level.codebook.embed for stack in stacks for level in stack.layers]
        return [each.detach() for each in vectors[: self.num_codebooks]]


def is_hf_name(name: str) -> bool:
    """Whether a codec name belongs to this plug-in."""
    return name.startswith("hf:") or name in HUB_NAMES


def load_hf_codec(name: str, *, num_codebooks: int | None = None) -> HuggingFaceCodec:
    """The codec called "encodec", "dac" or "mimi" (hub), or "hf:FOLDER" (local).

    Raises:
        CodecError: unknown name, not one of the three families, or weights that do not load.
        MissingExtraError: `transformers` is not installed.
    """
    if not is_hf_name(name):
        raise CodecError(f"unknown codec {name!r}: expected hf:FOLDER or one of {list(HUB_NAMES)}")
    local = name.startswith("hf:")
    source = name.removeprefix("hf:") if local else HUB_NAMES[name]
    if local and not (Path(source) / "config.json").is_file():
        raise CodecError(f"{name}: no config.json there; give a downloaded model folder")
    transformers = import_transformers(f"codec {name}")
    try:
        config = transformers.AutoConfig.from_pretrained(source, local_files_only=local)
        family = str(config.model_type)
        if family not in MODEL_CLASSES:
            raise CodecError(f"{name}: a {family!r} model; expected one of {list(MODEL_CLASSES)}")
        model = getattr(transformers, MODEL_CLASSES[family]).from_pretrained(
            source, local_files_only=local, use_safetensors=True, dtype=torch.float32
        )
    except CodecError:
        raise
    except Exception as error:  # transformers, hub and safetensors raise many unrelated types
        hint = "" if local else "; without network, download it and give hf:FOLDER"
        raise CodecError(f"{name}: cannot be loaded from {source}: {error}{hint}") from error
    return HuggingFaceCodec(family, model, num_codebooks)
