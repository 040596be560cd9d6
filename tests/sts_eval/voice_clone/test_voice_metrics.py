"""Windows, cosines and slopes, worked out by hand."""

import numpy as np
import pytest

from sts_eval.metrics.voice import (
    favours_human,
    first_speech,
    nearer_own,
    prompt_effect,
    same_voice,
    slope_per_min,
    speech_in,
    systems_fooled,
    users_voice,
    windows,
)
from sts_eval.trace import Span


def span(start_s, end_s):
    return Span(start_s=start_s, end_s=end_s)


def test_speech_leaves_the_silences_out():
    audio = np.arange(24_000 * 4, dtype=np.float32)
    spans = [span(0.5, 1.0), span(2.0, 3.0)]
    found = speech_in(audio, spans, 0.75, 2.5)
    assert found.size == 18_000  # 0.25 s and 0.5 s
    assert found[0] == 18_000
    assert found[6000] == 48_000
    assert speech_in(audio, spans, 1.0, 2.0).size == 0
    assert speech_in(audio, [], 0.0, 4.0).size == 0


def test_the_first_words_end_when_there_are_enough():
    spans = [span(1.0, 3.0), span(4.0, 9.0)]
    assert first_speech(spans, 5.0) == span(1.0, 7.0)
    assert first_speech(spans, 2.0) == span(1.0, 3.0)
    assert first_speech(spans, 20.0) == span(1.0, 9.0)  # all there is
    assert first_speech([span(1.0, 2.5)], 5.0) is None  # too little for a reference
    assert first_speech([], 5.0) is None


def test_windows_need_two_seconds_of_speech():
    spans = [span(0.0, 3.0), span(6.0, 7.5), span(10.0, 12.0)]
    assert windows(spans, 0.0, 12.0) == [span(0.0, 5.0), span(10.0, 12.0)]
    assert windows(spans, 2.0, 12.0) == [span(2.0, 7.0), span(7.0, 12.0)]  # 2.0 s and 2.5 s
    assert windows(spans, 3.0, 10.0) == []  # 1.5 s and nothing
    assert windows([], 0.0, 12.0) == []
    assert windows(spans, 12.0, 12.0) == []


@pytest.mark.parametrize(
    ("own", "user", "nearer", "same", "users"),
    [
        (0.9, 0.5, True, True, False),
        (0.5, 0.9, False, False, True),
        (0.5, 0.6, False, False, False),  # a third voice
        (0.8, 0.9, False, True, True),  # both: the user is nearer
        (0.7, 0.7, False, True, True),
    ],
)
def test_whose_voice_it_is(own, user, nearer, same, users):
    assert nearer_own(own, user) is nearer
    assert same_voice(own, 0.7) is same
    assert users_voice(own, user, 0.7) is users


def test_the_slope_is_per_minute():
    assert slope_per_min([0, 30, 60], [0.1, 0.2, 0.3]) == pytest.approx(0.2)
    assert slope_per_min([0, 30, 60], [0.5, 0.5, 0.5]) == 0.0
    assert slope_per_min([0, 60], [0.1, 0.3]) is None
    assert slope_per_min([], []) is None
    assert slope_per_min([5, 5, 5], [0.1, 0.2, 0.3]) is None
    assert slope_per_min([0, 30, 60], [0.1, float("nan"), 0.3]) is None


def test_each_system_has_its_own_threshold():
    assert systems_fooled([0.7, 0.7], [0.65, 0.75]) == 1
    assert systems_fooled([], []) == 0
    assert favours_human(0.1) is True
    assert favours_human(0.0) is False


def test_a_prompt_is_followed_when_its_voices_are_alike():
    nan = float("nan")
    cosines = np.array(
        [[nan, 0.9, 0.4, 0.4], [0.9, nan, 0.4, 0.4], [0.4, 0.4, nan, 0.9], [0.4, 0.4, 0.9, nan]]
    )
    assert prompt_effect(cosines, ["a", "a", "b", "b"]) == pytest.approx(0.5)
    assert prompt_effect(cosines, ["a", "a", "a", "a"]) is None  # nothing to compare with
    assert prompt_effect(cosines, ["a", "b", "c", "d"]) is None
    assert prompt_effect(np.zeros((0, 0)), []) is None
