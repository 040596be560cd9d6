"""The phoneme alphabet and the counts behind the phoneme error rate, on hand-worked values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sts_core.semantic.evaluate import Heard, phoneme_error_rate, retrieval_rate
from sts_core.semantic.phonemes import (
    ALPHABET,
    BLANK,
    VOCABULARY_SIZE,
    collapse,
    edit_distance,
    labels_of,
    phoneme_ids,
    phoneme_string,
    without_boundaries,
)

symbols = st.lists(st.integers(1, 6), max_size=12)


def test_stress_and_punctuation_are_dropped() -> None:
    assert phoneme_string(phoneme_ids("kˌæn ju ˈæd, tˈu?")) == "kæn ju æd tu"
    assert phoneme_string(without_boundaries(phoneme_ids(" ju  æd. "))) == "juæd"


@given(st.text(alphabet=ALPHABET.strip(), min_size=1, max_size=30))
def test_ids_and_string_are_inverse(text: str) -> None:
    ids = phoneme_ids(text)
    assert phoneme_string(ids) == text
    assert all(BLANK < number < VOCABULARY_SIZE for number in ids)


def test_unknown_symbols_are_named() -> None:
    with pytest.raises(ValueError, match="outside the English alphabet: ㄅ"):
        phoneme_ids("ㄅa")


def test_labels_of_rows() -> None:
    assert labels_of({"lang": "en", "phonemes": "hI."}) == phoneme_ids("hI")
    assert labels_of({"lang": "zh", "phonemes": "hI"}) is None
    assert labels_of({"lang": "en", "phonemes": "ㄅ"}) is None
    assert labels_of({"lang": "en", "phonemes": "..."}) is None
    assert labels_of({"lang": "en"}) is None


@pytest.mark.parametrize(
    ("frames", "read"),
    [([], []), ([0, 0], []), ([1, 1, 0, 1, 2, 2], [1, 1, 2]), ([3, 0, 0, 3], [3, 3]), ([5], [5])],
)
def test_ctc_collapse(frames: list[int], read: list[int]) -> None:
    assert collapse(frames) == read


@pytest.mark.parametrize(
    ("reference", "hypothesis", "edits"),
    [([], [], 0), ([1, 2, 3], [], 3), ([], [1], 1), ([1, 2, 3], [1, 3], 1), ([1, 2], [2, 1], 2),
     ([1, 2, 3, 4], [1, 9, 3, 4, 5], 2)],
)  # fmt: skip
def test_edit_distance(reference: list[int], hypothesis: list[int], edits: int) -> None:
    assert edit_distance(reference, hypothesis) == edits


@given(symbols, symbols, symbols)
def test_edit_distance_is_a_metric(a: list[int], b: list[int], c: list[int]) -> None:
    assert edit_distance(a, b) == edit_distance(b, a)
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)


def test_rates_pool_counts_and_are_undefined_without_any() -> None:
    counts = [(1, 10, True), (9, 10, None), (0, 20, False)]
    heard = [Heard(str(n), "v", *count) for n, count in enumerate(counts)]
    assert phoneme_error_rate(heard) == 10 / 40
    assert retrieval_rate(heard) == 1 / 2
    assert math.isnan(phoneme_error_rate([]))
    assert math.isnan(retrieval_rate([Heard("1", "v", 0, 1, None)]))
