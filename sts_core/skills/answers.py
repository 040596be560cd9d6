"""Whether what was heard is right. All functions are pure; texts are what a recogniser wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sts_core.data.manifest import Row
from sts_core.data.texts import load_texts
from sts_core.lm.text import words_of

_SAME = {"grey": "gray", "colour": "color", "ok": "okay", "i'm": "i am", "don't": "do not"}
_SAME |= {"can't": "cannot", "that's": "that is", "it's": "it is", "there's": "there is"}


def heard_words(text: str) -> list[str]:
    """Words in lower case, numbers as words: "5 x 8 is 40." -> five times eight is forty."""
    names: dict[int, str] = load_texts()["arithmetic"]["number_words"]
    said = re.sub(r"(?<=\d)\s*[x*×]\s*(?=\d)", " times ", text.lower())
    for sign, word in (("+", "plus"), ("-", "minus"), ("=", "is")):
        said = re.sub(rf"(?<=\d)\s*\{sign}\s*(?=\d)", f" {word} ", said)

    def number(match: re.Match[str]) -> str:
        name = names.get(int(match[0])) if len(match[0]) < 6 else None
        return f" {name or match[0]} "

    words = words_of(re.sub(r"\d+", number, said))
    return " ".join(_SAME.get(word, word) for word in words).split()


def last_number(words: Sequence[str]) -> int | None:
    """The value of the last number that is said, below the texts' largest; None without one."""
    names: dict[int, str] = load_texts()["arithmetic"]["number_words"]
    values = {tuple(words_of(name)): value for value, name in names.items()}
    for end in range(len(words), 0, -1):
        for size in (4, 3, 2, 1):
            value = values.get(tuple(words[max(0, end - size) : end]))
            if value is not None and size <= end:
                return value
    return None


def is_refusal(words: Sequence[str]) -> bool:
    """ "I do not know that" in one of its forms."""
    text = " ".join(words)
    return bool(re.search(r"\b(not|cannot|no way to|never) (\w+ )?(know|tell|say)\b", text))


def is_right(row: Row, words: Sequence[str]) -> bool:
    """Whether an answer is the one that the manifest row asks for."""
    if "answer" in row:
        return last_number(words) == row["answer"]
    if "key" in row:
        key = heard_words(str(row["key"]))
        return any(list(words[i : i + len(key)]) == key for i in range(len(words)))
    return is_refusal(words)


def reply_tone(words: Sequence[str]) -> str:
    """The tone whose replies come nearest, by word errors; "" when none shares a third of them."""
    best, least = "", 2 / 3
    for tone, replies in load_texts()["emotional"]["replies"].items():
        for reply in replies:
            share = word_error_rate(heard_words(reply), words)
            if share < least:
                best, least = str(tone), share
    return best


def word_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Substitutions, deletions and insertions (minimum edit distance)."""
    if not reference or not hypothesis:
        return max(len(reference), len(hypothesis))
    import jiwer

    out = jiwer.process_words([" ".join(reference)], [" ".join(hypothesis)])
    return int(out.substitutions + out.deletions + out.insertions)


def word_error_rate(reference: Sequence[str], hypothesis: Sequence[str]) -> float:
    """Word errors by reference words; without any of these 0 for silence, else infinite."""
    errors = word_errors(reference, hypothesis)
    return errors / len(reference) if reference else (float("inf") if errors else 0.0)
