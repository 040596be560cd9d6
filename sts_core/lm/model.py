"""The duplex language model: hears the user and speaks, both in every frame of 80 ms.

    frame t:   own text [t-1] + ear(user, frame t) + voice -> temporal transformer -> h[t]
               h[t] -> text token [t]      (inner monologue: words where they begin, PAD between)
               h[t], text [t], own codes [t-3..t-1] -> depth transformer -> codes [t]
               lower layer -> the user's words, where they end (a head for training and for show)

What is computed from frame t sounds during frame t + 1, so the theoretical latency is 160 ms: 80 ms
to hear a frame and 80 ms until the next begins (plus 80 ms for each frame of acoustic delay). The
user's side is given as what the ear says (`sts_core.lm.ear`): the latents that the user's codes
stand for, and the semantic student's vector.

Unlike Moshi's, the temporal transformer does not hear the agent's own codes. Trained on a few
thousand fixed recordings it learnt to tell from the first of them which recording was playing, and
read the words off that, not off the question: 97 % of words right under teacher forcing, next to
none when it spoke for itself. Own codes reach the depth transformer alone, three frames back:
enough to know how far a word has been said.

After "Moshi" (Défossez et al., 2024): multi-stream modelling, depth transformer, inner monologue.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sts_core.lm.config import LMConfig
from sts_core.lm.depth import NAMED, CodeTables, DepthTransformer
from sts_core.lm.sampling import Sampler
from sts_core.lm.text import BEGIN, PAD
from sts_core.lm.transformer import Transformer, TransformerState

START_CODE = 0  # stands in place of all codes of the frame before the first
SILENT_FRAMES = 25  # without a word: no reply that was broken off is still to be gone on with


class Frames(NamedTuple):
    """Consecutive frames of a batch of conversations, as the model reads them."""

    text: Tensor  # int64 [B, T], own text tokens
    ear: Tensor  # [B, T, ear_dim], the user
    voice: Tensor  # int64 [B], the agent's voice


class Heard(NamedTuple):
    """What the temporal transformer makes of frames."""

    hidden: Tensor  # [B, T, dim]
    text_logits: Tensor  # [B, T, V], own text
    user_logits: Tensor  # [B, T, V], the user's words


class LMState(NamedTuple):
    """All a conversation remembers: one value for a batch of B."""

    temporal: TransformerState
    text: Tensor  # int64 [B], text token of the last frame
    codes: Tensor  # int64 [B, C, K], codes of the last frames, the latest last
    silent_frames: Tensor  # int64 [B], since the last word

    def after(self, temporal: TransformerState, text: Tensor, codes: Tensor) -> LMState:
        """The state after a frame with text int64 [B] and codes int64 [B, K]."""
        recent = torch.cat([self.codes[:, 1:], codes[:, None]], dim=1)
        silent = torch.where(text == PAD, self.silent_frames + 1, 0)
        return LMState(temporal, text, recent, silent)

    @property
    def would_begin(self) -> Tensor:
        """Bool [B]: the next word begins a reply."""
        return self.silent_frames >= SILENT_FRAMES


class Spoken(NamedTuple):
    """One generated frame of each conversation."""

    text: Tensor  # int64 [B]
    codes: Tensor  # int64 [B, K]
    user_logits: Tensor  # [B, V]
    text_logits: Tensor  # [B, V], before sampling


class DuplexLM(nn.Module):
    """See the module."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.text_in = nn.Embedding(config.text_vocabulary, dim)
        self.voice_in = nn.Embedding(config.voices, dim)
        self.code_tables = CodeTables(config)
        self.ear_in = nn.Linear(config.ear_dim, dim, bias=False)
        self.temporal = Transformer(dim, config.layers, config.heads, config.window_frames)
        self.text_out = nn.Linear(dim, config.text_vocabulary)
        self.user_out = nn.Linear(dim, config.text_vocabulary)
        self.depth = DepthTransformer(config)
        for table in (self.text_in, self.voice_in):
            nn.init.normal_(table.weight, std=0.5)

    def embed(self, text: Tensor, ear: Tensor, voice: Tensor) -> Tensor:
        """Sum of the streams [B, N, dim]; text int64 [B, N] of the frame before."""
        return self.text_in(text) + self.ear_in(ear) + self.voice_in(voice)[:, None]

    def forward(self, frames: Frames) -> Heard:
        """Whole conversations from their beginning, each frame seeing the true text before it."""
        batch = len(frames.text)
        first = frames.text.new_full((batch, 1), BEGIN)
        x = self.embed(torch.cat([first, frames.text[:, :-1]], dim=1), frames.ear, frames.voice)
        tap = self.config.words_after_layers
        hidden, tapped, _ = self.temporal.step_with_tap(x, self.temporal.initial_state(batch), tap)
        return Heard(hidden, self.text_out(hidden), self.user_out(tapped))

    def initial_state(self, batch: int) -> LMState:
        """`batch` conversations before their first frame."""
        text = torch.full((batch,), BEGIN, device=self.text_out.weight.device)
        c = self.config
        codes = text.new_full((batch, c.depth_context_frames, c.codebooks), START_CODE)
        silent = torch.full_like(text, SILENT_FRAMES)
        return LMState(self.temporal.initial_state(batch), text, codes, silent)

    @torch.inference_mode()
    def listen(
        self, ear: Tensor, voice: Tensor, state: LMState
    ) -> tuple[Tensor, Tensor, Tensor, TransformerState]:
        """The temporal transformer's step.

        Returns what the depth transformer will see [B, depth_dim], the logits of the own text and
        of the user's words [B, V], and the new memory.
        """
        x = self.embed(state.text[:, None], ear[:, None], voice)
        tap = self.config.words_after_layers
        hidden, tapped, memory = self.temporal.step_with_tap(x, state.temporal, tap)
        seen = self.depth.condition(hidden[:, 0], state.codes, self.code_tables)
        return seen, self.text_out(hidden[:, 0]), self.user_out(tapped[:, 0]), memory

    @torch.inference_mode()
    def speak(self, seen: Tensor, text: Tensor, samplers: Sampler) -> Tensor:
        """The depth transformer's steps: codes int64 [B, K] of the frame."""
        state = self.depth.body.initial_state(len(seen))
        previous, codes = text, []
        for k in range(NAMED):
            logits, state = self.depth.step(k, seen, previous, state, self.code_tables)
            previous = samplers.code(logits, k)
            codes.append(previous)
        left, _ = self.depth.step(NAMED, seen, previous, state, self.code_tables)
        for k, table in enumerate(self.code_tables.acoustic, NAMED):
            codes.append(samplers.code(self.depth.residual_logits(left, table), k))
            left = left - table[codes[-1]]
        return torch.stack(codes, dim=1)

    @torch.inference_mode()
    def step(
        self, ear: Tensor, voice: Tensor, state: LMState, samplers: Sampler
    ) -> tuple[Spoken, LMState]:
        """One frame of B conversations: hear the user's frame, say one's own.

        Args:
            ear: [B, ear_dim], the user's frame.
            voice: int64 [B].
            samplers: how each stream is drawn, with each conversation's own random numbers. Their
                reluctance plays no part: how loud the user is, the model is not told.
        """
        seen, text_logits, user_logits, memory = self.listen(ear, voice, state)
        text = samplers.text(text_logits, ear.new_zeros(len(ear), dtype=torch.bool))
        codes = self.speak(seen, text, samplers)
        return Spoken(text, codes, user_logits, text_logits), state.after(memory, text, codes)
