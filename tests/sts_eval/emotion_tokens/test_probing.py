"""Folds, recall, controls and probes on data whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sts_eval.metrics import probing
from sts_eval.metrics.probing import (
    Features,
    NotMeasurableError,
    check_learnable,
    codes_of,
    crossed_folds,
    group_folds,
    linear_predictions,
    mlp_predictions,
    partition,
    permutation_p,
    read_linear,
    read_mlp,
    recall,
    shuffled_labels,
    weighted_recall,
)

NAMES = st.lists(st.sampled_from("abcdef"), min_size=2, max_size=40)


@given(st.data())
def test_crossed_folds_share_no_speaker_and_no_text(data):
    speakers = data.draw(NAMES)
    texts = data.draw(st.lists(st.sampled_from("pqrstu"), min_size=len(speakers),
                               max_size=len(speakers)))  # fmt: skip
    if len(set(speakers)) < 2 or len(set(texts)) < 2:
        with pytest.raises(NotMeasurableError, match="held out"):
            crossed_folds(speakers, texts)
        return
    folds = crossed_folds(speakers, texts, speaker_parts=3, text_parts=2, seed=data.draw(
        st.integers(0, 5)))  # fmt: skip
    tested = np.concatenate([fold.test for fold in folds])
    assert sorted(tested) == list(range(len(speakers)))
    for fold in folds:
        for names in (speakers, texts):
            assert not {names[i] for i in fold.train} & {names[i] for i in fold.test}


def test_partition_keeps_groups_whole_and_parts_even():
    part = partition(["a"] * 4 + ["b"] * 2 + ["c"] * 2, 2, seed=1)
    assert sorted(np.bincount(part)) == [4, 4]
    assert len(set(part[:4])) == len(set(part[4:6])) == len(set(part[6:])) == 1
    assert set(partition(["a", "b"], 5, seed=0)) == {0, 1}  # no more parts than groups


def test_group_folds_hold_out_each_group_once():
    folds = group_folds(list("aabbc"), 3, seed=2)
    assert sorted(np.concatenate([f.test for f in folds])) == [0, 1, 2, 3, 4]
    with pytest.raises(NotMeasurableError, match="one group"):
        group_folds(["a", "a"], 3)


def test_recall_is_the_mean_over_classes():
    labels = np.array([0, 0, 0, 1])
    assert recall(labels, np.array([0, 0, 1, 1])) == pytest.approx((2 / 3 + 1) / 2)
    assert recall(labels, np.zeros(4, np.int64)) == 0.5  # the common class alone is chance
    both = recall(labels, np.array([[0, 0, 0, 1], [1, 1, 1, 0]]))
    assert both.tolist() == [1.0, 0.0]


def test_permutation_p_is_never_zero():
    null = np.full(19, 0.25)
    assert permutation_p(0.9, null) == 1 / 20
    assert permutation_p(0.25, null) == 1.0
    assert permutation_p(0.5, np.array([0.6, 0.4, 0.5])) == 3 / 4


def test_labels_are_shuffled_within_their_group_only():
    labels = np.array([0, 1, 2, 0, 0, 1])
    within = ["a", "a", "a", "b", "b", "c"]
    shuffled = shuffled_labels(labels, within, 50, seed=3)
    assert (np.sort(shuffled[:, :3]) == [0, 1, 2]).all()
    assert (shuffled[:, 3:] == [0, 0, 1]).all()
    assert len({tuple(row) for row in shuffled}) > 1


def test_units_are_shuffled_as_a_whole():
    labels, units = np.array([0, 0, 1, 1, 2]), ["a", "a", "b", "b", "c"]
    shuffled = shuffled_labels(labels, [""] * 5, 30, seed=0, units=units)
    assert (shuffled[:, 0] == shuffled[:, 1]).all()
    assert (shuffled[:, 2] == shuffled[:, 3]).all()
    assert (np.sort(shuffled[:, [0, 2, 4]]) == [0, 1, 2]).all()
    with pytest.raises(ValueError, match="two labels"):
        shuffled_labels(np.array([0, 1, 1, 1, 2]), [""] * 5, 1, seed=0, units=units)


def test_weighted_recall_by_hand():
    labels, predicted = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    cluster = np.array([0, 0, 1, 1])
    weight = np.array([[1, 1], [2, 0], [3, 1]])
    # class 0: right in cluster 0 only; class 1: right in cluster 1 only
    assert weighted_recall(weight, labels, predicted, cluster).tolist() == [0.5, 0.5, 0.5]
    predicted[1] = 1
    found = weighted_recall(weight, labels, predicted, cluster)
    assert found == pytest.approx([(1 / 2 + 1) / 2, 1.0, (3 / 4 + 1) / 2])


def crossed(speakers=6, texts=6, emotions=3):
    """Every speaker says every text in every emotion."""
    rows = [(s, t, e) for s in range(speakers) for t in range(texts) for e in range(emotions)]
    speaker, text, emotion = np.array(rows).T
    return [f"s{s}" for s in speaker], [f"t{t}" for t in text], [f"e{e}" for e in emotion]


def one_hot(names, rng, noise=0.3):
    code = codes_of(names)
    found = np.eye(code.max() + 1)[code]
    return found + noise * rng.standard_normal(found.shape)


def test_an_emotion_in_the_features_is_read_and_its_control_is_at_chance():
    speakers, texts, emotions = crossed()
    rng = np.random.default_rng(0)
    features = Features.of(*(one_hot(names, rng) for names in (emotions, speakers, texts)))
    folds = crossed_folds(speakers, texts, text_parts=3)
    shuffled = shuffled_labels(codes_of(emotions), speakers, 99, seed=1)
    found = read_linear(features, emotions, folds, shuffled)
    assert found.recall > 0.9
    assert found.p == 0.01
    assert found.chance == pytest.approx(1 / 3)
    assert 0.25 < found.control < 0.42
    small = read_mlp(features, emotions, folds, shuffled[:1], seed=1)
    assert small.recall > 0.85


def test_features_of_speaker_and_text_alone_say_nothing_of_emotion():
    speakers, texts, emotions = crossed()
    rng = np.random.default_rng(0)
    features = Features.of(one_hot(speakers, rng), one_hot(texts, rng))
    folds = crossed_folds(speakers, texts)
    shuffled = shuffled_labels(codes_of(emotions), speakers, 99, seed=1)
    found = read_linear(features, emotions, folds, shuffled)
    assert found.recall < 0.5
    assert found.p > 0.02


@pytest.mark.parametrize("leak", ["speaker", "text"])
def test_what_a_speaker_or_a_text_gives_away_does_not_pass_as_emotion(leak):
    """Each speaker (text) has one emotion: folds that share it read it, disjoint folds do not."""
    names = [f"n{i}" for i in range(12) for _ in range(6)]
    other = [f"m{i % 6}" for i in range(72)]
    emotions = [f"e{int(name[1:]) % 2}" for name in names]
    rng = np.random.default_rng(1)
    # many directions for each name: a probe that has met the name knows its emotion
    features = Features.of(rng.standard_normal((12, 40))[codes_of(names)])
    speakers, texts = (names, other) if leak == "speaker" else (other, names)
    labels = codes_of(emotions)[None]
    shared = [
        probing.Fold(np.flatnonzero(np.arange(72) % 3 != k), np.flatnonzero(np.arange(72) % 3 == k))
        for k in range(3)
    ]
    assert recall(labels[0], linear_predictions(features, labels, shared)[0]) == 1.0
    disjoint = crossed_folds(speakers, texts, speaker_parts=12 if leak == "speaker" else 2,
                             text_parts=12 if leak == "text" else 2)  # fmt: skip
    assert recall(labels[0], linear_predictions(features, labels, disjoint)[0]) < 0.8


def test_the_linear_probe_is_ridge_regression():
    from sklearn.linear_model import RidgeClassifier

    rng = np.random.default_rng(4)
    speakers, texts, emotions = crossed(4, 4, 2)
    values = np.hstack([one_hot(emotions, rng, 0.8), rng.standard_normal((32, 50))])
    folds = crossed_folds(speakers, texts, text_parts=2)
    labels = codes_of(emotions)
    ours = linear_predictions(Features.of(values), labels[None], folds)[0]
    for fold in folds:
        train, test = values[fold.train], values[fold.test]
        scale = train.std(axis=0) * np.sqrt(values.shape[1])
        model = RidgeClassifier(alpha=probing.RIDGE)
        model.fit((train - train.mean(axis=0)) / scale, labels[fold.train])
        theirs = model.predict((test - train.mean(axis=0)) / scale)
        assert (ours[fold.test] == theirs).all()


def test_many_label_sets_at_once_are_the_same_as_one_by_one(monkeypatch):
    rng = np.random.default_rng(5)
    speakers, texts, emotions = crossed(3, 3, 3)
    features = Features.of(rng.standard_normal((27, 8)))
    folds = crossed_folds(speakers, texts)
    sets = shuffled_labels(codes_of(emotions), speakers, 7, seed=0)
    together = linear_predictions(features, sets, folds)
    monkeypatch.setattr(probing, "_MOST_TARGETS", 1)
    assert (linear_predictions(features, sets, folds) == together).all()


def test_a_rare_class_is_not_forgotten():
    rng = np.random.default_rng(6)
    labels = np.array([0] * 90 + [1] * 10)
    features = Features.of(labels[:, None] + 0.6 * rng.standard_normal((100, 1)))
    folds = group_folds([f"g{i % 5}" for i in range(100)], 5)
    found = recall(labels, linear_predictions(features, labels[None], folds)[0])
    assert found > 0.7
    assert recall(labels, mlp_predictions(features, labels, folds, 0)) > 0.65


def test_the_perceptron_reads_what_no_line_divides():
    rng = np.random.default_rng(7)
    corner = rng.integers(0, 2, (160, 2))
    labels = corner[:, 0] ^ corner[:, 1]
    features = Features.of(corner + 0.1 * rng.standard_normal((160, 2)))
    folds = group_folds([f"g{i % 4}" for i in range(160)], 4)
    assert recall(labels, linear_predictions(features, labels[None], folds)[0]) < 0.7
    assert recall(labels, mlp_predictions(features, labels, folds, 0)) > 0.9


def test_a_narrow_block_weighs_as_much_as_a_wide_one():
    features = Features.of(np.zeros((3, 4)), np.zeros((3, 1)))
    assert features.weight == pytest.approx([8**-0.5] * 4 + [2**-0.5])
    assert features.rows(np.array([2])).values.shape == (1, 5)


def test_constant_features_are_chance_and_no_error():
    speakers, texts, emotions = crossed(3, 3, 2)
    shuffled = shuffled_labels(codes_of(emotions), speakers, 9, seed=0)
    folds = crossed_folds(speakers, texts)
    assert read_linear(Features.of(np.ones((18, 4))), emotions, folds, shuffled).recall == 0.5


@pytest.mark.parametrize(
    ("labels", "why"), [(["a"] * 4, "1 class"), (["a", "a", "a", "b"], "class 'b' is not in")]
)
def test_what_cannot_be_learnt_is_not_measured(labels, why):
    folds = group_folds(["x", "x", "y", "z"], 3)
    with pytest.raises(NotMeasurableError, match=why):
        check_learnable(labels, folds)


def test_separation_is_signed():
    assert probing.separation(0.75, 0.25) == 0.5
    assert probing.separation(0.25, 0.75) == -0.5
