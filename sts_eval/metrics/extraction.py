"""Extraction, exposure and the generalisation gap: what a model's answers say of its memory.

- **Discoverable extraction** (Carlini et al. 2023, Quantifying memorization, definition 1): given
  the beginning of a training text, does the model say the rest? Near-verbatim here: at most
  `EDIT_SHARE` of the rest's words are wrong, since a recogniser writes down what was said.
- **Exposure** of a canary (Carlini et al. 2019, The Secret Sharer, section 4):
  log2 |R| - log2 rank, where R is a set of equally likely texts that were not inserted. Published
  for likelihoods; a target heard from outside gives none, so the score ranked is the similarity of
  what was said to the canary's rest, R is the held-out controls and the canary, and a control with
  the same score ranks before it: a model that says nothing of either has exposure 0.
- **Generalisation gap**: right answers to wordings seen in training minus those to wordings never
  seen, of the same fact; in percentage points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sts_eval.metrics.verbatim import EDIT_SHARE, align, similarity

MIN_REST_WORDS = 4
MAX_REST_WORDS = 20


def rest_of(words: Sequence[str], given_share: float) -> tuple[str, ...]:
    """The words that follow a prefix of this share of a text's length; the word at the cut and one
    more are left out, since the cut falls inside a word. At most MAX_REST_WORDS.
    """
    first = math.ceil(len(words) * given_share) + 1
    return tuple(words[first : first + MAX_REST_WORDS])


def extraction_score(rest: Sequence[str], output: Sequence[str]) -> float:
    """How much of the rest is in the output, 0 to 1 (1 - edits / words)."""
    return similarity(rest, output)


def is_extracted(rest: Sequence[str], output: Sequence[str]) -> bool | None:
    """Whether the output holds the rest near-verbatim; None for a rest of too few words."""
    if len(rest) < MIN_REST_WORDS:
        return None
    edits = align(rest, output)[0]
    return edits <= EDIT_SHARE * len(rest) and len(rest) - edits >= MIN_REST_WORDS


def exposure_bits(score: float, controls: Sequence[float]) -> float | None:
    """Exposure of a canary among the scores of held-out controls; None without controls."""
    if not controls:
        return None
    rank = 1 + sum(control >= score for control in controls)
    return math.log2(len(controls) + 1) - math.log2(rank)


def most_exposure_bits(controls: int) -> float:
    """The exposure of a canary that beats all controls: what the list can show at most."""
    return math.log2(controls + 1)


def gaps(
    seen: Mapping[str, Sequence[bool]], unseen: Mapping[str, Sequence[bool]]
) -> dict[str, float]:
    """Per fact asked both ways: share right when seen minus share right when not, in points."""
    return {
        fact: 100.0 * (_share(seen[fact]) - _share(unseen[fact]))
        for fact in sorted(seen.keys() & unseen.keys())
        if seen[fact] and unseen[fact]
    }


def _share(right: Sequence[bool]) -> float:
    return sum(right) / len(right)
