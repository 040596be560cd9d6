"""What an answer says: its number, its fact, whether it admits not to know; and who got it wrong.

An answer has up to three texts: what the first judge hears on the audio, what a second judge hears,
and the agent's own text stream. A wrong number in the audio is blamed on the first of these that
went wrong:

    hearing    the agent's own words show other numbers than the user said
    thinking   its text gives another number
    judge      its text is right, or there is none, and the two judges hear different numbers
    speaking   its text is right and the audio is wrong for both judges
    unknown    no text and no disagreement: nothing tells thinking from speaking
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from sts_eval.judges.quantities import (
    Quantity,
    answer_of,
    is_value,
    operands_of,
    signs_in_words,
)
from sts_eval.judges.text import normalise

Blame = Literal["right", "hearing", "thinking", "speaking", "judge", "unknown"]
Claim = Literal["refused", "corrected", "asks", "asserted", "nothing"]

_CANNOT: Final = (
    r"(?:do not|don't|does not|cannot|can not|can't|could not|couldn't|will not be able to"
    r"|not able to|unable to|no way to|no way of|impossible to|not possible to|never)"
)
_KNOW: Final = (
    r"(?:know|knowing|say|saying|tell|telling|answer|see|guess|find|remember|recall|access|help"
    r"|determine|predict|read|have (?:any |that |the |enough |access )?"
    r"(?:information|access|way|knowledge|details|memory))"
)
REFUSAL: Final = re.compile(
    rf"\b{_CANNOT}(?: \w+){{0,2}}? {_KNOW}\b"
    r"|\b(?:no idea|not sure|not certain|no information|no access|no knowledge|unsure)\b"
    r"|\b(?:only you|you never told|you have not told|you haven't told|beyond my)\b"
)
CORRECTION: Final = re.compile(
    r"\b(?:there (?:is|are|was|were) (?:no|not|never)|there's no|there isn't|no one|nobody"
    r"|never|none|(?:does|do|did|is|are|was|were|has|have) not|cannot|can't"
    r"|(?:does|do|did|is|are|was|were|has|have)n't|not true|a myth|no such|not real)\b"
)
_ASKS: Final = re.compile(
    r"^(?:sorry |and |well |okay )*"
    r"(?:what|which|who|where|when|why|how|could you|can you|do you|did you|would you|are you)\b"
)


def claim_of(text: str, truth: Sequence[str] = (), *, premise_false: bool = False) -> Claim:
    """What an answer to a question without an answer does.

    truth: words of which one shows that the premise was set right. A question back is told by its
    first word, since recognisers are not to be trusted with question marks.
    """
    words = normalise(text)
    if not words:
        return "nothing"
    said = " ".join(words)
    if REFUSAL.search(said):
        return "refused"
    if premise_false and (CORRECTION.search(said) or any(_holds(words, key) for key in truth)):
        return "corrected"
    return "asks" if _ASKS.match(said) else "asserted"


def is_refusal(text: str) -> bool:
    """Whether an answer says that it does not know."""
    return claim_of(text) == "refused"


def _holds(words: Sequence[str], key: str) -> bool:
    wanted = normalise(key)
    return any(list(words[at : at + len(wanted)]) == wanted for at in range(len(words)))


def holds_fact(text: str, key: str) -> bool | None:
    """Whether an answer holds the words of a fact, articles aside; a number in any spelling.

    None where no key is known.
    """
    words = normalise(key)
    # the letter A is an article, too
    wanted = [word for word in words if word not in ("a", "an", "the")] or words
    if not wanted:
        return None
    if _holds(normalise(text), " ".join(wanted)):
        return True
    number = answer_of(key)
    return number is not None and is_value(answer_of(text), str(number.value), number.unit)


@dataclass(frozen=True)
class SumTruth:
    """What is known about a sum: its result (with a unit, or "") and the numbers it was asked with.

    operands are those of the user's last turn; None where they are not known as numbers.
    """

    answer: float
    unit: str = ""
    operands: tuple[float, ...] | None = None

    @staticmethod
    def of(expected: dict[str, Any]) -> SumTruth:
        """From a scenario's `expected`; a follow-up holds one number only."""
        names = ("b",) if "first" in expected else ("a", "b")
        known = all(name in expected for name in names)
        numbers = tuple(expected[name] for name in names) if known else None
        return SumTruth(expected["answer"], expected.get("unit", ""), numbers)

    def is_said(self, said: Quantity | None) -> bool:
        """Whether a number is the right one."""
        return is_value(said, self.answer, self.unit)


@dataclass(frozen=True)
class SumHeard:
    """The texts of one answer; None where there is no such text.

    own_hearing: what the agent says that it heard of the user.
    """

    audio: str
    text: str | None = None
    second: str | None = None
    own_hearing: str | None = None


def misheard(truth: SumTruth, heard: SumHeard) -> bool | None:
    """Whether the agent's own words show other numbers than the user said; None: they do not show.

    Its report of what it heard decides; without one, the question that its text repeats ("Seven
    plus two is ..."): all numbers of the text but the last, when they are as many.
    """
    if truth.operands is None:
        return None
    asked = Counter(Decimal(str(number)) for number in truth.operands)
    if heard.own_hearing is not None:
        return Counter(operands_of(signs_in_words(heard.own_hearing))) != asked
    echoed = operands_of(heard.text or "")[:-1]
    if len(echoed) != 2:
        return None
    return bool(asked - Counter(echoed))


def blame(truth: SumTruth, heard: SumHeard) -> Blame:
    """Why the number in the audio is not the right one ("right" when it is); see the module."""
    first = answer_of(heard.audio)
    if truth.is_said(first):
        return "right"
    said = answer_of(heard.text) if heard.text is not None else None
    if heard.text is not None and not truth.is_said(said):
        return "hearing" if misheard(truth, heard) else "thinking"
    if _disagree(first, heard.second):
        return "judge"
    if heard.text is None:
        return "hearing" if misheard(truth, heard) else "unknown"
    return "speaking"


def judges_disagree(heard: SumHeard) -> bool | None:
    """Whether the two judges hear different numbers; None where either hears none."""
    first = answer_of(heard.audio)
    second = answer_of(heard.second or "")
    if first is None or second is None:
        return None
    return first.value != second.value


def _disagree(first: Quantity | None, second: str | None) -> bool:
    other = answer_of(second or "")
    return other is not None and (first is None or first.value != other.value)


def voice_gap(text_right: bool, audio_right: bool) -> float:
    """1: right in text and wrong in audio; -1: the other way round; 0: alike."""
    return float(text_right) - float(audio_right)


@dataclass(frozen=True)
class Voiced:
    """Words of the text against words in the audio: shares of the text's words."""

    inserted: float
    dropped: float
    errors: float


def voiced(text: str, audio: str) -> Voiced | None:
    """How the audio differs from the text that it should say; None for a text without words.

    Numbers, signs and spellings are made alike first; alignment by minimum edit distance.
    """
    from sts_eval.judges.text import word_errors

    counts = word_errors(signs_in_words(text), signs_in_words(audio))
    if counts.words == 0:
        return None
    return Voiced(
        counts.insertions / counts.words,
        counts.deletions / counts.words,
        counts.errors / counts.words,
    )


def repeat_errors(asked: str, heard: str) -> float | None:
    """Word errors of the best-fitting stretch of an answer, over the words asked for.

    What stands before and after it ("Sure:") is not counted. None when nothing was asked for.
    """
    from rapidfuzz.distance import Levenshtein

    wanted, said = normalise(asked), normalise(heard)
    if not wanted:
        return None
    fewest = len(wanted)
    for start in range(len(said)):
        for end in range(start + 1, min(len(said), start + 2 * len(wanted)) + 1):
            fewest = min(fewest, Levenshtein.distance(wanted, said[start:end]))
    return fewest / len(wanted)


def carry_of(op: str, a: float, b: float) -> str:
    """ "carry" when units run over ten (plus) or must be borrowed (minus); "" where undefined."""
    if op not in ("plus", "minus") or a != int(a) or b != int(b) or min(a, b) < 0:
        return ""
    one, two = int(a) % 10, int(b) % 10
    carries = one + two >= 10 if op == "plus" else one < two
    return "carry" if carries else "none"


def size_of(a: float, b: float) -> str:
    """How large the larger operand is: "0-9", "10-20", "21-99", "100+", or "decimal"."""
    if a != int(a) or b != int(b):
        return "decimal"
    largest = max(abs(a), abs(b))
    return next((name for top, name in _SIZES if largest <= top), "100+")


_SIZES: Final = ((9, "0-9"), (20, "10-20"), (99, "21-99"))
