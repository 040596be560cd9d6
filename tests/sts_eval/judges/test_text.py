"""Numbers and text as they are compared."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sts_eval.judges.numbers import LIMIT, number_to_words, ordinal_to_words, words_to_number
from sts_eval.judges.text import WordErrors, normalise, word_errors


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (20, "twenty"),
        (21, "twenty-one"),
        (100, "one hundred"),
        (119, "one hundred nineteen"),
        (2_405, "two thousand four hundred five"),
        (1_000_000, "one million"),
    ],
)
def test_numbers_in_words(n: int, words: str) -> None:
    assert number_to_words(n) == words


@given(st.integers(0, LIMIT - 1))
def test_words_and_numbers_are_inverse(n: int) -> None:
    assert words_to_number(re.split("[ -]", number_to_words(n))) == n


@given(st.integers(0, 20))
def test_two_numbers_in_a_row_are_not_one(n: int) -> None:
    assert words_to_number([number_to_words(n).split("-")[0], "seven", "two"]) is None


@pytest.mark.parametrize("words", [[], ["hundred"], ["blue"], ["two", "zero"], ["and", "two"]])
def test_what_is_no_number(words: list[str]) -> None:
    assert words_to_number(words) is None


def test_limits_and_ordinals() -> None:
    with pytest.raises(ValueError, match="not between"):
        number_to_words(-1)
    with pytest.raises(ValueError, match="not between"):
        number_to_words(LIMIT)
    said = " ".join(ordinal_to_words(n) for n in (1, 2, 3, 5, 9, 12, 20, 21, 104))
    expected = "first second third fifth ninth twelfth twentieth twenty-first one hundred fourth"
    assert said == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's 20 + 7, OK?", "it's twenty plus seven okay"),
        ("Twenty-one!", "twenty one"),
        ("1,250 people paid $9 on the 3rd.", "one thousand two hundred fifty people paid nine "
         "dollars on the third"),
        ("3.14 is 100%", "three point one four is one hundred percent"),
        ("Don\u2019t", "don't"),
        ("Mm-hmm. Uh-huh.", "mhm uhhuh"),
        ("  ...  ", ""),
        ("7" * 12, " ".join(["seven"] * 12)),
    ],
)  # fmt: skip
def test_normalisation(text: str, words: str) -> None:
    assert " ".join(normalise(text)).replace("uh-huh", "uhhuh") == words


@given(st.text(max_size=80))
def test_normalisation_takes_any_text_and_is_stable(text: str) -> None:
    once = normalise(text)
    assert normalise(" ".join(once)) == once


def test_word_errors_by_hand() -> None:
    assert word_errors("a b c d", "a x c") == WordErrors(1, 1, 0, 4)
    assert word_errors("twenty minus seven", "20 minus 7.").errors == 0
    assert word_errors("one", "") == WordErrors(0, 1, 0, 1)
    assert word_errors("", "one two") == WordErrors(0, 0, 2, 0)
    assert word_errors("", "").errors == 0
    total = word_errors("a b", "a") + word_errors("c d", "c d e")
    assert total == WordErrors(0, 1, 1, 4)
