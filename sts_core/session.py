"""Conversations with the reference system: 80 ms of the user in, 80 ms of the agent and text out.

    frame -> codec encoder, student    encode_ms
          -> temporal transformer      temporal_ms
          -> depth transformer         depth_ms
          -> codec decoder             decode_ms -> audio, text

    system = System.load()
    session = system.open(seed=1)
    reply = session.push(frame)            # float32 [1920] -> Reply

What `push` returns sounds while the next frame is heard: the theoretical latency is 160 ms, and 80
ms more for each frame of acoustic delay. `open_batch` steps n conversations in one forward pass; a
row of it is the conversation that a session of its own would be.

Speech whose loudest frame in the last three seconds is below -30 dBFS is rather a neighbour's than
the user's (in training users are never softer than -32 dBFS in the mean, and their loudest frames
some 6 dB above it): to begin an answer to it the agent must be surer (`sts_core.lm.sampling`).

All memory of a conversation is one value, `ConversationState`, which a step takes and returns; a
session only holds the latest. Its size stops growing once attention has filled its window.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sts_core.codec.network import DecoderState
from sts_core.data.turns import AGENT_VOICES
from sts_core.lm.ear import Ear, EarState
from sts_core.lm.model import DuplexLM, LMState
from sts_core.lm.sampling import Sampler, SamplingConfig
from sts_core.lm.text import PAD, TextTokenizer
from sts_core.lm.weights import load_lm
from sts_core.units import FRAME_SAMPLES

Audio = NDArray[np.float32]

SOFT_DBFS = -30.0
LOUD_FRAMES = 38  # three seconds: a pause inside a question is shorter


class SessionError(ValueError):
    """A session was asked for something that it does not have, or was given no frame of audio."""


class StageTimes(NamedTuple):
    """Compute of one frame, ms; in a batch: of all its rows together."""

    encode_ms: float
    temporal_ms: float
    depth_ms: float
    decode_ms: float


class Reply(NamedTuple):
    """What one conversation gives back for a frame.

    audio: float32 [1920] in [-1, 1]. text: what its inner monologue adds, with leading spaces.
    heard: the user's words as the model made them out, likewise.
    """

    audio: Audio
    text: str
    heard: str
    stages: StageTimes


class ConversationState(NamedTuple):
    """All that a batch of conversations remembers."""

    ear: EarState
    lm: LMState
    decoder: DecoderState
    waiting: tuple[Tensor, ...]  # codebook 0 of frames whose acoustic codes come later, [B] each
    recognised: Tensor  # int64 [B, 2], the user's tokens of the last frames, the latest last
    powers: Tensor  # float32 [B, LOUD_FRAMES], mean squares of the user's last frames


@dataclass(frozen=True)
class SessionOptions:
    """How a conversation is held.

    Attributes:
        seed: of everything that is drawn; greedy sampling draws nothing.
        voice: name of the agent's voice (`System.voices`); None: the first.
        temperature: of text and codes; 0 is greedy. None: as `System.sampling` says.
    """

    seed: int = 0
    voice: str | None = None
    temperature: float | None = None


class System:
    """Codec, student, language model and tokenizer, loaded once for any number of sessions."""

    def __init__(
        self,
        ear: Ear,
        lm: DuplexLM,
        tokenizer: TextTokenizer,
        *,
        sampling: SamplingConfig | None = None,
    ) -> None:
        """Raises SessionError when model, ear and tokenizer do not fit together."""
        if lm.config.text_vocabulary != tokenizer.vocabulary:
            raise SessionError(
                f"the model has {lm.config.text_vocabulary} text tokens,"
                f" the tokenizer {tokenizer.vocabulary}"
            )
        if lm.config.codebooks != ear.codec.num_codebooks:
            raise SessionError(
                f"the model speaks {lm.config.codebooks} codebooks, the codec has"
                f" {ear.codec.num_codebooks}"
            )
        self.ear, self.lm, self.tokenizer = ear, lm.eval(), tokenizer
        self.sampling = sampling or SamplingConfig()
        extra = range(len(AGENT_VOICES), lm.config.voices)
        self.voices = (*AGENT_VOICES, *(f"voice{number}" for number in extra))[: lm.config.voices]

    @classmethod
    def load(cls, weights: Path | str | None = None) -> System:
        """The packaged system, or with the language model of a weights file. No network.

        Raises:
            WeightsError: missing, damaged or foreign weights.
        """
        lm = _few_rows(load_lm(None if weights is None else Path(weights)))
        return cls(Ear.load(), lm, TextTokenizer.load())

    @property
    def latency_ms(self) -> int:
        """The theoretical latency: a frame to hear, a frame until the next begins, the delay."""
        return 80 * (2 + self.lm.config.acoustic_delay_frames)

    def open(self, options: SessionOptions | None = None) -> Session:
        """Begin a conversation. Raises SessionError for a voice that does not exist."""
        return Session(self.open_batch([options or SessionOptions()]))

    def open_batch(self, options: Sequence[SessionOptions]) -> BatchSession:
        """Begin conversations that are stepped together.

        Raises:
            SessionError: none at all, unequal temperatures, or a voice that does not exist.
        """
        return BatchSession(self, options)

    def voice_number(self, name: str | None) -> int:
        """The token of a voice. Raises SessionError."""
        if name is None:
            return 0
        if name not in self.voices:
            raise SessionError(f"no voice {name!r}; there are {', '.join(self.voices)}")
        return self.voices.index(name)

    def initial_state(self, batch: int) -> ConversationState:
        """`batch` conversations before their first frame."""
        return ConversationState(
            self.ear.initial_state(batch),
            self.lm.initial_state(batch),
            self.ear.codec.decoder_state(batch),
            (),
            torch.full((batch, 2), PAD),
            torch.zeros(batch, LOUD_FRAMES),
        )

    @torch.inference_mode()
    def step(
        self,
        frames: Tensor,
        voice: Tensor,
        state: ConversationState,
        sampler: Sampler,
    ) -> tuple[Step, ConversationState]:
        """One frame of B conversations: user float32 [B, 1920], voice int64 [B]."""
        clock = _Stopwatch()
        ear, ear_state = self.ear.step(frames, state.ear)
        clock.lap()
        hidden, text_logits, user_logits, memory = self.lm.listen(ear[:, 0], voice, state.lm)
        powers = torch.cat([state.powers[:, 1:], frames.square().mean(dim=1, keepdim=True)], dim=1)
        soft = powers.amax(dim=1) < 10 ** (SOFT_DBFS / 10)
        text = sampler.text(text_logits, state.lm.would_begin & soft)
        clock.lap()
        codes = self.lm.speak(hidden, text, sampler)
        clock.lap()
        audio, decoder, waiting = self._sound(codes, state)
        clock.lap()
        made_out = user_logits.argmax(dim=-1)
        # In doubt about its frame, the head names a word in two or three: it was said once.
        again = (made_out[:, None] == state.recognised).any(dim=1)
        heard = torch.where(again, PAD, made_out)
        recognised = torch.cat([state.recognised[:, 1:], made_out[:, None]], dim=1)
        said = state.lm.after(memory, text, codes)
        after = ConversationState(ear_state, said, decoder, waiting, recognised, powers)
        return Step(audio, text, heard, StageTimes(*clock.laps_ms)), after

    def _sound(
        self, codes: Tensor, state: ConversationState
    ) -> tuple[Tensor, DecoderState, tuple[Tensor, ...]]:
        """Audio [B, 1920] of a frame's codes, once the delayed codebooks of a frame are there."""
        waiting = (*state.waiting, codes[:, 0])
        if len(waiting) <= self.lm.config.acoustic_delay_frames:
            return torch.zeros(len(codes), FRAME_SAMPLES), state.decoder, waiting
        whole = torch.cat([waiting[0][:, None], codes[:, 1:]], dim=1)  # [B, K]
        audio, decoder = self.ear.codec.decode_step(whole[:, :, None], state.decoder)
        return audio[:, 0].clamp(-1.0, 1.0), decoder, waiting[1:]


class Step(NamedTuple):
    """One frame of B conversations, as tensors."""

    audio: Tensor  # [B, 1920]
    text: Tensor  # int64 [B]
    heard: Tensor  # int64 [B], the user's words
    stages: StageTimes


class BatchSession:
    """n conversations stepped together."""

    def __init__(self, system: System, options: Sequence[SessionOptions]) -> None:
        if not options:
            raise SessionError("a batch needs at least one conversation")
        temperatures = {each.temperature for each in options}
        if len(temperatures) > 1:
            raise SessionError("conversations of one batch have the same temperature")
        self.system = system
        self._voice = torch.tensor([system.voice_number(each.voice) for each in options])
        sampling = _sampling(system.sampling, temperatures.pop())
        self._sampler = Sampler(sampling, [each.seed for each in options])
        self.state = system.initial_state(len(options))

    def __len__(self) -> int:
        return len(self._voice)

    def push(self, frames: Audio) -> list[Reply]:
        """Hear frames float32 [n, 1920]; one reply for each conversation.

        Raises:
            SessionError: another shape, or samples that are not finite.
        """
        heard = _checked(frames, len(self))
        step, self.state = self.system.step(heard, self._voice, self.state, self._sampler)
        pieces, audio = self.system.tokenizer.pieces, step.audio.numpy()
        return [
            Reply(audio[row], pieces([text]), pieces([word]), step.stages)
            for row, (text, word) in enumerate(
                zip(step.text.tolist(), step.heard.tolist(), strict=True)
            )
        ]


class Session:
    """One conversation."""

    def __init__(self, batch: BatchSession) -> None:
        self._batch = batch

    @property
    def state(self) -> ConversationState:
        """All that the conversation remembers."""
        return self._batch.state

    def push(self, frame: Audio) -> Reply:
        """Hear 80 ms, float32 [1920]; what the agent says in the next 80 ms.

        Raises:
            SessionError: another shape, or samples that are not finite.
        """
        if getattr(frame, "shape", None) != (FRAME_SAMPLES,):
            raise SessionError(f"a frame is float32 [{FRAME_SAMPLES}], this one {np.shape(frame)}")
        return self._batch.push(frame[None])[0]


class _Stopwatch:
    """Times between laps, ms."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock, self._last = clock, clock()
        self.laps_ms: list[float] = []

    def lap(self) -> None:
        now = self._clock()
        self.laps_ms.append((now - self._last) * 1000.0)
        self._last = now


def state_bytes(state: object) -> int:
    """Memory that a state holds on to, bytes."""
    if isinstance(state, Tensor):
        return state.numel() * state.element_size()
    return sum(state_bytes(part) for part in state) if isinstance(state, tuple) else 0


def _checked(frames: Audio, rows: int) -> Tensor:
    array = np.asarray(frames, np.float32)
    if array.shape != (rows, FRAME_SAMPLES):
        raise SessionError(f"frames are float32 [{rows}, {FRAME_SAMPLES}], these {array.shape}")
    if not np.isfinite(array).all():
        raise SessionError("the frame holds samples that are not finite")
    return torch.from_numpy(np.array(array))  # a copy: the caller may use its buffer again


def _sampling(base: SamplingConfig, temperature: float | None) -> SamplingConfig:
    if temperature is None:
        return base
    return replace(
        base,
        text_temperature=temperature,
        semantic_temperature=temperature,
        acoustic_temperature=temperature,
    )


def _few_rows(lm: DuplexLM) -> DuplexLM:
    """Matrices laid out for few rows at a time: same values, columns first."""
    for module in lm.modules():
        if isinstance(module, nn.Linear):
            module.weight.data = module.weight.t().contiguous().t()
    return lm
