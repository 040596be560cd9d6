"""Hand-worked values of the interruption metrics: yielding, floor, answers, repeats."""

import numpy as np
import pytest

from sts_eval.metrics.interruption import (
    audible_stretches,
    dropped_words,
    holds_answer,
    kept_talking,
    redelivered,
    resumed,
    share_floor,
    speech_of_s,
    stayed_silent,
    yield_latency_s,
)
from sts_eval.trace import Span, silence


def span(start_s, end_s):
    return Span(start_s=start_s, end_s=end_s)


def track(seconds, *sounds):
    audio = silence(int(seconds * 24_000))
    for start_s, end_s in sounds:
        audio[round(start_s * 24_000) : round(end_s * 24_000)] = 0.1
    return audio


def test_stretches_join_over_the_pause_between_sentences():
    agent = track(6, (1.0, 2.0), (2.6, 3.0), (3.61, 4.0))
    assert audible_stretches(agent) == [span(1.0, 3.0), span(3.61, 4.0)]


def test_nothing_audible_gives_no_stretch():
    assert audible_stretches(silence(24_000)) == []
    assert audible_stretches(silence(0)) == []
    faint = np.full(24_000, 10 ** (-51 / 20), np.float32)
    assert audible_stretches(faint) == []
    assert audible_stretches(faint * 2) == [span(0.0, 1.0)]


def test_yield_latency_counts_from_the_event_to_the_last_sound():
    stretches = [span(1.0, 3.0), span(4.0, 5.0)]
    assert yield_latency_s(2.4, stretches) == pytest.approx(0.6)
    assert yield_latency_s(4.0, stretches) == pytest.approx(1.0)
    assert yield_latency_s(3.0, stretches) is None  # it has stopped already
    assert yield_latency_s(0.5, stretches) is None
    assert yield_latency_s(0.5, []) is None


def test_a_reply_that_goes_on_for_more_than_a_second_was_kept_up():
    assert kept_talking(1.01)
    assert not kept_talking(1.0)


def test_an_answer_to_a_sound_that_was_no_turn_breaks_the_silence():
    event = span(2.0, 2.5)
    assert stayed_silent(event, [])
    assert stayed_silent(event, [span(1.0, 1.9), span(4.51, 5.0)])
    assert not stayed_silent(event, [span(4.5, 5.0)])
    assert not stayed_silent(event, [span(2.1, 2.2)])


def test_floor_is_counted_from_the_first_to_the_last_sound():
    floor = share_floor([span(1.0, 3.0), span(5.0, 6.0)], [span(3.5, 5.5)])
    assert floor.overlap_s == pytest.approx(0.5)
    assert floor.gap_s == pytest.approx(0.5)
    assert floor.total_s == pytest.approx(5.0)
    alone = share_floor([span(1.0, 2.0)], [])
    assert (alone.overlap_s, alone.gap_s) == (0.0, 0.0)
    assert share_floor([], []) is None


@pytest.mark.parametrize(
    ("heard", "expected", "holds"),
    [
        ("Seven plus two is 9.", {"answer": 9, "a": 7, "b": 2}, True),
        ("Seven plus two is nine.", {"answer": 9, "a": 7, "b": 2}, True),
        ("It is twenty-one.", {"answer": 21, "a": 7, "b": 14}, True),
        ("It is twenty-one.", {"answer": 1, "a": 7, "b": 6}, False),
        ("Three minus ten is minus seven.", {"answer": -7, "a": 3, "b": 10}, True),
        ("Ten minus three is seven.", {"answer": -3, "a": 1, "b": 4}, False),
        ("I do not know.", {"answer": 9, "a": 7, "b": 2}, False),
        ("", {"answer": 9, "a": 7, "b": 2}, False),
        ("Two minus zero is two.", {"answer": 2, "a": 2, "b": 0}, None),
        ("The capital is New Delhi!", {"key": "New Delhi"}, True),
        ("A new one", {"key": "New Delhi"}, False),
        ("whatever", {}, None),
    ],
)
def test_the_answer_is_heard_whole_or_not(heard, expected, holds):
    assert holds_answer(heard, expected) is holds


def test_four_words_in_a_row_said_again_are_a_redelivery():
    before = "The ocean covers most of our planet and is home to"
    assert redelivered(before, "Nine. The ocean covers most of it.") is True
    assert redelivered(before, "Nine. The ocean is deep, most of it.") is False
    assert redelivered(before, "Nine it is") is None
    assert redelivered("", "one two three four five") is None


@pytest.mark.parametrize(
    ("said", "before", "dropped"),
    [
        ("He said yes. You came back. It is over.", "he said yes you came", "back it is over"),
        ("He said yes. You came back. It is over.", "he sad yes you came", "back it is over"),
        ("one two three four five", "", "one two three four five"),
        ("one two three four five", "alpha two beta", "four five"),  # no run of two: by count
        ("one two three", "one two three", ""),
        ("", "one two", ""),
    ],
)
def test_what_was_dropped_is_what_lies_behind_the_last_words_heard(said, before, dropped):
    assert dropped_words(said, before) == dropped.split()


def test_four_dropped_words_in_a_row_said_later_are_a_resumption():
    dropped = ["back", "she", "is", "moving", "home", "it", "is", "over"]
    assert resumed(dropped, "Nine. Back she is moving home.") is True
    assert resumed(dropped, "Nine. She is moving. It is over.") is False
    assert resumed(dropped, "") is False
    assert resumed(dropped[:3], "back she is") is None
    assert resumed([], "anything at all you like") is None


def test_an_end_pointer_waits_for_one_stretch_of_speech():
    event = span(2.0, 3.0)
    assert speech_of_s([span(2.1, 2.5)], event, 0.3) == pytest.approx(0.4)
    assert speech_of_s([span(2.1, 2.3), span(2.4, 2.6)], event, 0.3) is None  # two short ones
    assert speech_of_s([span(1.0, 4.0)], event, 0.3) == pytest.approx(0.3)  # counted from the start
    assert speech_of_s([span(2.8, 4.0)], event, 0.3) is None  # what follows is no part of it
    assert speech_of_s([], event, 0.3) is None
