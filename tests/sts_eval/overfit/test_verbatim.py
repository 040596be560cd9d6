"""Copies in text, on values worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sts_eval.metrics.verbatim import (
    EDIT_SHARE,
    GRAM,
    SHORT_WORDS,
    TextIndex,
    align,
    copied_share,
    find_copies,
    grams,
    licensed_positions,
    similarity,
)

SOUP = ["the", "soup", "was", "too", "hot", "so", "we", "talked", "until", "it", "was", "cold"]
FENCE = ["we", "measured", "the", "garden", "twice", "and", "bought", "too", "much", "fence"]


@pytest.mark.parametrize(
    ("text", "output", "found"),
    [
        ("a b c d", "x a b d y", (1, 1, 4)),  # c is missing
        ("a b c", "a b c", (0, 0, 3)),
        ("a b c", "x y z", (3, 0, 0)),
        ("a b c", "", (3, 0, 0)),
        ("a b c", "q a x b c", (1, 3, 5)),  # of two equally near parts the shorter
        ("", "a b", (0, 0, 0)),
    ],
)
def test_the_nearest_part_by_hand(text, output, found):
    assert align(text.split(), output.split()) == found


def test_similarity_of_nothing_is_zero():
    assert similarity([], ["a"]) == 0.0
    assert similarity(["a"], []) == 0.0
    assert similarity(["a", "b"], ["a", "b"]) == 1.0


def test_a_sentence_with_one_wrong_word_is_a_copy():
    index = TextIndex([SOUP, FENCE])
    said = [
        "okay",
        "the",
        "soup",
        "was",
        "too",
        "cold",
        "so",
        "we",
        "talked",
        "until",
        "it",
        "was",
        "cold",
        "and",
    ]
    best = find_copies(index, said)[0]
    assert best.text == 0
    assert best.copy
    assert (best.start, best.end) == (1, 13)
    assert best.span == 7  # "so we talked until it was cold"
    assert best.similarity == pytest.approx(11 / 12)
    assert best.distinctive == 11


def test_what_the_prompt_or_the_expected_answer_says_is_no_copy():
    index = TextIndex([SOUP, FENCE])
    assert find_copies(index, SOUP)[0].copy
    licensed = find_copies(index, SOUP, grams(SOUP))
    assert not licensed[0].copy
    assert licensed[0].distinctive == 0
    assert copied_share(index, SOUP, grams(SOUP)) == 0.0
    assert copied_share(index, SOUP) == 1.0
    assert find_copies(index, SOUP, skip={0}) == []


def test_half_a_licensed_sentence_keeps_the_other_half():
    index = TextIndex([SOUP])
    covered = licensed_positions(index, SOUP, grams(SOUP[:6]))
    assert list(covered) == [True] * 6 + [False] * 6
    assert find_copies(index, SOUP, grams(SOUP[:6]))[0].distinctive == 6


def test_a_template_of_many_texts_is_no_copy_of_one():
    capitals = ["france paris", "spain madrid", "italy rome", "egypt cairo", "japan tokyo"]
    texts = [f"the capital city of {c.split()[0]} is {c.split()[1]}".split() for c in capitals]
    index = TextIndex(texts)
    best = find_copies(index, texts[0])[0]
    assert best.similarity == 1.0
    assert not best.copy  # "france is paris" alone is its own
    assert best.distinctive == 3


def test_short_texts_are_never_copies():
    index = TextIndex([["you", "told", "them", "everything", "now"]])
    assert not find_copies(index, ["you", "told", "them", "everything", "now"])[0].copy


def test_a_long_run_out_of_a_longer_text_is_a_copy():
    text = [f"w{n}" for n in range(30)]
    index = TextIndex([text])
    assert find_copies(index, ["x", *text[10:18], "y"])[0].copy
    assert not find_copies(index, ["x", *text[10:17], "y"])[0].copy


def test_nothing_against_nothing():
    assert find_copies(TextIndex([]), SOUP) == []
    assert find_copies(TextIndex([SOUP]), []) == []
    assert copied_share(TextIndex([SOUP]), ["a", "b"]) is None
    assert find_copies(TextIndex([SOUP]), ["no", "word", "in", "common", "here"]) == []


def test_equal_texts_are_found_once():
    matches = find_copies(TextIndex([SOUP, SOUP]), SOUP)
    assert [m.text for m in matches] == [0]


@given(
    st.integers(SHORT_WORDS, 40),
    st.lists(st.tuples(st.sampled_from("rid"), st.integers(0, 10_000)), max_size=8),
)
def test_the_index_misses_no_near_verbatim_copy(length, edits):
    text = [f"w{n}" for n in range(length)]
    said = list(text)
    for how, at in edits[: int(EDIT_SHARE * length)]:
        at %= max(1, len(said))
        said[at : at + (how != "i")] = [] if how == "d" else [f"x{at}"]
    assert set(grams(text)) & set(grams(said)) or len(said) < GRAM
    assert find_copies(TextIndex([text]), said)
