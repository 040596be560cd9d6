"""The reference codec: 24 kHz speech to 8 x 12.5 tokens a second and back.

    encode: audio -> Encoder -> Heard -> three quantisers side by side -> codes
    decode: codes -> Latents -> Decoder -> audio

    codebook 0       the semantic latent
    codebook 1       the pitch contour
    codebooks 2..7   a residual stack on the acoustic latent

The stack stands beside the semantic codebook and not behind it (the split of Mimi: Défossez et al.,
"Moshi", 2024); the decoder adds a projection of each. Any prefix of the codebooks decodes: without
codebook 1 the voice is monotonous, without the others it has no timbre of its own.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sts_core.codec.base import AudioError, check_audio, check_codes
from sts_core.codec.config import CodecConfig
from sts_core.codec.contour import NEUTRAL_OCTAVE, ContourCodebook
from sts_core.codec.network import Decoder, DecoderState, Encoder, Latents
from sts_core.nn.layers import Pointwise
from sts_core.nn.quantise import Codebook, ResidualQuantiser
from sts_core.streaming import State
from sts_core.units import FRAME_SAMPLES, HOPS_PER_FRAME, SAMPLE_RATE_HZ

NAME = "sts-core"


class ReferenceCodec(nn.Module):
    """Implements `sts_core.codec.base.Codec`, and the same in streaming steps."""

    name = NAME
    sample_rate_hz = SAMPLE_RATE_HZ
    frame_samples = FRAME_SAMPLES

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.num_codebooks = 2 + config.acoustic_codebooks
        self.codebook_size = config.codebook_size
        size, dim = config.codebook_size, config.latent_dim
        self.encoder = Encoder(config)
        self.semantic_quantiser = ResidualQuantiser(1, size, dim)
        self.pitch_codebook = ContourCodebook(size)
        self.acoustic_quantiser = ResidualQuantiser(config.acoustic_codebooks, size, dim)
        self.decoder = Decoder(config)

    def for_inference(self) -> ReferenceCodec:
        """Evaluation mode without gradients, matrices laid out for few rows. Returns itself."""
        self.eval().requires_grad_(False)
        for module in self.modules():
            if isinstance(module, nn.Linear):  # same values, columns first: see bench_codec.py
                module.weight.data = module.weight.t().contiguous().t()
        return self

    @torch.inference_mode()
    def encode(self, audio: Tensor) -> Tensor:
        """Audio [B, 1, S] -> codes int64 [B, 8, ceil(S / 1920)]; the last frame is padded.

        Raises:
            AudioError: wrong shape, more than one channel, empty, or not finite.
        """
        check_audio(audio)
        padded = F.pad(audio, (0, -audio.shape[-1] % FRAME_SAMPLES))
        return self.encode_step(padded, self.encoder_state(len(audio)))[0]

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """Codes int64 [B, 1..8, T] -> audio [B, 1, 1920 T]; fewer codebooks: a coarser voice.

        Raises:
            CodesError: wrong shape, not integer, or outside [0, codebook_size).
        """
        return self.decode_step(codes, self.decoder_state(len(codes)))[0]

    def encoder_state(self, batch: int) -> State:
        """State of `batch` streams to encode, before their first frame."""
        return self.encoder.initial_state(batch)

    def decoder_state(self, batch: int) -> DecoderState:
        """State of `batch` streams to decode, before their first frame."""
        return self.decoder.initial_state(batch)

    @torch.inference_mode()
    def encode_step(self, audio: Tensor, state: State) -> tuple[Tensor, State]:
        """The next whole frames of the streams: [B, 1, 1920 n] -> int64 [B, 8, n], new state.

        Raises:
            AudioError: as `encode`, or not a whole number of frames.
        """
        check_audio(audio)
        if audio.shape[-1] % FRAME_SAMPLES:
            raise AudioError(
                f"a step takes whole frames of {FRAME_SAMPLES} samples, got {audio.shape[-1]}"
            )
        heard, state = self.encoder.step(audio.transpose(1, 2).float(), state)
        codes = [
            self.semantic_quantiser.encode(heard.semantic),  # [B, n, 1]
            self.pitch_codebook.encode(heard.pitch_logits)[..., None],  # [B, n, 1]
            self.acoustic_quantiser.encode(heard.acoustic),  # [B, n, 6]
        ]
        return torch.cat(codes, dim=-1).transpose(1, 2), state

    @torch.inference_mode()
    def decode_step(self, codes: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """The next frames of the streams: int64 [B, 1..8, n] -> [B, 1, 1920 n], new state.

        Raises:
            CodesError: as `decode`.
        """
        check_codes(codes, self.num_codebooks, self.codebook_size)
        by_frame = codes.transpose(1, 2)  # [B, n, K]
        audio, state = self.decoder.step(self.latents(by_frame), state)
        return audio[:, None], state

    @torch.no_grad()
    def change_acoustic_basis(self, matrix: Tensor) -> None:
        """Express the acoustic latent x [D] as x @ matrix [D, D] from now on, entries included.

        The same codes sound the same; which of two entries is nearer to a latent changes, and with
        it what the codebooks spend their bits on.
        """
        exact = matrix.double()
        last = cast(nn.Linear, cast(Pointwise, self.encoder.acoustic.layers[-1]).module)
        last.weight.copy_(exact.t() @ last.weight.double())
        last.bias.copy_(last.bias.double() @ exact)
        heard = self.decoder.acoustic_in.weight  # [dim, D]
        heard.copy_(torch.linalg.solve(exact, heard.double().t()).t())
        for book in self.acoustic_quantiser.codebooks:
            entries = cast(Codebook, book)
            entries.set_entries((entries.entries.double() @ exact).float(), 1.0)

    def latents(self, codes: Tensor) -> Latents:
        """What the decoder needs, from codes by frame int64 [B, T, 1..8]."""
        semantic = self.semantic_quantiser.decode(codes[..., :1])
        if codes.shape[-1] > 1:
            octaves = self.pitch_codebook.decode(codes[..., 1])
        else:
            octaves = semantic.new_full((*codes.shape[:2], HOPS_PER_FRAME), NEUTRAL_OCTAVE)
        return Latents(semantic, self.acoustic_quantiser.decode(codes[..., 2:]), octaves)

    def code_vectors(self) -> list[Tensor]:
        """What the codes of each codebook stand for: K tensors [codebook_size, D]."""
        stacks = (self.semantic_quantiser, self.acoustic_quantiser)
        books = [cast(Codebook, book) for stack in stacks for book in stack.codebooks]
        semantic, *acoustic = [book.entries for book in books]
        return [semantic, self.pitch_codebook.entries, *acoustic]
