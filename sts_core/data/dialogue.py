"""Two-channel conversations, composed from single utterances.

A `Draft` is filled from left to right: the user's side in samples, the agent's side in frames. What
the agent says in frame t sounds during frame t + 1 (the model's latency), which is when its echo
may leak into the user's microphone. `finish` places text tokens:

    own text      a word's tokens stand TEXT_LEAD_FRAMES before its first phoneme is recognised,
                  one token a frame, and never before the reply begins
    user's words  a word's tokens stand one frame after the word has ended (to be recognised)
    user's tone   stands from the middle of a remark until it is answered, for a head of training
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sts_core.data.align import WordSpan
from sts_core.data.library import Utterance
from sts_core.data.manifest import as_float
from sts_core.data.prosody import TONES
from sts_core.lm.text import END_OF_PAD, PAD, TextTokenizer
from sts_core.units import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_of

FRAME_S = FRAME_MS / 1000
# The aligner's causal encoder recognises a phoneme up to two frames after its beginning. Text that
# lags its own sound teaches the model to read its words off its codes instead of choosing them.
TEXT_LEAD_FRAMES = 3
NO_TONE = -1
Audio = NDArray[np.float32]


class Dialogue(NamedTuple):
    """One conversation of T frames."""

    user: Audio  # [T * 1920], before augmentation
    leak: Audio  # [T * 1920], the agent as it sounds in the room
    codes: NDArray[np.uint16]  # [T, 8], the agent
    text: NDArray[np.uint16]  # [T], the agent's tokens
    words: NDArray[np.uint16]  # [T], the user's tokens
    tone: NDArray[np.int8]  # [T], place of the user's tone of voice in TONES, or NO_TONE
    speaking: NDArray[np.bool_]  # [T], the agent speaks
    voice: int
    kind: str


class Said(NamedTuple):
    """So many frames of what the agent says, from a frame on, without the first `skipped` of it."""

    start: int
    frames: int
    utterance: Utterance
    skipped: int = 0

    def until(self, frame: int) -> Said:
        """The same, cut off before a frame."""
        return self._replace(frames=max(0, min(self.frames, frame - self.start)))

    def word_frames(self) -> list[int]:
        """Where in the utterance each word begins."""
        times = [self.utterance.code_time_s(word) for word in self.utterance.words]
        return [int(max(time, 0.0) / FRAME_S) for time in times]


@dataclass
class Draft:
    """A conversation in the making."""

    silence: NDArray[np.uint16]  # [8], codes of a silent agent
    tokenizer: TextTokenizer
    voice: int = 0
    user: list[tuple[int, Audio]] = field(default_factory=list)
    words: list[WordSpan] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    toned: list[tuple[int, int, str]] = field(default_factory=list)

    def user_says(
        self, audio: Audio, words: tuple[WordSpan, ...], at_s: float, *, heard: bool = True
    ) -> None:
        """Put user audio at a time; with `heard` its words are to be recognised."""
        self.user.append((round(at_s * SAMPLE_RATE_HZ), audio))
        if heard:
            self.words += [WordSpan(w.word, w.start_s + at_s, w.end_s + at_s) for w in words]

    def user_sounds(self, tone: str, start_s: float, until: int) -> None:
        """The user's tone of voice can be told from a time on, and matters until a frame."""
        self.toned.append((int(start_s / FRAME_S), until, tone))

    def agent_says(self, utterance: Utterance, at_frame: int, until: int | None = None) -> int:
        """Let the agent speak from a frame on, until its end or frame `until`; returns the end."""
        assert utterance.codes is not None
        said = Said(at_frame, len(utterance.codes), utterance)
        self.said.append(said if until is None else said.until(until))
        return at_frame + self.said[-1].frames

    def agent_holds(self, silent: int, again: int) -> int:
        """Let the agent fall silent at a frame and speak again at another; returns its new end.

        It goes on with the word that it broke off.
        """
        whole = self.said.pop()
        heard = whole.skipped + silent - whole.start
        begun = [frame for frame in whole.word_frames() if whole.skipped <= frame < heard]
        skipped = begun[-1] if begun else whole.skipped
        left = whole.skipped + whole.frames - skipped
        self.said += [whole.until(silent), Said(again, left, whole.utterance, skipped)]
        return again + left

    def finish(self, frames: int, kind: str) -> Dialogue:
        """The conversation, cut or padded to so many frames."""
        user = np.zeros(frames * FRAME_SAMPLES, np.float32)
        for start, audio in self.user:
            part = audio[: max(0, user.size - start)]
            user[start : start + part.size] += part
        codes = np.tile(self.silence, (frames, 1))
        leak = np.zeros_like(user)
        speaking = np.zeros(frames, dtype=bool)
        text = np.full(frames, PAD, np.uint16)
        for said in self.said:
            start, end = said.start, min(said.start + said.frames, frames)
            assert said.utterance.codes is not None
            if start >= end:
                continue  # it begins after the cut
            codes[start:end] = said.utterance.codes[said.skipped :][: end - start]
            speaking[start:end] = True
            _place_leak(leak, said, end)
            self._place_text(text, said, end)
        words = np.full(frames, PAD, np.uint16)
        for word in self.words:
            _place(words, self.tokenizer.word(word.word), int(word.end_s / FRAME_S) + 1)
        sounds = np.full(frames, NO_TONE, np.int8)
        for start, end, tone in self.toned:
            sounds[start:end] = TONES.index(tone)
        return Dialogue(user, leak, codes, text, words, sounds, speaking, self.voice, kind)

    def _place_text(self, text: NDArray[np.uint16], said: Said, end: int) -> None:
        free = said.start
        for word, frame in zip(said.utterance.words, said.word_frames(), strict=True):
            if frame < said.skipped:
                continue
            at = max(said.start + frame - said.skipped - TEXT_LEAD_FRAMES, free)
            tokens = self.tokenizer.word(word.word)
            if at >= end:
                break
            if at > free:
                text[at - 1] = END_OF_PAD
            _place(text[:end], tokens, at)
            free = at + len(tokens)


def _place(stream: NDArray[np.uint16], tokens: list[int], at: int) -> None:
    """Write tokens from a frame on, one a frame, after those that stand there already."""
    for token in tokens:
        while at < len(stream) and stream[at] > END_OF_PAD:
            at += 1
        if at < len(stream):
            stream[at] = token


def _place_leak(leak: Audio, said: Said, end: int) -> None:
    """What the agent says until frame `end`, a frame later."""
    first = said.skipped * FRAME_SAMPLES
    audio = as_float(said.utterance.audio[first : first + (end - said.start) * FRAME_SAMPLES])
    start = (said.start + 1) * FRAME_SAMPLES
    part = audio[: max(0, leak.size - start)]
    leak[start : start + part.size] += part


def answer_frame(speech_end_s: float, delay: int = 0) -> int:
    """The first frame an agent can answer in: the one after that in which speech has ended."""
    return frames_of(round(speech_end_s * SAMPLE_RATE_HZ)) + delay
