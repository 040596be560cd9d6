"""The fit of a speaker scale, on vectors whose lengths and consistencies are known."""

import math

import numpy as np
import pytest

from sts_eval.audit.likelihood import cllr

from .conftest import load_benchmark

benchmark = load_benchmark("speaker_encoder")
PEOPLE, Pairs = benchmark.PEOPLE, benchmark.Pairs
fit_quality, mixed, one_length = benchmark.fit_quality, benchmark.mixed, benchmark.one_length


def voices(seed: int, n: int = 24) -> dict[tuple[str, str], np.ndarray]:
    """[16, 48] each: a direction, a common one, and the errors of the pieces, uneven by voice."""
    rng = np.random.default_rng(seed)
    made = {}
    for k in range(n):
        error = rng.uniform(0.35, 0.6)  # of a piece, beside a voice of length one
        own = rng.normal(size=48) / math.sqrt(48)
        pieces = 0.8 * np.eye(48)[0] + own + error * rng.normal(size=(16, 48)) / math.sqrt(48)
        pieces /= np.linalg.norm(pieces, axis=1, keepdims=True)
        made[PEOPLE, f"v{k}"] = pieces.astype(np.float32)
    return made


def test_the_score_does_not_depend_on_length() -> None:
    quality, fitted = fit_quality(mixed(voices(1), 3.0, 0))
    assert quality.attenuation > 0
    assert quality.consistency > 0
    assert fitted.n_clusters_bonafide == 24
    fresh = mixed(voices(2), 3.0, 0)
    short, long = fresh.short > 0.4, fresh.short < 0.2
    scores, same = fresh.scores(quality), fresh.same
    raw = fresh.cosine[same & long].mean() - fresh.cosine[same & short].mean()
    left = scores[same & long].mean() - scores[same & short].mean()
    assert raw > 0.03
    assert abs(left) < raw / 2


def test_it_tells_more_than_pieces_of_one_length() -> None:
    known, fresh = voices(1), mixed(voices(2), 3.0, 0)
    quality, fitted = fit_quality(mixed(known, 3.0, 0))
    now, before = fitted(fresh.scores(quality)), one_length(known, 3.0, 0)(fresh)
    costs = [cllr(llr[fresh.same], llr[~fresh.same]) for llr in (now, before)]
    assert costs[0] < costs[1]


def test_nothing_is_heard_and_enrolled_and_kinds_are_kept_apart() -> None:
    """A voice whose pieces are all different is at cosine 0 to itself: no piece meets itself."""
    found = {("a", "one"): np.eye(8, dtype=np.float32), ("b", "two"): np.eye(8, dtype=np.float32)}
    trials = mixed(found, 3.0, 0)
    assert trials.same.all()  # neither kind has a second voice
    assert trials.mean == pytest.approx(np.zeros(len(trials.mean)))
    pairs = Pairs(found)
    assert pairs.of_a_kind().sum() == pairs.same.sum() == 2 * 28
