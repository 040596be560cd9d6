"""Which tone a reply fits, what it follows, and how much a voice does: hand-worked cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sts_eval.metrics.prosody import prosody_of, voiced_pitch
from sts_eval.metrics.tone_reply import following, replies_differ, reply_tone, side_taken

LISTS = {
    "neutral": ["All right, tell me more.", "I understand. What happens next?"],
    "happy": ["That is wonderful news!"],
    "sad": ["I am sorry, that sounds hard."],
    "angry": ["I understand why you are upset."],
}


@pytest.mark.parametrize(
    ("heard", "tone"),
    [
        ("That is wonderful news", "happy"),
        ("that is wonderful", "happy"),  # 1 of 4 words missing
        ("Oh dear, I am sorry, that sounds hard", "sad"),  # words before it are free
        ("I understand why you are up set", "angry"),
        ("I understand", ""),  # 3 of 5 and 4 of 6 words missing
        ("The capital of France is Paris", ""),
        ("", ""),
    ],
)
def test_a_reply_fits_the_nearest_list(heard, tone):
    assert reply_tone(heard, LISTS) == tone


def test_a_reply_between_two_tones_fits_neither():
    assert reply_tone("yes", {"happy": ["Yes."], "sad": ["Yes."]}) == ""
    assert reply_tone("yes", {}) == ""


@pytest.mark.parametrize(
    ("first", "second", "differ"),
    [
        ("All right, tell me more.", "all right tell me more", False),
        ("All right, tell me more.", "alright, tell me more", False),  # 2 of 22 letters
        ("I am sorry, that sounds hard.", "I hear you, that sounds frustrating.", True),
        ("That is wonderful news!", "I am sorry, that sounds hard.", True),
        ("abcdef", "abcdxy", False),  # exactly a third
        ("abcde", "abcxy", True),
        ("", "", False),
        ("", "yes", True),
    ],
)
def test_two_replies_differ_by_more_than_a_third_of_their_letters(first, second, differ):
    assert replies_differ(first, second) is differ
    assert replies_differ(second, first) is differ


@pytest.mark.parametrize(
    ("replied", "tone", "words", "side"),
    [
        ("happy", "happy", "negative", "tone"),
        ("sad", "happy", "negative", "words"),
        ("angry", "sad", "positive", "tone"),
        ("happy", "angry", "positive", "words"),
        ("neutral", "angry", "positive", "neither"),
        ("", "happy", "negative", "neither"),
    ],
)
def test_what_a_reply_follows_in_sarcasm(replied, tone, words, side):
    assert side_taken(replied, tone, words) == side


def test_slope_and_correlation_by_hand():
    found = following(np.array([1.0, 2.0]), np.array([2.0, 1.0]))
    assert found.slope == pytest.approx(4 / 5)
    assert found.correlation == pytest.approx(4 / 5)
    flat = following(np.array([1.0, 2.0]), np.zeros(2))
    assert flat.slope == 0.0
    assert flat.correlation is None
    assert following(np.zeros(2), np.ones(2)).slope is None


CHANGES = st.lists(
    st.tuples(*[st.floats(-20, 20).filter(lambda x: abs(x) > 1e-3)] * 2), min_size=1, max_size=9
)


@given(CHANGES, st.floats(0.1, 3))
def test_a_pair_has_no_order_and_a_larger_answer_a_larger_slope(pairs, factor):
    user, agent = (np.array(side) for side in zip(*pairs, strict=True))
    found = following(user, agent)
    signs = np.where(np.arange(len(user)) % 2, 1.0, -1.0)
    turned = following(user * signs, agent * signs)
    assert turned.slope == pytest.approx(found.slope, abs=1e-9)
    larger = following(user, factor * agent)
    assert larger.slope == pytest.approx(factor * found.slope, abs=1e-9)
    assert larger.correlation == pytest.approx(found.correlation, abs=1e-9)
    assert abs(found.correlation) <= 1 + 1e-12


def buzz(hz, seconds=1.0):
    """A voice-like sound whose pitch is `hz`, a number or one for each sample."""
    t = np.arange(round(24_000 * seconds))
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, t.shape)) / 24_000
    return (0.1 * sum(np.sin(k * phase) / k for k in range(1, 8))).astype(np.float32)


@pytest.mark.parametrize("hz", [70.0, 130.0, 220.0, 410.0, 480.0])
def test_the_pitch_of_a_steady_voice(hz):
    found = prosody_of(buzz(hz))
    assert found.pitch_st == pytest.approx(12 * np.log2(hz / 60), abs=0.1)
    assert found.range_st < 0.1
    assert found.seconds == pytest.approx(1.0)


def test_the_range_leaves_the_fall_of_a_sentence_out():
    t = np.arange(48_000) / 24_000
    falling = 220 * 2 ** (-3 * t / 12)
    wave = 3 * np.sign(np.cos(2 * np.pi * 2 * t))  # three semitones up and down
    assert prosody_of(buzz(falling, 2.0)).range_st < 0.3
    assert prosody_of(buzz(falling * 2 ** (wave / 12), 2.0)).range_st == pytest.approx(6, abs=1)


def test_a_change_of_voice_reads_the_same_from_both_sides():
    low, high = prosody_of(buzz(110)), prosody_of(2 * buzz(220, 0.5))
    change, back = high.against(low), low.against(high)
    assert change["pitch"] == pytest.approx(12, abs=0.1)
    assert change["level"] == pytest.approx(6, abs=0.2)
    assert change["rate"] == pytest.approx(1, abs=0.05)
    assert back == pytest.approx({key: -value for key, value in change.items()})


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros(24_000, np.float32),
        np.zeros(0, np.float32),
        buzz(200, 0.1),
        0.05 * np.random.default_rng(0).standard_normal(24_000).astype(np.float32),
    ],
    ids=["silence", "nothing", "too short", "noise"],
)
def test_without_a_voice_there_is_no_prosody(audio):
    assert prosody_of(audio) is None


def test_noise_and_silence_are_unvoiced():
    for audio in (np.zeros(24_000, np.float32), np.zeros(10, np.float32)):
        frame, pitch = voiced_pitch(audio)
        assert frame.size == pitch.size == 0
