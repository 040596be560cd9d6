"""Loops are found and speech is not taken for one; silence, endless talk, and made-up words."""

import json
from importlib import resources

import numpy as np
import pytest

from sts_eval.metrics.degenerate import (
    LOOP_FROM,
    audio_repetition,
    compression_ratio,
    is_endless,
    is_gibberish,
    is_silent,
    repeats,
    text_loops,
    unknown_share,
    word_entropy,
)
from sts_eval.stimuli import Stimuli
from sts_eval.targets.answering import nonsense
from sts_eval.targets.cascade.parts import Voice
from sts_eval.trace import silence

RATE = 24_000


@pytest.fixture(scope="module")
def voice():
    return Voice(1.0)


def test_speech_is_no_loop():
    items, rng = Stimuli.load().items, np.random.default_rng(0)
    scores = []
    for _ in range(40):
        clips = [items[int(at)].audio() for at in rng.integers(0, len(items), 5)]
        scores.append(audio_repetition(np.concatenate(clips)))
    assert max(scores) < LOOP_FROM - 0.1, sorted(scores)[-5:]


def test_repeated_samples_are_a_loop_under_noise(rng):
    items = Stimuli.load().items
    for _ in range(12):
        clip = items[int(rng.integers(len(items)))].speech()
        unit = clip[: int(rng.uniform(0.25, 1.2) * RATE)]
        track = np.tile(unit, 20)[: 5 * RATE]
        track = (track + 1e-3 * rng.standard_normal(track.size)).astype(np.float32)
        assert audio_repetition(track) > LOOP_FROM + 0.05


@pytest.mark.parametrize("text", ["I do not know. " * 6, "nine " * 12, "ba " * 14])
def test_synthesised_loops_differ_in_every_sample_and_are_found(voice, text):
    assert audio_repetition(voice.speak(text, 1)) > LOOP_FROM + 0.05


@pytest.mark.parametrize("text", ["Seven plus two is nine.", "No, no, no, I do not know that."])
def test_short_answers_are_no_loops(voice, text):
    assert audio_repetition(voice.speak(text, 1)) < LOOP_FROM


def test_edge_cases_of_repetition():
    assert audio_repetition(silence(0)) == 0
    assert audio_repetition(silence(5 * RATE)) == 0
    assert audio_repetition(np.full(1000, 0.1, np.float32)) == 0
    constant = np.full(4 * RATE, 0.1, np.float32)
    assert np.isfinite(audio_repetition(constant))


def test_silence_and_endless_talk():
    assert is_silent(silence(RATE))
    assert is_silent(silence(0))
    loud = np.full(RATE, 0.1, np.float32)
    assert not is_silent(loud)
    assert is_endless(loud)
    assert not is_endless(np.concatenate([loud, silence(RATE)]))
    assert not is_endless(silence(RATE))
    assert not is_endless(silence(0))


def test_counts_of_repeats():
    assert repeats([]) == 0
    assert repeats(["a"]) == 1
    assert repeats(["a", "a", "a"]) == 3
    assert repeats(["x", "a", "b", "a", "b", "a", "b", "y"]) == 3
    assert repeats(["a", "b", "c", "d"]) == 1


def test_word_entropy_and_compression():
    assert word_entropy(["a"] * 7) is None
    assert word_entropy(["a"] * 8) == 0
    assert word_entropy([*"abcdefgh"]) == pytest.approx(1.0)
    assert word_entropy([*"aaaabbbb"]) == pytest.approx(1 / 3)
    assert compression_ratio("short") == 1
    assert compression_ratio("and then we went home " * 10) > 2.4


def test_what_the_cascade_knows_is_neither_loop_nor_gibberish():
    source = resources.files("sts_eval.targets.cascade").joinpath("knowledge.json")
    known = json.loads(source.read_text("utf-8"))
    texts = [fact["answer"] for fact in known["facts"]] + [each["answer"] for each in known["long"]]
    for text in texts:
        assert not text_loops(text), text
        assert not is_gibberish(text), text


def test_made_up_words_are_gibberish():
    assert all(is_gibberish(nonsense(seed)) for seed in range(20))
    assert is_gibberish("no words") is None
    assert unknown_share("") is None
    assert unknown_share("one two zoldo glimpf") == pytest.approx(0.5)
