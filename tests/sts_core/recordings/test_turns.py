"""Turns from stretches of speech, their words, and what speaks against them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sts_core.asr.vad import Span
from sts_core.recordings.sound import Recording
from sts_core.recordings.turns import (
    Limits,
    Turn,
    add_words,
    cut,
    echoes,
    find_turns,
    judge,
    measure,
    measure_against,
)
from sts_core.units import SAMPLE_RATE_HZ

HOPS = 400  # 4 s


def turn(start_s: float = 1.0, end_s: float = 2.0, **fields: object) -> Turn:
    return Turn(Span(start_s, end_s), [Span(start_s, end_s)], **fields)  # type: ignore[arg-type]


def recording(*channels: np.ndarray) -> Recording:
    none = [np.zeros(HOPS, np.int64) for _ in channels]
    return Recording([c.astype(np.float32) for c in channels], none, SAMPLE_RATE_HZ, HOPS / 100)


def noise(rms: float, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal(HOPS * 240)
    return rms * drawn


def test_short_pauses_belong_to_a_turn() -> None:
    spans = [Span(0.0, 1.0), Span(1.49, 2.0), Span(2.5, 3.0)]
    found = find_turns(spans, Limits(join_s=0.5))
    assert [t.span for t in found] == [Span(0.0, 2.0), Span(2.5, 3.0)]
    assert found[0].speech_s == pytest.approx(1.51)


def test_a_long_turn_is_parted_at_its_longest_pause() -> None:
    spans = [Span(0.0, 4.0), Span(4.1, 8.0), Span(8.4, 12.0)]
    parts = find_turns(spans, Limits(most_turn_s=10.0))
    assert [t.span for t in parts] == [Span(0.0, 8.0), Span(8.4, 12.0)]
    (whole,) = find_turns([Span(0.0, 30.0)], Limits())  # no pause: judged too long later
    judge([whole], Limits(), "en")
    assert any(reason.startswith("long: 30.0 s") for reason in whole.reasons)


TIMES = st.lists(st.integers(0, 4_000), min_size=2, max_size=30, unique=True)


@given(TIMES, st.floats(0.1, 2.0), st.floats(1.0, 20.0))
def test_no_speech_is_lost(times: list[int], join_s: float, most_s: float) -> None:
    at = [time / 100 for time in sorted(times)]
    spans = [Span(a, b) for a, b in zip(at[::2], at[1::2], strict=False)]
    found = find_turns(spans, Limits(join_s=join_s, most_turn_s=most_s))
    assert [span for t in found for span in t.speech] == spans
    assert all(t.span.end_s - t.span.start_s <= most_s or len(t.speech) == 1 for t in found)


def test_a_cut_has_silence_where_the_recording_has_ended() -> None:
    audio = np.ones(SAMPLE_RATE_HZ, np.float32)
    sound = cut(audio, Span(0.0, 1.0))
    assert sound.size == round(1.1 * SAMPLE_RATE_HZ)
    assert sound[:1_200].sum() == sound[-1_200:].sum() == 0
    assert cut(audio, Span(0.5, 0.6)).sum() == sound.size - 21_600  # 0.2 s


def test_level_and_noise_are_of_the_channel_s_own_pauses() -> None:
    audio = noise(0.001, 0)
    audio[SAMPLE_RATE_HZ : 2 * SAMPLE_RATE_HZ] += noise(0.1, 1)[:SAMPLE_RATE_HZ]
    made = recording(audio)
    made.clipped[0][150] = 48
    made.clipped[0][350] = 99  # outside the turn
    (one,) = turns = [turn()]
    measure(turns, made, 0)
    assert one.measures["level_dbfs"] == pytest.approx(-20.0, abs=0.2)
    assert one.measures["snr_db"] == pytest.approx(40.0, abs=0.3)
    assert one.measures["clipped"] == pytest.approx(48 / 24_000)
    assert one.measures["speech_s"] == pytest.approx(1.0)
    assert one.not_measured == {}


def test_without_pauses_the_quietest_speech_stands_for_the_noise() -> None:
    audio = noise(0.1, 1)
    audio[: 20 * 240] *= 0.1  # 20 of 400 blocks, 20 dB lower
    turns = [turn(0.0, 4.0)]
    measure(turns, recording(audio), 0)
    assert turns[0].measures["snr_db"] == pytest.approx(19.8, abs=0.5)
    assert "quietest" in turns[0].not_measured["noise"]


def test_overlap_and_bleed_against_the_other_channel() -> None:
    own, leak = noise(0.1, 1), 0.01 * noise(0.1, 1)
    turns = [turn()]
    measure_against(turns, recording(own, leak), 0, [Span(1.75, 3.0)])
    assert turns[0].measures["overlap"] == pytest.approx(0.25)
    assert turns[0].measures["bleed_db"] == pytest.approx(-40.0, abs=0.5)
    measure_against(turns, recording(own, noise(0.1, 2)), 0, [])
    assert turns[0].measures["bleed_db"] is None
    assert "correlate by less" in turns[0].not_measured["bleed_db"]


def test_what_is_louder_on_the_other_channel_is_its_echo() -> None:
    own, other = noise(0.01, 0), noise(0.01, 1)
    second = slice(SAMPLE_RATE_HZ, 2 * SAMPLE_RATE_HZ)
    own[second] += 0.1 * noise(1.0, 2)[second]  # the other's voice, 10 dB down
    other[second] += 0.316 * noise(1.0, 2)[second]
    own[2 * second.stop - second.start :] += noise(0.1, 3)[2 * second.stop - second.start :]
    spans = [Span(1.0, 2.0), Span(3.0, 3.9)]
    assert echoes(spans, own, other) == spans[:1]
    assert echoes(spans, other, own) == []


def test_an_echo_is_not_listened_to() -> None:
    def never(_: np.ndarray) -> str:
        raise AssertionError("listened to")

    turns = [turn(echo=True)]
    add_words(turns, np.zeros(9, np.float32), "hello", "en", never)
    judge(turns, Limits(), "en")
    assert turns[0].reasons == ["bleed: the voice of the other channel"]


def test_words_are_heard_or_given_and_compared() -> None:
    audio, turns = np.zeros(4 * SAMPLE_RATE_HZ, np.float32), [turn(0.0, 1.0), turn(2.0, 3.0)]
    heard = iter(["hello there", "how are they"])
    add_words(turns, audio, "Hello there. How are you?", "en", lambda _: next(heard))
    assert [t.text for t in turns] == ["Hello there.", "How are you?"]
    assert turns[0].measures["agreement"] == 1.0
    assert turns[1].measures["agreement"] == pytest.approx(2 / 3)
    turns = [turn()]
    add_words(turns, audio, None, "en", lambda _: "hello")
    assert turns[0].text == "hello"
    assert "agreement" not in turns[0].measures
    assert turns[0].not_measured["agreement"] == "no transcript was given"


def test_a_language_the_recogniser_does_not_know() -> None:
    def never(_: np.ndarray) -> str:
        raise AssertionError("asked for German")

    turns = [turn()]
    add_words(turns, np.zeros(9), "Guten Tag.", "de", never)
    judge(turns, Limits(), "de")
    assert (turns[0].text, turns[0].reasons) == ("Guten Tag.", [])
    two = [turn(), turn(3.0, 4.0)]
    add_words(two, np.zeros(9), "Guten Tag.", "de", never)
    judge(two, Limits(), "de")
    assert all("its language is de" in t.reasons[0] for t in two)


GOOD = {"snr_db": 15.0, "level_dbfs": -45.0, "clipped": 0.001, "overlap": 0.5, "agreement": 0.7}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"bleed_db": -30.0}, None),
        ({"snr_db": 14.9}, "snr: 14.9 dB, below 15"),
        ({"level_dbfs": -50.0}, "level: -50 dBFS, below -45"),
        ({"clipped": 0.002}, "clipped: 0.002 of the samples, above 0.001"),
        ({"overlap": 0.6}, "overlap: 0.6 of the speech, above 0.5"),
        ({"agreement": 0.5}, "agreement: 0.5, below 0.7"),
    ],
)
def test_limits_are_the_last_good_values(change: dict[str, float], reason: str | None) -> None:
    judged = turn(text="hello", measures=GOOD | change)
    judge([judged], Limits(), "en")
    assert judged.reasons == ([reason] if reason else [])
    assert judged.good == (reason is None or "overlap" in reason)


def test_other_reasons() -> None:
    empty, short = turn(text="..."), turn(1.0, 1.2, text="hi")
    endless = turn(text="hallo " * 100)
    judge([empty, short], Limits(), "en")
    judge([endless], Limits(), "de")
    assert empty.reasons == ["words: none were heard or given"]
    assert short.reasons == ["short: 0.20 s of speech"]
    assert endless.reasons == ["words: 600 characters in 1.0 s"]
