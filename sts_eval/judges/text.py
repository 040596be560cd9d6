"""Text as it is compared: one spelling for what sounds the same, then word errors.

Word error rate is (substitutions + deletions + insertions) / reference words; pool the counts over
utterances and divide once. Alignment by jiwer (minimum edit distance).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from sts_eval.judges.numbers import LIMIT, number_to_words, ordinal_to_words

VERSION = 1
_SYMBOLS = {"%": " percent ", "&": " and ", "+": " plus ", "=": " equals ", "°": " degrees "}
_SAME = {
    "ok": "okay",
    "mmhmm": "mhm",
    "mm": "mhm",
    "uhhuh": "uh-huh",
    "colour": "color",
    "grey": "gray",
    "favourite": "favorite",
    "neighbour": "neighbor",
}


def normalise(text: str) -> list[str]:
    """Lower-case words without punctuation, numbers in words, a few spellings made one.

    "It's 20 + 7, OK?" -> ["it's", "twenty", "plus", "seven", "okay"]
    """
    text = unicodedata.normalize("NFKC", text).lower().replace("\u2019", "'")
    text = re.sub(r"\$\s?(\d[\d,]*)", r"\1 dollars", text)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    for symbol, word in _SYMBOLS.items():
        text = text.replace(symbol, word)
    text = re.sub(r"(\d+)(?:st|nd|rd|th)\b", lambda m: f" {_ordinal(m[1])} ", text)
    text = re.sub(r"(\d+)\.(\d+)", lambda m: f" {_cardinal(m[1])} point {_digits(m[2])} ", text)
    text = re.sub(r"\d+", lambda m: f" {_cardinal(m[0])} ", text)
    text = text.replace("uh-huh", "uhhuh").replace("mm-hmm", "mmhmm")
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)*", text)
    return [_SAME.get(word, word) for word in words]


def _cardinal(digits: str) -> str:
    return number_to_words(int(digits)) if len(digits) < 10 else _digits(digits)


def _ordinal(digits: str) -> str:
    return ordinal_to_words(int(digits)) if int(digits) < LIMIT else _digits(digits)


def _digits(digits: str) -> str:
    return " ".join(number_to_words(int(digit)) for digit in digits)


@dataclass(frozen=True)
class WordErrors:
    """Counts of one utterance (or of many, added up)."""

    substitutions: int
    deletions: int
    insertions: int
    words: int

    @property
    def errors(self) -> int:
        """All three kinds."""
        return self.substitutions + self.deletions + self.insertions

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.words + other.words,
        )


def word_errors(reference: str, hypothesis: str) -> WordErrors:
    """Errors of the hypothesis against the reference, both normalised first."""
    said, heard = normalise(reference), normalise(hypothesis)
    if not said or not heard:
        return WordErrors(0, len(said), len(heard), len(said))
    import jiwer

    out = jiwer.process_words([" ".join(said)], [" ".join(heard)])
    return WordErrors(out.substitutions, out.deletions, out.insertions, len(said))
