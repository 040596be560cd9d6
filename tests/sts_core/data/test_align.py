"""Forced alignment on hand-made posteriors, where the right path is known."""

from __future__ import annotations

import numpy as np
import pytest

from sts_core.data.align import AlignError, align_words, ctc_path
from sts_core.semantic.phonemes import BLANK, VOCABULARY_SIZE, phoneme_ids


def posteriors(symbols: list[int]) -> np.ndarray:
    """[T, V] log-probabilities: 0.9 for the given symbol of each frame, the rest spread evenly."""
    p = np.full((len(symbols), VOCABULARY_SIZE), 0.1 / (VOCABULARY_SIZE - 1))
    p[np.arange(len(symbols)), symbols] = 0.9
    return np.log(p).astype(np.float32)


def test_the_path_follows_the_likely_symbols() -> None:
    a, b = phoneme_ids("ab")
    path = ctc_path(posteriors([BLANK, a, a, BLANK, b, BLANK]), [a, b])
    assert path.tolist() == [-1, 0, 0, -1, 1, -1]


def test_equal_neighbours_need_a_blank_between_them() -> None:
    (a,) = phoneme_ids("a")
    path = ctc_path(posteriors([a, a, a, a]), [a, a])
    first, second = np.flatnonzero(path == 0), np.flatnonzero(path == 1)
    assert first.max() + 1 < second.min()


def test_every_label_gets_a_frame_even_against_the_evidence() -> None:
    a, b = phoneme_ids("ab")
    path = ctc_path(posteriors([a, a, a]), [a, b])
    assert set(path.tolist()) >= {0, 1}


@pytest.mark.parametrize(("frames", "labels"), [(1, "ab"), (2, "aa")])
def test_too_few_frames(frames: int, labels: str) -> None:
    with pytest.raises(AlignError, match="too few"):
        ctc_path(posteriors([BLANK] * frames), phoneme_ids(labels))


def test_nothing_to_align() -> None:
    with pytest.raises(AlignError, match="nothing"):
        ctc_path(posteriors([BLANK]), [])


def test_words_get_the_time_of_their_phonemes() -> None:
    a, space, b, c = phoneme_ids("a bu")
    log_p = posteriors([BLANK, a, a, space, b, c, c, BLANK])
    spans = align_words(log_p, "a bu", ["ah", "boo"], rate_hz=50)
    assert [(s.word, s.start_s, s.end_s) for s in spans] == [
        ("ah", pytest.approx(0.02), pytest.approx(0.06)),
        ("boo", pytest.approx(0.08), pytest.approx(0.14)),
    ]


def test_one_spoken_word_that_is_written_as_two_is_shared_out_by_letters() -> None:
    a, b = phoneme_ids("ab")
    log_p = posteriors([a, a, a, b, b, b])
    spans = align_words(log_p, "ab", ["th", "onee"], rate_hz=50)
    assert spans[0].start_s == pytest.approx(0.0)
    assert spans[0].end_s == pytest.approx(0.04)  # two of six letters of 120 ms
    assert spans[1].start_s == pytest.approx(0.04)
    assert spans[1].end_s == pytest.approx(0.12)


def test_phonemes_without_words() -> None:
    (a,) = phoneme_ids("a")
    with pytest.raises(AlignError, match="without words"):
        align_words(posteriors([a, a]), "a", [], rate_hz=50)
