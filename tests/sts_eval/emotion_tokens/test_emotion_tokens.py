"""The probes find emotion where a synthetic codec puts it, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest

from sts_eval.probes.emotion_token_analysis import analyse, bag_of_words, codebook_sets
from sts_eval.probes.emotion_token_features import (
    MOST_DIMENSIONS,
    Tokenizer,
    compact,
    over_time,
    sound_features,
)
from sts_eval.probes.emotion_token_pool import Estimates, Material
from sts_eval.probes.emotion_token_section import section_of

ACOUSTIC_BOOKS, SEMANTIC_BOOKS = (1, 2, 3), (0,)


def findings(tokens, **settings):
    return analyse(tokens, seed=1, **{"shuffles": 49, "perceptron": False, **settings})


def estimates(found):
    return Estimates(found, Material(found.tokens), {}, seed=1)


@pytest.mark.parametrize("vectors", [True, False])
def test_emotion_in_the_acoustic_tokens_is_separated(token_set, vectors):
    found = findings(token_set(ACOUSTIC_BOOKS, vectors=vectors))
    headline = estimates(found).separation("linear")
    assert headline.value > 0.5
    assert headline.lo > 0.3
    assert found.readings["emotion", "semantic", "linear"].recall < 0.42
    assert found.readings["emotion", "acoustic", "linear"].p == 0.02
    assert found.readings["emotion", "1", "linear"].recall > 0.6


def test_emotion_in_the_semantic_tokens_is_below_zero(token_set):
    headline = estimates(findings(token_set(SEMANTIC_BOOKS))).separation("linear")
    assert headline.value < -0.4
    assert headline.hi < -0.2


def test_no_emotion_is_no_separation(token_set):
    found = findings(token_set())
    headline = estimates(found).separation("linear")
    assert abs(headline.value) < 0.15
    assert headline.lo < 0 < headline.hi
    for which in ("semantic", "acoustic", "all", "0", "2"):
        assert found.readings["emotion", which, "linear"].recall < 0.42
    assert found.readings["emotion", "audio", "linear"].recall > 0.9  # it was there to be kept


def test_emotion_in_both_is_no_separation_but_high_recall(token_set):
    found = findings(token_set((0, 1, 2, 3)))
    assert abs(estimates(found).separation("linear").value) < 0.35
    assert found.readings["emotion", "semantic", "linear"].recall > 0.6


def test_each_codebook_shows_what_it_carries(token_set):
    found = findings(token_set((2,)))
    readings = found.readings
    assert readings["emotion", "2", "linear"].recall > 0.6
    for other in ("0", "1", "3"):
        assert readings["emotion", other, "linear"].recall < 0.42
    assert readings["words", "0", "linear"].recall > 0.8
    assert readings["words", "1", "linear"].recall < 0.4
    assert readings["speaker", "1", "linear"].recall > 0.8
    assert readings["speaker", "0", "linear"].recall < 0.4
    without, within = (readings["emotion", f"upto_{q}", "linear"].recall for q in (2, 3))
    assert within > without + 0.2
    bits = {key: each.corrected for key, each in found.information.items()}
    assert bits["emotion", 2] > 0.3 > 0.05 > abs(bits["emotion", 1])
    assert bits["words", 0] > 0.5 > 0.1 > abs(bits["words", 1])
    divergence = {k: np.nanmean(values) for k, values in found.divergence.items()}
    assert divergence[2] > 0.2 > 0.05 > abs(divergence[1])
    apart = {k: np.mean([d for *_, d in rows]) for k, rows in found.distances.items()}
    assert apart[0] < 0.5 < apart[2]
    assert apart[0] < found.sentence_distance[0] - 0.3


def test_controls_stay_at_chance(token_set):
    found = findings(token_set(ACOUSTIC_BOOKS))
    for name in ("text", "length"):
        assert found.controls[name][1].recall == pytest.approx(0.25)
    for name in ("vocoder_semantic", "vocoder_acoustic", "vocoder_all"):
        assert found.controls[name][1].chance == 0.5
        assert found.controls[name][1].recall < 0.7
    control = found.readings["emotion", "acoustic", "linear"].control
    assert 0.18 < control < 0.32


def test_a_vocoder_that_can_be_told_is_reported(token_set):
    tokens = token_set()
    marked = [
        replace(r, tokens=np.where(np.arange(16) % 3 == 0, 60, r.tokens))
        if r.emotion != "original"
        else r
        for r in tokens.renditions
    ]
    found = findings(replace(tokens, renditions=marked))
    assert found.controls["vocoder_all"][1].recall > 0.95
    assert found.readings["emotion", "all", "linear"].recall < 0.42  # and is no emotion


def test_a_text_that_gives_the_emotion_away_shows_in_its_control(token_set):
    tokens = token_set(texts=8, vocoder=False)
    loaded = [
        replace(r, words=f"i am {r.emotion}", text=f"{r.text}.{r.emotion}",
                scenario_id=f"{r.scenario_id}.{r.emotion}")
        for r in tokens.renditions
    ]  # fmt: skip
    found = findings(replace(tokens, renditions=loaded))
    assert found.controls["text"][1].recall > 0.9
    assert "vocoder_all" in found.reasons
    assert found.reasons["distance"].startswith("no sentence is said in two emotions")


def test_the_perceptron_agrees(token_set):
    found = findings(token_set(ACOUSTIC_BOOKS, speakers=4, texts=4, codebooks=3), perceptron=True)
    made = estimates(found)
    assert made.separation("mlp").value > 0.3
    assert made.separation("mlp").slice == {"probe": "mlp"}
    keys = {(e.metric, e.statistic, tuple(sorted(e.slice.items()))) for e in made.all()}
    assert len(keys) == len(made.all())


@pytest.mark.parametrize(
    ("changes", "task", "reason"),
    [
        ({"emotions": ("sad",)}, "emotion", "one emotion only (sad)"),
        ({"speakers": 1}, "emotion", "no emotion that two speakers say"),
        ({"speakers": 1}, "speaker", "one speaker only"),
        ({"speakers": 1}, "words", "fewer than two texts"),
        ({"texts": 1}, "emotion", "no emotion that two speakers say in two texts"),
        ({"texts": 1}, "speaker", "one text only"),
    ],
)
def test_what_cannot_be_measured_says_why(token_set, changes, task, reason):
    found = findings(token_set(ACOUSTIC_BOOKS, **changes))
    assert reason in found.reasons[task]
    made = estimates(found).all()
    separation = made[0]
    if task == "emotion":
        assert separation.value is separation.lo is None
        assert separation.reason == found.reasons["emotion"]
        assert separation.n_unmeasured == len(found.tokens.renditions)
    section = section_of(found, Material(found.tokens), estimates(found), "")
    assert any(reason in paragraph for paragraph in section.paragraphs)


def test_a_codec_without_semantic_tokens_has_no_separation(token_set):
    tokens = token_set((0, 1, 2, 3), semantic=1)
    found = findings(replace(tokens, semantic=0))
    assert "semantic" not in codebook_sets(found.tokens)
    headline = estimates(found).separation("linear")
    assert headline.value is None
    assert "no semantic codebooks" in headline.reason
    assert found.readings["emotion", "all", "linear"].recall > 0.6


def test_no_recordings_is_not_measured(token_set):
    empty = replace(token_set(speakers=1, texts=1), renditions=[])
    found = findings(empty)
    made = estimates(found).all()
    assert {e.value for e in made} == {None}
    assert {e.metric for e in made} >= {"emotion_token_separation", "emotion_token_recall"}
    assert section_of(found, Material(empty), estimates(found), "").paragraphs


def test_an_emotion_of_one_speaker_is_left_out_and_named(token_set):
    tokens = token_set(ACOUSTIC_BOOKS)
    kept = [r for r in tokens.renditions if r.emotion != "sad" or r.speaker == "s0"]
    found = findings(replace(tokens, renditions=kept))
    assert found.notes == ["sad is left out: one speaker only, which cannot be held out."]
    assert set(found.tasks["emotion"].labels) == {"angry", "happy", "neutral"}
    assert found.readings["emotion", "all", "linear"].chance == pytest.approx(1 / 3)


def test_the_section_holds_every_table_and_chart(token_set):
    found = findings(token_set(ACOUSTIC_BOOKS), perceptron=False)
    section = section_of(found, Material(found.tokens), estimates(found), "mimi")
    assert section.id == "emotion-tokens-mimi"
    assert [c.kind for c in section.charts] == ["bar", "line", "heatmap"]
    assert [t.title for t in section.tables] == [
        "Emotion read from tokens", "Recall by emotion", "Controls", "Each codebook",
    ]  # fmt: skip
    assert "the acoustic tokens tell the emotion better" in section.paragraphs[1]
    rows = section.charts[2].series
    leakage = {row.name: {point.x: point.y for point in row.points} for row in rows}
    assert leakage["emotion"]["codebook 1"] > 0.5 > 0.25 > leakage["emotion"]["codebook 0"]


def test_features_by_hand():
    assert over_time(np.array([[1.0], [3.0]])).tolist() == [2.0, 1.0, 2.0]
    assert over_time(np.array([[5.0]])).tolist() == [5.0, 0.0, 0.0]  # one frame does not change
    wide = np.random.default_rng(0).standard_normal((200, MOST_DIMENSIONS + 9))
    assert compact(wide).shape == (200, MOST_DIMENSIONS)
    assert compact(wide[:, :5]) is wide[:, :5] or compact(wide[:, :5]).shape == (200, 5)
    assert bag_of_words(["Don't go!", "go go"]).tolist() == [[1, 1, 1], [0, 2, 0]]


def test_sound_features_tell_loud_from_soft_and_high_from_low():
    t = np.arange(24_000) / 24_000
    low, high = (np.sin(2 * np.pi * hz * t).astype(np.float32) * 0.1 for hz in (200, 4000))
    assert np.argmax(sound_features(low)[:40]) < np.argmax(sound_features(high)[:40])
    assert (sound_features(high * 2)[:40] >= sound_features(high)[:40]).all()
    assert np.isfinite(sound_features(low[:10])).all()


def test_tokens_are_kept_by_codec_and_audio(tmp_path, monkeypatch):
    monkeypatch.setenv("STS_EVAL_CACHE", str(tmp_path))
    calls = []

    def encode(audio, shift=0):
        calls.append(audio.size)
        return np.full((2, 3), shift + int(audio.size), np.int64)

    first = Tokenizer("a", encode, 9, 1, 0.08)
    clip = np.ones(4, np.float32)
    assert (first.tokens(clip) == first.tokens(clip)).all()
    assert calls.count(4) == 1
    other = Tokenizer("a", lambda audio: encode(audio, shift=1), 9, 1, 0.08)
    assert (other.tokens(clip) == 5).all()  # another codec of the same name keeps its own
