"""The ear: what the language model is told about a frame of the user.

    audio frame -> codec encoder -> codes -> the latents they stand for  [64 + 64 + 8 pitch]
                -> semantic student -> its vector                        [320]

The user's codes enter as the sum of their code vectors, which is what the codec's decoder works
with; beside them stands the continuous vector of the semantic student (as LFM2-Audio and others
hear through an encoder and speak in tokens): codebook 0 alone tells too few phonemes apart.
Causal, streaming, nothing beyond the frame is heard.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sts_core.codec.contour import NEUTRAL_OCTAVE
from sts_core.codec.model import ReferenceCodec
from sts_core.semantic.student import Student
from sts_core.streaming import State


class EarState(NamedTuple):
    """State of codec encoder and student."""

    codec: State
    student: State


class Ear(nn.Module):
    """See the module. Frozen: it never learns."""

    def __init__(self, codec: ReferenceCodec, student: Student) -> None:
        super().__init__()
        self.codec, self.student = codec, student

    @classmethod
    def load(cls) -> Ear:
        """The packaged codec and student. Raises WeightsError."""
        from sts_core.codec.files import load_codec
        from sts_core.semantic.weights import load_student

        return cls(load_codec(), load_student()[0]).eval()

    def initial_state(self, batch: int) -> EarState:
        """Streams of which nothing was heard yet."""
        return EarState(self.codec.encoder_state(batch), self.student.initial_state(batch))

    @torch.inference_mode()
    def step(self, audio: Tensor, state: EarState) -> tuple[Tensor, EarState]:
        """Whole frames [B, 1920 n] -> [B, n, 456], and the state after them."""
        codes, codec_state = self.codec.encode_step(audio[:, None], state.codec)  # [B, 8, n]
        student, student_state = self.student.step(audio, state.student)  # [B, n, 320]
        latents = self.codec.latents(codes.transpose(1, 2))
        pitch = latents.octaves - NEUTRAL_OCTAVE  # [B, n, 8]
        heard = torch.cat([latents.semantic, latents.acoustic, pitch, student], dim=-1)
        return heard, EarState(codec_state, student_state)
