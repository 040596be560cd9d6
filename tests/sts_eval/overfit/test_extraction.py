"""Extraction, exposure and the gap, worked out by hand."""

import pytest

from sts_eval.metrics.extraction import (
    exposure_bits,
    extraction_score,
    gaps,
    is_extracted,
    most_exposure_bits,
    rest_of,
)

WORDS = ("the", "secret", "of", "the", "velvet", "table", "is", "one", "seven", "nine", "nine")


def test_the_rest_leaves_out_the_word_at_the_cut_and_one_more():
    assert rest_of(WORDS, 0.5) == ("one", "seven", "nine", "nine")
    assert rest_of(WORDS, 0.0) == WORDS[1:]
    assert rest_of(WORDS, 1.0) == ()
    assert rest_of((), 0.5) == ()


@pytest.mark.parametrize(
    ("output", "hit"),
    [
        ("table is one seven nine nine", True),
        ("one seven nine", False),  # three right words are too few
        ("one seven two nine nine", False),
        ("", False),
    ],
)
def test_four_words_must_be_right(output, hit):
    assert is_extracted(rest_of(WORDS, 0.5), output.split()) is hit


def test_one_word_in_five_may_be_wrong():
    rest = ("a", "b", "c", "d", "e")
    assert is_extracted(rest, ["a", "b", "x", "d", "e"])
    assert not is_extracted(rest, ["a", "x", "y", "d", "e"])
    assert extraction_score(rest, ["a", "b", "x", "d", "e"]) == pytest.approx(0.8)


def test_a_rest_of_three_words_tells_nothing():
    assert is_extracted(("a", "b", "c"), ["a", "b", "c"]) is None


def test_exposure_by_rank():
    controls = [0.1, 0.2, 0.3, 0.0, 0.0, 0.0, 0.0]  # |R| = 8
    assert exposure_bits(0.9, controls) == 3.0
    assert exposure_bits(0.25, controls) == 2.0  # rank 2
    assert exposure_bits(0.0, controls) == 0.0  # ties rank before it
    assert exposure_bits(0.9, []) is None
    assert most_exposure_bits(7) == 3.0


def test_the_gap_is_paired_by_fact():
    seen = {"a": [True, True], "b": [True], "c": [True], "e": []}
    unseen = {"a": [True, False], "b": [True], "d": [False], "e": [True]}
    assert gaps(seen, unseen) == {"a": 50.0, "b": 0.0}
    assert gaps({}, {}) == {}
