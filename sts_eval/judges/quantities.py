"""Numbers in a sentence, whatever they are written like, and which of them is the answer.

    "Seven plus two is nine."          -> 7, 2, 9       answer 9
    "20 - 7 = 13"                      -> 20, 7, 13     answer 13
    "That leaves minus three degrees"  -> -3 degree     answer -3 degree
    "It's the twenty-first."           -> 21st          answer 21st

Number words, decimals and ordinals are read by text2num, units are known to pint; this module finds
the signs and leaves out what only repeats the question. Numbers that an operation joins ("seven
plus two") are no answer; of the others the last one is.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

VERSION: Final = 1
MAX_CHARS: Final = 10_000
MIN_UNIT_LETTERS: Final = 4  # shorter words are units in pint only by accident ("in", "are", "as")
_NUMBER: Final = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(st|nd|rd|th)?(?![\d])")
_OPERATION: Final = re.compile(
    r"[\s,]*(?:plus|minus|times|and|less|over|from|by|to|[-+*/x\u00d7\u00f7\u2212]"
    r"|added to|(?:multiplied|divided) by|take away|subtract)[\s,]*"
)
_SIGN: Final = re.compile(r"(?:\b(?:minus|negative)\s+|(?<![\w)])[-\u2212]\s?)$")
_WORD_AFTER: Final = re.compile(r"\s*([a-z\u00b0%]+)")
_NO_NUMBER: Final = re.compile(r"\b(?:no|some|any|every|which|that|this|the) one\b")


@dataclass(frozen=True)
class Quantity:
    """A number in a text.

    unit: pint's name of the unit that follows it, "" without one. ordinal: "third", not "three".
    start, end: its place in the text with digits for words (`with_digits`).
    """

    value: Decimal
    unit: str = ""
    ordinal: bool = False
    start: int = 0
    end: int = 0


def with_digits(text: str) -> str:
    """Lower case, number words as digits: "It's twenty-one point five." -> "it's 21.5."."""
    from text_to_num import alpha2digit

    text = unicodedata.normalize("NFKC", text[:MAX_CHARS]).lower().replace("\u2019", "'")
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"\b(thousand|million|billion), ", r"\1 ", text)
    text = _NO_NUMBER.sub(lambda match: match[0].replace(" one", " who"), text)
    text = re.sub(r"\bpoint (?:oh|o)\b", "point zero", text)
    digits: str = alpha2digit(text, "en", 0.0)
    digits = re.sub(r"\b(\d+) point (\d+)\b", r"\1.\2", digits)
    return re.sub(r"(?<![\d.] )\bpoint (\d+)\b", r"0.\1", digits)


def quantities(text: str) -> list[Quantity]:
    """Every number of a text, in order."""
    digits = with_digits(text)
    found: list[Quantity] = []
    for match in _NUMBER.finditer(digits):
        value = _decimal(match[1])
        if value is None:
            continue
        before = digits[found[-1].end if found else 0 : match.start()]
        # "20 - 7": a sign only where it does not stand between two numbers
        joined = bool(found) and _OPERATION.fullmatch(before) is not None
        sign = None if joined else _SIGN.search(before)
        start = match.start() - (len(sign[0]) if sign else 0)
        unit, end = _unit(digits, match.end())
        found.append(Quantity(-value if sign else value, unit, match[2] is not None, start, end))
    return found


def answer_of(text: str) -> Quantity | None:
    """The number that a sentence gives as its answer; None when it gives none.

    Numbers joined by an operation repeat the question; the last of the others is the answer.
    """
    digits = with_digits(text)
    single: list[Quantity] = []
    joined_before = False
    every = _compound(quantities(text), digits)
    for at, item in enumerate(every):
        after = every[at + 1] if at + 1 < len(every) else None
        gap = digits[item.end : after.start] if after else ""
        joins = after is not None and _joins(gap, after, digits)
        if not joins and not joined_before:
            single.append(item)
        joined_before = joins
    return single[-1] if single else None


def _compound(found: list[Quantity], digits: str) -> list[Quantity]:
    """ "one meter and fifty centimeters" as one: 150 centimeters."""
    merged: list[Quantity] = []
    for item in found:
        last = merged[-1] if merged else None
        if last and last.unit and item.unit and last.unit != item.unit:
            between = digits[last.end : item.start].strip(" ,")
            larger = _converted(last, item.unit)
            if between in ("", "and") and larger is not None and larger > item.value:
                merged[-1] = Quantity(larger + item.value, item.unit, False, last.start, item.end)
                continue
        merged.append(item)
    return merged


def operands_of(text: str) -> list[Decimal]:
    """The numbers of a question, as they were heard; units aside."""
    return [item.value for item in quantities(text)]


def is_value(said: Quantity | None, value: float | int | str, unit: str = "") -> bool:
    """Whether a number that was said is the one expected.

    A number without a unit is taken in the unit expected; with another unit of the same kind it is
    converted ("1.5 meters" is 150 centimeters).
    """
    if said is None:
        return False
    expected = Decimal(str(value))
    if not unit or not said.unit or said.unit == unit:
        return said.value == expected
    return _converted(said, unit) == expected


def _converted(said: Quantity, unit: str) -> Decimal | None:
    """The value in another unit, to six places; None where the units are of different kinds."""
    import pint

    try:
        value = _registry().Quantity(float(said.value), said.unit).to(unit).magnitude
    except pint.errors.PintError:
        return None
    return Decimal(f"{value:.6f}").normalize()


def signs_in_words(text: str) -> str:
    """Signs of arithmetic as they are said: "7 - 19 = -12" -> "7 minus 19 equals minus 12"."""
    text = re.sub(r"(?<![\w-])[-\u2212]\s?(?=\d)|(?<=\d)\s?[-\u2212]\s?(?=\d)", " minus ", text)
    text = re.sub(r"(?<=\d)\s?[x*\u00d7]\s?(?=\d)", " times ", text)
    text = re.sub(r"(?<=\d)\s?[/\u00f7]\s?(?=\d)", " divided by ", text)
    return " ".join(text.split())


def shown(said: Quantity | None) -> str:
    """For tables: "-3", "150 centimeter", "" for none."""
    if said is None:
        return ""
    return f"{said.value.normalize():f} {said.unit}".strip()


def _joins(gap: str, after: Quantity, digits: str) -> bool:
    """Whether an operation, and nothing else, stands between two numbers."""
    signed = digits[after.start : after.end].startswith(("-", "\u2212", "minus"))
    return _OPERATION.fullmatch(gap) is not None or (signed and not gap.strip(" ,"))


def _decimal(digits: str) -> Decimal | None:
    try:
        return Decimal(digits)
    except InvalidOperation:
        return None


def _unit(digits: str, at: int) -> tuple[str, int]:
    """The unit that follows, and where it ends."""
    match = _WORD_AFTER.match(digits, at)
    if match is None:
        return "", at
    word = {"%": "percent", "\u00b0": "degree"}.get(match[1], match[1])
    if len(word) < MIN_UNIT_LETTERS and digits[at : at + 1].isspace():
        return "", at
    unit = _unit_name(word)
    return (unit, match.end()) if unit else ("", at)


@lru_cache(maxsize=4096)
def _unit_name(word: str) -> str:
    import pint

    try:
        return str(_registry().parse_units(word))
    except (pint.errors.PintError, ValueError, AttributeError, TypeError):
        return ""


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint

    return pint.UnitRegistry()
