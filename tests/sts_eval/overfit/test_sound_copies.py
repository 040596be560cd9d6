"""Tokens and fingerprints: the same recording is found, another one is not."""

import numpy as np
import pytest

from sts_eval.metrics.fingerprint import FingerprintIndex, landmarks
from sts_eval.metrics.token_match import (
    WINDOW_FRAMES,
    TokenIndex,
    best_agreement,
    chance_agreement,
    window_agreement,
)
from sts_eval.probes.overfit_sound import MIN_VOTES


@pytest.fixture(scope="module")
def clips(stimuli):
    return [item.speech() for item in stimuli.items if item.kind == "long"][:12]


def test_a_recording_is_found_with_its_place_in_noise_and_at_another_level(clips, rng):
    index = FingerprintIndex([landmarks(clip) for clip in clips])
    lead = np.zeros(24_000 + 777, np.float32)
    for number, clip in enumerate(clips):
        noise = 0.003 * rng.standard_normal(lead.size + clip.size).astype(np.float32)
        best = index.find(landmarks(0.3 * np.concatenate([lead, clip]) + 0.3 * noise))[0]
        assert best.recording == number
        assert best.votes >= MIN_VOTES
        assert best.offset_s == pytest.approx(lead.size / 24_000, abs=0.05)
        assert best.start_s >= 1.0


def test_other_recordings_gather_no_votes(clips):
    index = FingerprintIndex([landmarks(clip) for clip in clips[:6]])
    for clip in clips[6:]:
        assert all(match.votes < MIN_VOTES for match in index.find(landmarks(clip)))


def test_silence_and_little_have_no_landmarks(tone):
    for audio in (np.zeros(48_000, np.float32), tone[:100], tone[:0]):
        assert landmarks(audio).hashes.size == 0
    assert FingerprintIndex([]).find(landmarks(tone)) == []
    assert FingerprintIndex([landmarks(tone[:0])]).find(landmarks(tone)) == []


def codes(rng, frames, books=2, size=50):
    return rng.integers(0, size, (books, frames))


def test_agreement_by_hand(rng):
    reference = codes(rng, 30)
    query = reference[:, 5:].copy()
    query[0, :3] = 49 - query[0, :3] + 50  # three of one codebook differ
    value, start = window_agreement(query, reference, -5)
    assert value == 1.0
    assert start == 3
    assert window_agreement(query[:, :WINDOW_FRAMES], reference, -5)[0] == pytest.approx(
        1 - 3 / (2 * WINDOW_FRAMES)
    )
    assert window_agreement(query[:, :3], reference, 0) == (0.0, 0)


def test_the_index_finds_what_trying_everything_finds(rng):
    recordings = [[codes(rng, 40)] for _ in range(20)]
    index = TokenIndex(recordings, 50)
    for number in (0, 7, 19):
        query = np.concatenate([codes(rng, 6), recordings[number][0][:, 3:33]], axis=1)
        wrong = rng.random(query.shape) < 0.4
        query = np.where(wrong, codes(rng, query.shape[1]), query)
        best = index.find(query)[0]
        assert best.recording == number
        assert best.agreement == best_agreement(query, recordings[number], index.rare)


def test_silence_tokens_do_not_agree(rng):
    quiet = np.zeros((1, 60), np.int64)
    spoken = 1 + rng.integers(0, 500, (1, 400))
    index = TokenIndex([[np.concatenate([quiet, spoken], axis=1)]], 501)
    assert not index.rare[0, 0]
    assert index.find(quiet) == []


def test_too_little_is_no_match(rng):
    assert TokenIndex([], 50).find(codes(rng, 30)) == []
    assert TokenIndex([[codes(rng, 40)]], 50).find(codes(rng, 5)) == []


def test_chance_by_hand():
    assert chance_agreement([0.2, 0.4]) == pytest.approx(0.3 + 4 * 0.1414, abs=1e-3)
    assert chance_agreement([0.3, 0.3, 0.3]) == pytest.approx(0.3)
    assert chance_agreement([0.2]) == 1.0
    assert chance_agreement([]) == 1.0
