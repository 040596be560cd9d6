"""Does a reply follow the tone of voice? Pure functions on what was heard.

A reply is given the tone whose list of replies it comes nearest to: word errors of the best-fitting
stretch of it against each listed reply (what stands around that stretch is free). Above MAX_ERRORS
it fits none; so it does where two tones come equally near.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from sts_eval.judges.text import normalise
from sts_eval.metrics.answers import repeat_errors

MAX_ERRORS: Final = 0.5  # share of a listed reply's words
DIFFERENT_FROM: Final = 1 / 3  # share of the longer reply's letters; less is a mishearing
VALENCE: Final = {"happy": "positive", "sad": "negative", "angry": "negative"}

Side = Literal["tone", "words", "neither"]
Replies = Mapping[str, Sequence[str]]


def reply_tone(heard: str, replies: Replies) -> str:
    """The tone whose replies (tone -> sentences) come nearest; "" when none does."""
    near: dict[str, float] = {}
    for tone, texts in replies.items():
        shares = [repeat_errors(text, heard) for text in texts]
        near[tone] = min((share for share in shares if share is not None), default=1.0)
    least = min(near.values(), default=1.0)
    first = [tone for tone, share in near.items() if share == least]
    return first[0] if least <= MAX_ERRORS and len(first) == 1 else ""


def replies_differ(first: str, second: str) -> bool:
    """Whether two replies are different ones, and not one that the judge heard in two ways."""
    from rapidfuzz.distance import Levenshtein

    a, b = (" ".join(normalise(text)) for text in (first, second))
    longest = max(len(a), len(b))
    return longest > 0 and Levenshtein.distance(a, b) / longest > DIFFERENT_FROM


def side_taken(replied: str, tone: str, words: str) -> Side:
    """What a reply follows where tone and words disagree.

    replied, tone: tones ("" for a reply without one). words: "positive" or "negative". A neutral
    reply follows neither.
    """
    valence = VALENCE.get(replied, "")
    if valence and valence == VALENCE.get(tone):
        return "tone"
    return "words" if valence and valence == words else "neither"


@dataclass(frozen=True)
class Following:
    """How a change of the agent's voice goes with a change of the user's, over pairs.

    slope: through the origin; 1 is as much as the user, 0 not at all. correlation: in [-1, 1]; None
    where one of the two never changes.
    """

    slope: float | None
    correlation: float | None


def following(user: NDArray[np.float64], agent: NDArray[np.float64]) -> Following:
    """Changes [P] of the user's voice from one tone to another, and of the agent's in its replies.

    Slope sum(u a) / sum(u u), correlation sum(u a) / sqrt(sum(u u) sum(a a)): a pair has no first
    and second, so that nothing is centred.
    """
    both, of_user, of_agent = float(user @ agent), float(user @ user), float(agent @ agent)
    if of_user <= 0:
        return Following(None, None)
    correlation = both / np.sqrt(of_user * of_agent) if of_agent > 0 else None
    return Following(both / of_user, None if correlation is None else float(correlation))
