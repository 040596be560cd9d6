"""Information, divergence and edit distance of tokens, worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sts_eval.metrics.probing import shuffled_labels
from sts_eval.metrics.token_information import (
    collapsed,
    divergence_bits,
    divergence_excess,
    edit_distance,
    entropy_bits,
    histogram,
    information_bits,
    token_information,
)

COUNTS = st.lists(st.integers(0, 50), min_size=4, max_size=4)
SEQUENCE = st.lists(st.integers(0, 4), min_size=1, max_size=12)


def test_entropy_by_hand():
    assert entropy_bits(np.array([1, 1])) == 1.0
    assert entropy_bits(np.array([5, 0])) == 0.0
    assert entropy_bits(np.array([2, 1, 1])) == 1.5
    assert entropy_bits(np.array([1, 1]), corrected=True) == pytest.approx(
        1 + 1 / (4 * math.log(2))
    )
    assert entropy_bits(np.zeros(3)) == 0.0


def test_information_by_hand():
    assert information_bits(np.diag([3, 3])) == pytest.approx(1.0)
    assert information_bits(np.full((2, 2), 7)) == pytest.approx(0.0)
    # H(X) = H(Y) = 1, H(X, Y) = 1.5 + ... of (3, 1, 1, 3) / 8
    joint = entropy_bits(np.array([3, 1, 1, 3]))
    assert information_bits(np.array([[3, 1], [1, 3]])) == pytest.approx(2 - joint)
    # corrections: (2 - 1) + (2 - 1) - (4 - 1) = -1 value over 2 N ln 2
    corrected = information_bits(np.array([[3, 1], [1, 3]]), corrected=True)
    assert corrected == pytest.approx(2 - joint - 1 / (2 * 8 * math.log(2)))


def test_tokens_without_information_have_none_left_after_correction():
    rng = np.random.default_rng(0)
    histograms = rng.multinomial(20, np.full(500, 1 / 500), size=60)  # 1200 tokens of 500
    labels = np.arange(60) % 4
    shuffled = shuffled_labels(labels, ["s"] * 60, 100, seed=1)
    found = token_information(histograms, labels, shuffled)
    assert found.plug_in > 0.5  # what the plug-in estimate makes of nothing
    assert abs(found.corrected) < 0.03
    assert found.p > 0.01


def test_tokens_that_name_the_label_have_all_of_it():
    labels = np.arange(40) % 2
    histograms = np.zeros((40, 6), np.int64)
    histograms[np.arange(40), labels * 3 + np.arange(40) % 3] = 10
    found = token_information(histograms, labels, shuffled_labels(labels, ["s"] * 40, 99, seed=1))
    assert found.plug_in == pytest.approx(1.0)
    assert found.corrected > 0.8
    assert found.p == 0.01


def test_divergence_by_hand():
    assert divergence_bits(np.array([1, 2]), np.array([2, 4])) == pytest.approx(0.0)
    assert divergence_bits(np.array([3, 0]), np.array([0, 1])) == 1.0
    mixed = entropy_bits(np.array([3, 1])) - 0.5
    assert divergence_bits(np.array([1, 0]), np.array([1, 1])) == pytest.approx(mixed)
    with pytest.raises(ValueError, match="empty"):
        divergence_bits(np.array([0, 0]), np.array([1, 0]))


@given(COUNTS, COUNTS)
def test_divergence_is_symmetric_and_within_0_and_1(a, b):
    if sum(a) and sum(b):
        found = divergence_bits(np.array(a), np.array(b))
        assert 0 <= found <= 1
        assert found == pytest.approx(divergence_bits(np.array(b), np.array(a)))


def test_excess_is_whole_where_each_emotion_has_its_own_tokens():
    labels, speaker = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    histograms = np.array([[4, 0], [0, 9], [5, 0], [0, 2]])
    assert divergence_excess(histograms, labels, speaker) == pytest.approx([1.0, 1.0])
    assert divergence_excess(np.full((4, 2), 3), labels, speaker) == pytest.approx([0.0, 0.0])


def test_excess_does_not_come_from_the_number_of_tokens():
    rng = np.random.default_rng(2)
    labels, speaker = np.tile([0, 1], 8), np.repeat(np.arange(8), 2)
    sizes = np.where(labels == 0, 60, 600)  # one emotion is much slower
    histograms = np.stack([rng.multinomial(n, np.full(300, 1 / 300)) for n in sizes])
    assert abs(divergence_excess(histograms, labels, speaker).mean()) < 0.02


def test_a_speaker_with_one_emotion_has_no_excess():
    labels, speaker = np.array([0, 0, 1, 0, 1]), np.array([0, 1, 1, 2, 2])
    found = divergence_excess(np.eye(5, dtype=np.int64) + 1, labels, speaker)
    assert np.isnan(found[0])
    assert np.isfinite(found[1:]).all()


def test_edit_distance_by_hand():
    kitten, sitting = [11, 9, 20, 20, 5, 14], [19, 9, 20, 20, 9, 14, 7]
    # the run of two equal tokens counts once: 5 and 6 tokens, 3 edits
    assert edit_distance(kitten, sitting) == pytest.approx(3 / 6)
    assert collapsed([1, 1, 2, 2, 2, 1]) == [1, 2, 1]
    assert edit_distance([4, 4, 7], [4, 7, 7, 7]) == 0.0  # slower, not other
    assert edit_distance([1], [2]) == 1.0
    with pytest.raises(ValueError, match="empty"):
        edit_distance([], [1])


@given(SEQUENCE, SEQUENCE)
def test_edit_distance_is_symmetric_and_within_0_and_1(a, b):
    assert edit_distance(a, a) == 0
    assert edit_distance(a, b) == edit_distance(b, a)
    assert 0 <= edit_distance(a, b) <= 1


def test_histogram_refuses_tokens_of_another_codec():
    assert histogram([2, 0, 2], 4).tolist() == [1, 0, 2, 0]
    with pytest.raises(ValueError, match="outside"):
        histogram([4], 4)
