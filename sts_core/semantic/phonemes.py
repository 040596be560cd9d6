"""The phoneme alphabet of the manifests, and the phoneme error rate.

Manifests carry misaki's English phoneme strings (Kokoro's alphabet: A = ei, I = ai, O and Q = ou,
W = au, Y = oi, T = flap). Stress and punctuation are dropped: they are prosody, which the text does
not fix. The word boundary is a symbol for training, so that a decoded string can be read, but is
left out of the phoneme error rate, since pauses between words are not heard as such.

    phoneme error rate = (substitutions + deletions + insertions) / phonemes of the reference
"""

from __future__ import annotations

from collections.abc import Sequence

from sts_core.data.manifest import Row

ALPHABET = " AIOQTWYabdfhijklmnpstuvwzæðŋɐɑɒɔəɛɜɡɪɹʃʊʌʒʤʧθᵊᵻː"
BLANK = 0  # the CTC blank; symbol k of the alphabet has id k + 1
VOCABULARY_SIZE = 1 + len(ALPHABET)
_IDS = {symbol: number for number, symbol in enumerate(ALPHABET, start=1)}
_DROPPED = set("ˈˌ.,?!:;—…\"'")


def phoneme_ids(phonemes: str) -> list[int]:
    """Symbol ids (1..) of a misaki string, without stress and punctuation.

    Raises:
        ValueError: a symbol outside the alphabet, such as those of another language.
    """
    kept = " ".join("".join(c for c in phonemes if c not in _DROPPED).split())
    unknown = sorted(set(kept) - _IDS.keys())
    if unknown:
        raise ValueError(f"phonemes outside the English alphabet: {' '.join(unknown)}")
    return [_IDS[c] for c in kept]


def phoneme_string(ids: Sequence[int]) -> str:
    """The inverse of `phoneme_ids` on its own output."""
    return "".join(ALPHABET[number - 1] for number in ids)


def labels_of(row: Row) -> list[int] | None:
    """Phoneme ids of a manifest row, or None where it has no English phonemes."""
    if row.get("lang") != "en" or not row.get("phonemes"):
        return None
    try:
        return phoneme_ids(row["phonemes"]) or None
    except ValueError:
        return None


def without_boundaries(ids: Sequence[int]) -> list[int]:
    """The ids without the word boundary."""
    return [number for number in ids if number != _IDS[" "]]


def collapse(frames: Sequence[int]) -> list[int]:
    """CTC's reading of a best path: repeats merged, then blanks removed (Graves et al., 2006)."""
    merged = [a for a, b in zip(frames, [None, *frames], strict=False) if a != b]
    return [number for number in merged if number != BLANK]


def edit_distance(reference: Sequence[int], hypothesis: Sequence[int]) -> int:
    """Levenshtein distance, unit costs."""
    row = list(range(len(hypothesis) + 1))
    for i, wanted in enumerate(reference, start=1):
        diagonal, row[0] = row[0], i
        for j, got in enumerate(hypothesis, start=1):
            diagonal, row[j] = (
                row[j],
                min(row[j] + 1, row[j - 1] + 1, diagonal + (wanted != got)),
            )
    return row[-1]
