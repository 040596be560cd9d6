"""The offline responder: sums in words, a fact table, greetings, repeat-after-me, and modesty.

Deterministic and small, so that a right answer is known and a wrong one is the recogniser's. What
it knows is in `knowledge.json`. A question is matched to a known one by the words they share,
weighted by rarity (inverse document frequency): similarity 2 w(A and B) / (w(A) + w(B)), where w
sums the weights; below `MATCH` it says that it does not know.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import resources
from typing import Final

from sts_eval.judges.numbers import number_to_words, words_to_number
from sts_eval.judges.quantities import answer_of, quantities
from sts_eval.judges.text import normalise

MATCH: Final = 0.62
UNKNOWN: Final = "I do not know that."

# What a number can sound like where a number is expected.
_HOMOPHONES: Final = {
    "to": "two",
    "too": "two",
    "for": "four",
    "fore": "four",
    "won": "one",
    "ate": "eight",
    "tens": "ten",
    "oh": "zero",
}
_SUMS: Final[tuple[tuple[str, str], ...]] = (
    (r"add (?P<a>.+) (?:and|to) (?P<b>.+)", "plus"),
    (r"i have (?P<a>.+) and (?:i )?(?:get|got) (?P<b>.+) more\b.*", "plus"),
    (r"(?:sum of )(?P<a>.+) and (?P<b>.+)", "plus"),
    (r"i have (?P<a>.+) and (?:i )?(?:lose|lost|loose) (?P<b>.+) how many.*", "minus"),
    (r"(?:take|taking) (?P<b>.+?) (?:away )?from (?P<a>.+)", "minus"),
    (r"subtract (?P<b>.+) from (?P<a>.+)", "minus"),
    (r"multiply (?P<a>.+) (?:by|and|with) (?P<b>.+)", "times"),
    (r"(?P<a>.+) (?:plus) (?P<b>.+)", "plus"),
    (r"(?P<a>.+) (?:minus) (?P<b>.+)", "minus"),
    (r"(?P<a>.+) (?:times|time's|multiplied by) (?P<b>.+)", "times"),
)
_COMPUTE: Final[dict[str, Callable[[int, int], int]]] = {
    "plus": lambda a, b: a + b,
    "minus": lambda a, b: a - b,
    "times": lambda a, b: a * b,
}
_REPEAT: Final = re.compile(
    r"(?:.* )?(?:repeat (?:after|of) me|say the word|(?:can|and) you say|please say) (?P<w>.+)"
)


_FOLLOW_UPS: Final[tuple[tuple[str, str], ...]] = (
    (r"(?:plus|add|added to that) (?P<b>.+)", "plus"),
    (r"(?:minus|subtract|take away|takeaway|less) (?P<b>.+)", "minus"),
    (r"(?:times|multiplied by) (?P<b>.+)", "times"),
)


class SkillResponder:
    """Answers from rules and a table. Holds nothing of the conversation but what it is told."""

    name = "skills"

    def reply(self, heard: str, history: list[tuple[str, str]]) -> Iterator[str]:
        """Sentences to say to what was heard; none for silence and for back-channels."""
        answer = _go_on(heard, history[-1][1] if history else "") or respond(heard)
        yield from re.findall(r"[^.!?]+[.!?]*\s*", answer) if answer else ()


def respond(heard: str) -> str:
    """The whole answer, "" where none is due."""
    words = normalise(_spoken_signs(heard))
    if not words:
        return ""
    text = " ".join(words)
    if total := _solve(text):
        return total
    if match := _REPEAT.fullmatch(text):
        return match["w"].capitalize() + "."
    return _known().lookup(words)


def _spoken_signs(heard: str) -> str:
    """Signs of arithmetic between numbers as words: "20 - 7" -> "20 minus 7"."""
    heard = re.sub(r"(?<=\d) ?[-\u2212] ?(?=\d)", " minus ", heard)
    return re.sub(r"(?<=\d) ?[x*\u00d7] ?(?=\d)", " times ", heard)


def _solve(text: str) -> str | None:
    """ "what is seven plus two" -> "Seven plus two is nine."; None when it is not a sum."""
    for pattern, op in _SUMS:
        match = re.search(pattern, text)
        if match is None:
            continue
        a, b = _operand(match["a"], last=True), _operand(match["b"], last=False)
        if a is None or b is None:
            continue
        result = _COMPUTE[op](a, b)
        return f"{_said(a).capitalize()} {op} {_said(b)} is {_said(result)}."
    return None


def _go_on(heard: str, said: str) -> str | None:
    """A follow-up of the sum before ("And plus two more?"); None when it is none.

    It has one number only, and what was said last is a whole sum: "Seven plus two is nine."
    """
    before = answer_of(said)
    text = " ".join(normalise(_spoken_signs(heard)))
    if before is None or len(quantities(said)) != 3 or _solve(text):
        return None
    a = int(before.value)
    for pattern, op in _FOLLOW_UPS:
        match = re.search(rf"\b{pattern}", text)
        b = _operand(match["b"], last=False) if match else None
        if b is None:
            continue
        result = _COMPUTE[op](a, b)
        return f"{_said(a).capitalize()} {op} {_said(b)} is {_said(result)}."
    return None


def _said(value: int) -> str:
    return ("minus " if value < 0 else "") + number_to_words(abs(value))


def _operand(text: str, *, last: bool) -> int | None:
    """The longest number at the end (`last`) or at the start of some words."""
    words = [_HOMOPHONES.get(word, word) for word in text.split()]
    for length in range(min(6, len(words)), 0, -1):
        value = words_to_number(words[-length:] if last else words[:length])
        if value is not None and value < 10_000:
            return value
    return None


class Knowledge:
    """Known sayings and what to answer to each."""

    def __init__(self, entries: list[tuple[str, str]]) -> None:
        self._entries = [(_stems(normalise(said)), answer) for said, answer in entries]
        count = Counter(word for words, _ in self._entries for word in words)
        self._weight = {word: math.log(1 + len(self._entries) / n) for word, n in count.items()}
        self._rare = math.log(1 + len(self._entries))

    def lookup(self, words: list[str]) -> str:
        """The answer to the most similar saying, or that it is not known."""
        asked = _stems(words)
        weigh = self._sum(asked)
        score, answer = 0.0, UNKNOWN
        for known, reply in self._entries:
            similar = 2 * self._sum(asked & known) / (weigh + self._sum(known))
            if similar > score:
                score, answer = similar, reply
        return answer if score >= MATCH else UNKNOWN

    def _sum(self, words: frozenset[str]) -> float:
        # in a fixed order: floats do not add up the same in every order
        return math.fsum(self._weight.get(word, self._rare) for word in words)


def _stems(words: list[str]) -> frozenset[str]:
    """Words without the possessive: recognisers add and drop it."""
    return frozenset(word.removesuffix("'s") for word in words)


@lru_cache(maxsize=1)
def _known() -> Knowledge:
    data = json.loads(resources.files(__package__).joinpath("knowledge.json").read_text("utf-8"))
    entries = [(q, fact["answer"]) for fact in data["facts"] for q in fact["questions"]]
    entries += [(q, data["unanswerable"]["answer"]) for q in data["unanswerable"]["questions"]]
    for group in ("greetings", "long"):
        entries += [(each["user"], each["answer"]) for each in data[group]]
    for group in ("emotional", "glad", "unhappy", "interruptions"):
        entries += [(said, data[group]["answer"]) for said in data[group]["sentences"]]
    entries += [(said, "") for said in data["backchannels"]]
    return Knowledge(entries)
