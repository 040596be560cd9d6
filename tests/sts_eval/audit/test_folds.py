"""Folds: what is kept apart, how it is reported, what cannot be split."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sts_eval.audit import AuditError
from sts_eval.audit.folds import (
    Fold,
    components,
    evaluate,
    leave_one_channel_out,
    leave_one_family_out,
    leave_one_speaker_out,
    leave_speakers_out,
    report,
    verify,
)
from sts_eval.audit.items import Item

from .conftest import item


def corpus(speakers: int = 4) -> list[Item]:
    """Each speaker: bona fide and attacks of three families, each uncoded and as an Opus copy."""
    items = []
    for speaker in range(speakers):
        for family in ("", "codec", "vocoder", "tts"):
            for codec in ("none", "opus"):
                name = f"s{speaker}-{family or 'bona'}"
                items.append(item(f"{name}-{codec}", family, f"s{speaker}", codec, group=name))
    return items


MAKERS = [leave_one_family_out, leave_one_channel_out, leave_one_speaker_out, leave_speakers_out]


@pytest.mark.parametrize("make", MAKERS[:3])
def test_no_speaker_or_group_is_on_both_sides(make) -> None:
    items = corpus()
    folds = list(make(items))
    assert folds
    for fold in folds:
        train, test = [items[i] for i in fold.train], [items[i] for i in fold.test]
        assert not {i.speaker for i in train} & {i.speaker for i in test}
        assert not {i.group for i in train} & {i.group for i in test}


def test_the_held_out_family_is_tested_once_and_never_trained_on() -> None:
    items = corpus()
    folds = [fold for fold in leave_one_family_out(items) if fold.held_out == "codec"]
    tested = [i for fold in folds for i in fold.test if items[i].family == "codec"]
    assert sorted(tested) == [i for i, one in enumerate(items) if one.family == "codec"]
    for fold in folds:
        assert {items[i].family for i in fold.train} == {"", "vocoder", "tts"}
        assert {items[i].family for i in fold.test} == {"", "codec"}


def test_the_held_out_channel_is_neither_trained_on_nor_mixed() -> None:
    items = corpus()
    for fold in leave_one_channel_out(items):
        assert {items[i].codec for i in fold.test} == {fold.held_out}
        assert fold.held_out not in {items[i].codec for i in fold.train}


def test_each_speaker_is_held_out_once() -> None:
    assert [fold.held_out for fold in leave_one_speaker_out(corpus())] == ["s0", "s1", "s2", "s3"]


def test_speakers_who_share_a_source_stay_together() -> None:
    # A conversion of s0's recording into s1's voice ties the two.
    items = [*corpus(3), item("vc", "vc", "s1", group="s0-bona")]
    component = components(items)
    assert component[0] == component[-1] == component[8]
    assert component[16] != component[0]
    assert [f.held_out for f in leave_one_speaker_out(items)] == ["s0 + s1", "s2"]


def test_the_same_name_in_two_corpora_is_two_speakers() -> None:
    one = item("a", "", "p225")
    assert len(set(components([one, replace(one, corpus="other", group="b")]))) == 2


def test_unknown_speakers_are_kept_apart_by_group_and_counted() -> None:
    items = [*corpus(), item("x", "tts"), item("y", "codec")]
    folds = list(leave_one_family_out(items))
    assert max(fold.n_unknown_speaker for fold in folds) >= 1
    assert len(set(components(items))) == 6


def test_genuine_and_synthetic_voices_may_be_different_ones() -> None:
    items = [item(f"b{i}", "", f"human{i}") for i in range(6)]
    items += [item(f"a{i}", "tts" if i % 2 else "vc", f"voice{i}") for i in range(8)]
    for fold in (*leave_one_family_out(items), *leave_speakers_out(items, 3)):
        assert {items[i].bonafide for i in fold.test} == {True, False}
        assert {items[i].bonafide for i in fold.train} == {True, False}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 2)), max_size=40))
def test_the_promises_hold_or_it_is_said_why_not(rows: list[tuple[int, int, int]]) -> None:
    families = ("", "a", "b")
    items = [
        item(f"r{i}", families[kind], f"s{speaker}", group=f"g{group}")
        for i, (speaker, group, kind) in enumerate(rows)
    ]
    for make in MAKERS:
        try:
            for fold in make(items):
                verify(items, fold)
        except AuditError:
            pass


def test_verify_catches_every_broken_promise() -> None:
    items = corpus()
    fold = next(leave_one_family_out(items))

    def broken(**change) -> Fold:
        return replace(fold, **change)

    with pytest.raises(AuditError, match=r"recording .* is in training and in test"):
        verify(items, broken(train=np.append(fold.train, fold.test[0])))
    moved = [*items, item("new", "tts", items[fold.test[0]].speaker)]
    with pytest.raises(AuditError, match=r"speaker test s. is in training and in test"):
        verify(moved, broken(train=np.append(fold.train, len(items))))
    moved = [*items, item("new", "tts", "s9", group=items[fold.test[0]].group)]
    with pytest.raises(AuditError, match=r"group test .* is in training and in test"):
        verify(moved, broken(train=np.append(fold.train, len(items))))
    moved = [*items, item("new", fold.held_out, "s9")]
    with pytest.raises(AuditError, match=r"family codec, part 1: new\.wav is in training"):
        verify(moved, broken(train=np.append(fold.train, len(items))))


@pytest.mark.parametrize(
    ("items", "make", "message"),
    [
        ([item("a", "", "s"), item("b", "x", "t")], leave_one_family_out, "two attack families"),
        ([item("a", "", "s"), item("b", "x", "t")], leave_one_channel_out, "two channels"),
        ([item("a", "", "s"), item("b", "x", "s")], leave_one_speaker_out, "two separate speak"),
        (corpus(1), leave_one_family_out, "too few to have both classes in each of 2 parts"),
        ([], leave_speakers_out, "both bona fide and spoofed"),
        ([], leave_one_speaker_out, "two separate speakers"),
    ],
)
def test_what_cannot_be_split(items: list[Item], make, message: str) -> None:
    with pytest.raises(AuditError, match=message):
        list(make(items))


def test_evaluate_reports_macro_mean_and_worst_family() -> None:
    items = corpus(8)

    def blind_to_codecs(train: list[Item], test: list[Item]) -> list[float]:
        seen = {one.family for one in train}
        assert not seen & {one.family for one in test if not one.bonafide}
        return [1.0 if one.bonafide or one.family == "codec" else 0.0 for one in test]

    found = evaluate(items, leave_one_family_out(items), blind_to_codecs)
    # codec: all scores equal, 50 %; vocoder and tts: 0 %. Mean 16.67 %.
    assert found.by_name == {"codec": 50.0, "tts": 0.0, "vocoder": 0.0}
    assert found.macro.value == pytest.approx(50 / 3)
    assert found.macro.lo == 0
    assert found.macro.hi > 50 / 3
    assert (found.worst, found.worst_name) == (50.0, "codec")
    assert found.macro.n == 3


def test_a_fold_of_one_class_is_unmeasured_and_counted() -> None:
    items = [one for one in corpus() if one.bonafide or one.codec == "none"]
    found = evaluate(items, leave_one_channel_out(items), lambda _, test: np.arange(len(test)))
    assert found.by_name["opus"] is None
    assert found.unmeasured["opus"] == "part 2: the test side has no spoofed ones"
    # Without the uncoded ones there is nothing but bona fide left to train on.
    assert found.unmeasured["none"] == "part 2: the training side has no spoofed ones"
    assert (found.macro.value, found.macro.n, found.macro.n_unmeasured) == (None, 0, 2)


def test_nothing_measured_is_not_zero() -> None:
    found = report({"a": None}, name="eer_percent", unit="%")
    assert found.macro.value is None
    assert found.worst is None


def test_scores_must_be_one_per_recording() -> None:
    items = corpus()
    with pytest.raises(ValueError, match="scores for"):
        evaluate(items, leave_one_family_out(items), lambda *_: [0.0])
