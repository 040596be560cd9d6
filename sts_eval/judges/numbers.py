"""English numbers: 21 <-> "twenty-one". Small on purpose: whole numbers below a billion.

Recognisers write "20 minus 7" where a person says "twenty minus seven"; both sides are brought to
words before they are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# fmt: off
SMALL: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
TENS: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
# fmt: on
_SCALES: Final = ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred"))
_SIZES: Final = {name: size for size, name in _SCALES}
_ORDINALS: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
LIMIT: Final = 1_000_000_000
_VALUE: Final = {word: n for n, word in enumerate(SMALL)} | {
    word: 20 + 10 * n for n, word in enumerate(TENS)
}


def number_to_words(n: int) -> str:
    """0 <= n < 10^9 -> "one hundred twenty-one" (American: without "and"). Raises ValueError."""
    if not 0 <= n < LIMIT:
        raise ValueError(f"{n} is not between 0 and {LIMIT - 1}")
    for size, name in _SCALES:
        if n >= size:
            head, rest = divmod(n, size)
            said = f"{number_to_words(head)} {name}"
            return f"{said} {number_to_words(rest)}" if rest else said
    if n < 20:
        return SMALL[n]
    ten, unit = divmod(n, 10)
    return f"{TENS[ten - 2]}-{SMALL[unit]}" if unit else TENS[ten - 2]


def ordinal_to_words(n: int) -> str:
    """21 -> "twenty-first". Raises ValueError."""
    words = number_to_words(n)
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    head, last = words[:cut], words[cut:]
    if last in _ORDINALS:
        last = _ORDINALS[last]
    else:
        last = last[:-1] + "ieth" if last.endswith("y") else last + "th"
    return head + last


def words_to_number(words: Sequence[str]) -> int | None:
    """["twenty", "one"] or ["21"] -> 21; None when the words are not one whole number."""
    if len(words) == 1 and words[0].isascii() and words[0].isdigit():
        return int(words[0])
    if not words:
        return None
    total, part, last = 0, 0, ""
    for word in words:
        if word == "and" and last == "hundred":
            pass
        elif word in _VALUE:
            tens = last in TENS and 0 < _VALUE[word] < 10
            if last and not (tens or last in ("hundred", "thousand", "million", "and")):
                return None
            part += _VALUE[word]
        elif word == "hundred" and 0 < part < 10:
            part *= 100
        elif word in ("thousand", "million") and part:
            total, part = total + part * _SIZES[word], 0
        else:
            return None
        last = word
    return total + part
