"""Hand-worked values: whose fault a wrong number is, refusals, facts, words against text."""

import math

import pytest

from sts_eval.metrics.answers import (
    SumHeard,
    SumTruth,
    blame,
    carry_of,
    claim_of,
    holds_fact,
    is_refusal,
    judges_disagree,
    misheard,
    repeat_errors,
    size_of,
    voice_gap,
    voiced,
)

NINE = SumTruth(9, operands=(7, 2))


@pytest.mark.parametrize(
    ("heard", "why"),
    [
        (SumHeard("It is nine.", "It is eight."), "right"),  # what is heard decides
        (SumHeard("It is eight.", "It is eight.", "eight", "What is seven plus two?"), "thinking"),
        (SumHeard("It is eight.", "It is eight.", "eight", "What is six plus two?"), "hearing"),
        (SumHeard("It is eight.", "Six plus two is eight.", "eight"), "hearing"),
        (SumHeard("It is eight.", "It is nine.", "it is eight"), "speaking"),
        (SumHeard("It is eight.", "It is nine.", ""), "speaking"),  # the second heard no number
        (SumHeard("It is eight.", "It is nine.", None), "speaking"),
        (SumHeard("It is sexy.", "It is nine.", "it is nine"), "judge"),
        (SumHeard("It is eight.", None, "it is nine"), "judge"),
        (SumHeard("It is eight.", None, "it is eight"), "unknown"),
        (SumHeard("It is eight.", None, "it is eight", "six plus two"), "hearing"),
        (SumHeard("I do not know.", "I do not know.", "", "seven plus two"), "thinking"),
        (SumHeard("", "It is nine.", None), "speaking"),
    ],
)
def test_the_first_wrong_witness_takes_the_blame(heard, why):
    assert blame(NINE, heard) == why


def test_what_was_misheard():
    assert misheard(NINE, SumHeard("", own_hearing="7 + 2")) is False
    assert misheard(NINE, SumHeard("", own_hearing="two plus seven")) is False
    assert misheard(NINE, SumHeard("", own_hearing="seventy plus two")) is True
    assert misheard(NINE, SumHeard("", own_hearing="")) is True
    assert misheard(NINE, SumHeard("", "It is nine.")) is None
    assert misheard(SumTruth(150, "centimeter"), SumHeard("", own_hearing="x")) is None


def test_a_follow_up_is_asked_with_one_number():
    expected = {"answer": 11, "a": 9, "b": 2, "op": "plus", "first": {"answer": 9}}
    truth = SumTruth.of(expected)
    assert truth.operands == (2,)
    assert misheard(truth, SumHeard("", own_hearing="And plus two more?")) is False
    assert misheard(truth, SumHeard("", "Nine plus three is twelve.")) is True
    # a wrong first answer carried on is no mishearing of the second turn
    assert blame(truth, SumHeard("It is 10.", "Eight plus two is ten.")) == "thinking"


@pytest.mark.parametrize(
    ("first", "second", "differ"),
    [("nine", "nine", False), ("nine", "five", True), ("", "nine", None), ("nine", None, None)],
)
def test_judges_can_only_disagree_about_two_numbers(first, second, differ):
    assert judges_disagree(SumHeard(first, second=second)) is differ


REFUSALS = [
    "I do not know that.",
    "Sorry, I don't know.",
    "I have no way to know that.",
    "That is something I cannot know.",
    "I'm not able to see your socks.",
    "I don't have access to your diary.",
    "I can't really tell.",
    "Only you know that.",
    "I have no idea.",
    "There's no way of knowing.",
    "I am unable to predict that.",
    "I don't have that information.",
    "You never told me.",
    "I'm not sure.",
]
ASSERTIONS = [
    "It was a small green one with seven buttons.",
    "Your middle name is Anna.",
    "Your aunt Martha, at half past four.",
    "There were exactly nineteen of them.",
    "It was toast with honey, I am sure.",
    "You will get a bicycle.",
    "The capital of France is Paris.",
    "You know her well: Miss Green.",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_refusals(text):
    assert is_refusal(text)
    assert claim_of(text) == "refused"


@pytest.mark.parametrize("text", ASSERTIONS)
def test_assertions(text):
    assert claim_of(text) == "asserted"
    assert claim_of(text, ["rock"], premise_false=True) == "asserted"


def test_premises_set_right_and_questions_back():
    assert claim_of("The moon is made of rock.", ["rock"], premise_false=True) == "corrected"
    assert claim_of("No one has walked there.", premise_false=True) == "corrected"
    assert claim_of("Penguins do not fly.", premise_false=True) == "corrected"
    assert claim_of("Penguins do not fly.") == "asserted"
    assert claim_of("Sorry, what do you mean?") == "asks"
    assert claim_of(" ?! ") == "nothing"


@pytest.mark.parametrize(
    ("text", "key", "holds"),
    [
        ("A baby cow is called a calf.", "a calf", True),
        ("There are 24 hours.", "twenty-four", True),
        ("It is 100 degrees.", "one hundred", True),
        ("The capital is New Delhi!", "New Delhi", True),
        ("A new one", "New Delhi", False),
        ("", "Paris", False),
        ("Paris", "", None),
        ("The first letter is A.", "A", True),
        ("The first letter is B.", "A", False),
    ],
)
def test_facts(text, key, holds):
    assert holds_fact(text, key) is holds


def test_words_of_the_text_against_the_voice():
    same = voiced("Seven minus nineteen is minus twelve.", "7 - 19 is -12.")
    assert (same.inserted, same.dropped, same.errors) == (0, 0, 0)
    fewer = voiced("one two three four", "one four")
    assert (fewer.inserted, fewer.dropped, fewer.errors) == (0, 0.5, 0.5)
    more = voiced("one two", "one and two")
    assert (more.inserted, more.dropped, more.errors) == (0.5, 0, 0.5)
    nothing = voiced("one two", "")
    assert (nothing.inserted, nothing.dropped) == (0, 1)
    assert voiced("", "one") is None
    assert voiced("?", "one") is None


@pytest.mark.parametrize(
    ("asked", "heard", "share"),
    [
        ("the red boat", "the red boat", 0),
        ("the red boat", "Sure: the red boat!", 0),
        ("the red boat", "the red coat", 1 / 3),
        ("the red boat", "the boat", 1 / 3),
        ("water", "", 1),
        ("water", "no idea", 1),
        ("", "water", None),
    ],
)
def test_repeating(asked, heard, share):
    found = repeat_errors(asked, heard)
    assert found == share if share is None else found == pytest.approx(share)


def test_voice_gap_is_signed():
    assert [voice_gap(*pair) for pair in ((True, False), (True, True), (False, True))] == [1, 0, -1]


@pytest.mark.parametrize(
    ("op", "a", "b", "carry", "size"),
    [
        ("plus", 7, 2, "none", "0-9"),
        ("plus", 7, 3, "carry", "0-9"),
        ("plus", 36, 47, "carry", "21-99"),
        ("minus", 12, 3, "carry", "10-20"),
        ("minus", 19, 17, "none", "10-20"),
        ("times", 13, 3, "", "10-20"),
        ("plus", 396, 488, "carry", "100+"),
        ("plus", 1.5, 2.5, "", "decimal"),
        ("minus", -2, 3, "", "0-9"),
    ],
)
def test_carry_and_size(op, a, b, carry, size):
    assert carry_of(op, a, b) == carry
    assert size_of(a, b) == size


def test_a_number_that_is_none_is_never_right():
    assert blame(SumTruth(math.inf), SumHeard("It is nine.", "It is nine.")) == "thinking"
