"""Training recordings as tokens and fingerprints, and what a conversation shares with them.

Recordings are read (or spoken again) and encoded once; what comes of one is kept in the cache under
its hash. A large training set is sampled: the texts that the scenarios ask for and those that the
text match found come first, the rest is drawn at random. The section says how many were looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sts_eval.audio import audio_hash
from sts_eval.judges.cache import remember
from sts_eval.metrics.fingerprint import FingerprintIndex, Landmarks, landmarks
from sts_eval.metrics.token_match import (
    SUB_FRAMES,
    WINDOW_FRAMES,
    Codes,
    TokenIndex,
    best_agreement,
    chance_agreement,
)
from sts_eval.probes import derive_seed
from sts_eval.probes.overfit_training import TrainingText
from sts_eval.probes.overfit_voice import Spoken
from sts_eval.target import Samples
from sts_eval.trace import Span, silence
from sts_eval.units import SAMPLE_RATE_HZ

MIN_VOTES = 60
MIN_AGREEMENT = 0.5
CHANCE_PAIRS = 200
BOOKS = 1  # the semantic codebook
VERSION = "1"


@dataclass(frozen=True)
class Prints:
    """A recording as tokens at each start of a frame, and as landmarks, original and coded."""

    codes: tuple[Codes, ...]
    marks: tuple[Landmarks, ...]


@dataclass(frozen=True)
class Hits:
    """Training recordings in a conversation; None where there is none."""

    tokens: Spoken | None = None
    sound: Spoken | None = None


class SoundIndex:
    """What the training recordings look like, ready to be compared with."""

    def __init__(self, items: Sequence[TrainingText], seed: int) -> None:
        self.items = list(items)
        self._codec: Any = None
        self.prints = [self._prints(item.audio()) for item in self.items]
        self._tokens = TokenIndex([p.codes for p in self.prints], self.codebook_size)
        self._marks = FingerprintIndex([mark for p in self.prints for mark in p.marks])
        self.agreement = max(MIN_AGREEMENT, self._chance(seed))

    @property
    def codec(self) -> Any:
        """The reference codec, loaded when first needed."""
        if self._codec is None:
            from sts_eval.targets.core import load_codec

            self._codec = load_codec()
        return self._codec

    @property
    def codebook_size(self) -> int:
        """Entries of its semantic codebook."""
        return int(self.codec.codebook_size)

    def _encode(self, audio: Samples) -> Any:
        import torch

        with torch.inference_mode():
            return self.codec.encode(torch.from_numpy(audio)[None, None])

    def _prints(self, audio: Samples) -> Prints:
        def compute() -> dict[str, Any]:
            import torch

            shift = self.codec.frame_samples // SUB_FRAMES
            codes = [self._encode(_shifted(audio, n * shift)) for n in range(SUB_FRAMES)]
            with torch.inference_mode():
                coded = self.codec.decode(codes[0])[0, 0].numpy()
            marks = [landmarks(audio), landmarks(coded)]
            return {
                "codes": [c[0, :BOOKS].tolist() for c in codes],
                "marks": [[m.hashes.tolist(), m.frames.tolist()] for m in marks],
            }

        kept, _ = remember(("overfit-prints", VERSION, audio_hash(audio)), compute)
        return Prints(
            tuple(np.asarray(codes, np.int64) for codes in kept["codes"]),
            tuple(
                Landmarks(np.asarray(h, np.int64), np.asarray(f, np.int64))
                for h, f in kept["marks"]
            ),
        )

    def _chance(self, seed: int) -> float:
        """What recordings of different texts reach: pairs drawn at random."""
        rng = np.random.default_rng(derive_seed(seed, "chance"))
        values = []
        for _ in range(CHANCE_PAIRS if len(self.items) > 1 else 0):
            a, b = rng.choice(len(self.items), size=2, replace=False)
            query, other = self.prints[a].codes[0], self.prints[b].codes[:1]
            values.append(best_agreement(query, other, self._tokens.rare))
        return chance_agreement(values)

    def hits(self, agent: Samples, spans: Iterable[Span], skip: frozenset[str]) -> Hits:
        """The recordings that a conversation holds, by tokens and as a fingerprint.

        agent: the track, float32 [S]; spans: its speech. skip: ids of texts that do not count here.
        """
        heard = list(spans)
        if not heard:
            return Hits()
        from_s = heard[0].start_s
        speech = agent[round(from_s * SAMPLE_RATE_HZ) : round(heard[-1].end_s * SAMPLE_RATE_HZ)]
        frame_samples = self.codec.frame_samples
        if speech.size < WINDOW_FRAMES * frame_samples:
            return Hits()
        query = self._encode(speech)[0, :BOOKS].numpy()
        variants = len(self.prints[0].marks)
        tokens = sound = None
        for match in self._tokens.find(query, most=20):  # the best one first
            if self.items[match.recording].id not in skip:
                if match.agreement > self.agreement:
                    start_s = from_s + match.start * frame_samples / SAMPLE_RATE_HZ
                    window_s = WINDOW_FRAMES * frame_samples / SAMPLE_RATE_HZ
                    tokens = Spoken(self.items[match.recording], (start_s, start_s + window_s))
                break
        for mark in self._marks.find(landmarks(speech), most=20):
            item = self.items[mark.recording // variants]
            if item.id not in skip:
                if mark.votes >= MIN_VOTES:
                    sound = Spoken(item, (from_s + mark.start_s, from_s + mark.end_s))
                break
        return Hits(tokens, sound)


def _shifted(audio: Samples, samples: int) -> Samples:
    return np.concatenate([silence(samples), audio])


def choose(
    texts: Sequence[TrainingText], first: Sequence[str], most: int, seed: int
) -> list[TrainingText]:
    """The texts that can be heard: those whose ids come `first`, then at random, `most` in all."""
    by_id = {item.id: item for item in texts if item.can_sound}
    chosen = [by_id.pop(each) for each in dict.fromkeys(first) if each in by_id]
    rest = list(by_id.values())
    order = np.random.default_rng(derive_seed(seed, "recordings")).permutation(len(rest))
    return (chosen + [rest[n] for n in order])[:most]
