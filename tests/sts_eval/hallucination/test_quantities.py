"""Numbers in sentences: words, digits, decimals, signs, ordinals and units; and the answer."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from sts_eval.judges.quantities import (
    answer_of,
    is_value,
    operands_of,
    quantities,
    shown,
    signs_in_words,
)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Seven plus two is nine.", "9"),
        ("7 - 19 = -12", "-12"),
        ("7 minus 19 is minus 12.", "-12"),
        ("20-7=13", "13"),
        ("Nine is what you get when you add seven and two.", "9"),
        ("If you have five and lose five, you have zero left.", "0"),
        ("Three point five plus one point nine is five point four.", "5.4"),
        ("It's one point oh five", "1.05"),
        ("point five", "0.5"),
        ("It's the twenty-first.", "21"),
        ("one hundred and twenty-one", "121"),
        ("That makes 1,200 grams.", "1200 gram"),
        ("150cm", "150 centimeter"),
        ("one meter and fifty centimeters", "150 centimeter"),
        ("-3.5\u00b0", "-3.5 degree"),
        ("Two times eight equals sixteen. Anything else?", "16"),
        ("Seven plus two", ""),
        ("No one knows.", ""),
        ("That one is hard.", ""),
        ("", ""),
        ("?!", ""),
    ],
)
def test_the_answer_is_the_last_number_that_repeats_no_question(text, answer):
    assert shown(answer_of(text)) == answer


@given(st.integers(-999_999, 999_999))
def test_any_whole_number_is_read_back_from_its_words(n):
    said = answer_of(f"The answer is {num2words(n)}.")
    assert said is not None
    assert said.value == n


@given(st.integers(0, 999), st.integers(1, 9))
def test_decimals_are_read_back_from_words_and_from_digits(whole, tenth):
    value = Decimal(f"{whole}.{tenth}")
    for text in (f"It is {num2words(float(value))}.", f"It is {value}."):
        assert answer_of(text).value == value


def test_ordinals_are_told_from_cardinals():
    (third,) = quantities("the third of them")
    assert third.ordinal
    assert not quantities("three of them")[0].ordinal


def test_units_are_converted_and_kinds_of_units_are_not_mixed():
    assert is_value(answer_of("That is 1.5 meters."), 150, "centimeter")
    assert is_value(answer_of("It is 150."), 150, "centimeter")
    assert is_value(answer_of("An hour and a half, so 90 minutes"), 90, "minute")
    assert not is_value(answer_of("150 grams"), 150, "centimeter")
    assert not is_value(None, 0)


def test_a_huge_text_of_numbers_ends():
    assert answer_of("nine " * 100_000) is not None


def test_operands_and_signs_in_words():
    assert operands_of("What is 4.7 plus two?") == [Decimal("4.7"), Decimal(2)]
    assert signs_in_words("7 - 19 = -12, 3x4") == "7 minus 19 = minus 12, 3 times 4"
