"""A codec that carries emotion exactly where we say: what the probes must find in its tokens."""

import numpy as np
import pytest

from sts_eval.probes.emotion_token_features import Rendition, TokenSet

EMOTIONS = ("angry", "happy", "neutral", "sad")
SIZE, FRAMES = 64, 16


def make_tokens(
    emotion_in=(),
    *,
    codebooks=4,
    semantic=1,
    speakers=6,
    texts=6,
    emotions=EMOTIONS,
    vectors=True,
    vocoder=True,
    seed=0,
):
    """Renditions of every text by every speaker in every emotion (and the original).

    Codebook 0 holds the words, the others the speaker; those in `emotion_in` also the emotion: half
    of their frames are one of 4 tokens of the emotion, the same for all speakers and texts.
    """
    rng = np.random.default_rng(seed)
    spoken = rng.integers(0, SIZE - 16, (texts, FRAMES))
    voiced = rng.integers(0, SIZE - 16, (speakers, 8))
    renditions = []
    for speaker in range(speakers):
        for text in range(texts):
            for emotion in (*(("original",) if vocoder else ()), *emotions):
                books = []
                for k in range(codebooks):
                    # a few tokens of a frame are others in each rendition, as in any codec
                    book = spoken[text] if k < semantic else rng.choice(voiced[speaker], FRAMES)
                    book = np.where(rng.random(FRAMES) < 0.2, rng.integers(0, SIZE, FRAMES), book)
                    if k in emotion_in:
                        felt = SIZE - 16 + 4 * place_of(emotion) + rng.integers(0, 4, FRAMES)
                        book = np.where(rng.random(FRAMES) < 0.5, felt, book)
                    books.append(book)
                renditions.append(
                    Rendition(
                        scenario_id=f"s{speaker}.t{text}",
                        speaker=f"s{speaker}",
                        text=f"t{text}",
                        words=f"sentence number {text}",
                        emotion=emotion,
                        tokens=np.array(books, np.int64),
                        sound=rng.standard_normal(6) + 3 * np.eye(6)[place_of(emotion)],
                    )
                )
    table = [rng.standard_normal((SIZE, 12)) for _ in range(codebooks)] if vectors else None
    return TokenSet(renditions, "synthetic", SIZE, semantic, table)


def place_of(emotion):
    """A number of its own for each emotion; the original sounds neutral."""
    return EMOTIONS.index("neutral" if emotion == "original" else emotion)


@pytest.fixture
def token_set():
    """`make_tokens`."""
    return make_tokens
