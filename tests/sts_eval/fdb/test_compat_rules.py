"""The published rules on tiny files, each value worked out by hand, the known defects included."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from sts_eval.metrics import fdb
from sts_eval.metrics.fdb import FdbWord

GOLDEN = Path(__file__).parents[2] / "golden" / "fdb"
USER_END_S = 3.0


def words(name):
    chunks = json.loads((GOLDEN / f"{name}.json").read_text())["chunks"]
    return [FdbWord(chunk["text"], *chunk["timestamp"]) for chunk in chunks]


@pytest.mark.parametrize(
    ("name", "took", "latency_s"),
    [
        # 5.1 - 3.5 = 1.6 s: a turn; 3.5 - 3.0
        ("answers", True, 0.5),
        # defect: a right answer of one word (0.4 s) is no turn
        ("short_answer", False, None),
        # 4.5 - 3.5 = 1.0 s is not below 1 s: two words are a turn
        ("span_of_one_second", True, 0.5),
        # 0.75 s and 3 words: no turn; a fourth word in the same 0.75 s makes it one
        ("three_words", False, None),
        ("four_words", True, 0.25),
        # tokens of CrisperWhisper count as words: [UH] is the fourth
        ("crisper_whisper", True, 0.25),
        # defect: 0.1 - 3.0 = -2.9 s becomes 0: the agent that never stops answers at once
        ("never_stops", True, 0.0),
        # defect: all was said before the user's turn ended, and still the turn was "taken" at 0 s
        ("spoke_before_only", True, 0.0),
        # a null end inside does not matter: 4.9 - 3.5 = 1.4 s
        ("null_end_inside", True, 0.5),
        ("silent", False, None),
    ],
)
def test_takeover_and_latency(name, took, latency_s):
    assert fdb.takeover(words(name)) is took
    found = fdb.latency_s(words(name), USER_END_S)
    assert found == (None if latency_s is None else pytest.approx(latency_s))


def test_where_the_published_code_stops_there_is_no_value():
    with pytest.raises(fdb.RuleUndefined, match="last word has no end"):
        fdb.takeover(words("null_end_last"))
    with pytest.raises(fdb.RuleUndefined, match="first word has no start"):
        fdb.latency_s([FdbWord("a", None, 1.0), FdbWord("b", 1.0, 2.0)], 0.0)


@pytest.mark.parametrize(
    ("segments", "took", "kept"),
    [
        # "mm": 0.5 s, 1 word: a back-channel
        ([(5.0, 5.5)], False, [(5.0, 5.5)]),
        # 0.9 s with 3 words ("right yeah yes"): not more than 3, but more than 2
        ([(8.9, 9.8)], True, []),
        # 1.2 s: too long for a back-channel, whatever was said
        ([(5.0, 6.2)], True, []),
        # defect: the last segment decides; 2 s of speech are forgotten after a "mm"
        ([(1.0, 3.0), (5.0, 5.5)], False, [(5.0, 5.5)]),
        # defect: and in the other order the back-channel is forgotten
        ([(5.0, 5.5), (6.0, 8.0)], True, []),
        # beyond 3 s the rule stops: earlier back-channels stay, later ones are not seen
        ([(5.0, 5.5), (6.0, 9.5), (9.6, 9.9)], True, [(5.0, 5.5)]),
        # exactly 3 s is not "longer than 3 s": it is one of those that forget
        ([(5.0, 5.5), (6.0, 9.0)], True, []),
        # "oh" has no end time and starts inside: it is skipped, so no word is counted
        ([(6.9, 7.5)], False, [(6.9, 7.5)]),
        ([], False, []),
    ],
)
def test_backchannels(segments, took, kept):
    found = fdb.backchannels(segments, words("backchannel_words"))
    assert (found.took_turn, list(found.segments)) == (took, kept)


def test_segment_edges_are_rounded_to_a_tenth():
    # 0.96 s becomes 1.0 s, which is no back-channel any more
    assert fdb.rounded([(2.04, 3.0)], 8.0) == [(2.0, 3.0)]
    assert fdb.rounded([(7.5, 7.98)], 7.97) == [(7.5, 7.97)]


def test_distance_by_hand():
    # 1.0 s: int(5.0) + 1 = 6 bins; 0.0-0.3 s fills bins 0 and 1: P = (1/2, 1/2, 0, ...)
    # people: all in bin 0: Q = (1, 0, ...); M = (3/4, 1/4)
    # KL(P|M) = ln(2/3)/2 + ln(2)/2, KL(Q|M) = ln(4/3); distance = root of their mean
    mean = ((math.log(2 / 3) + math.log(2)) / 2 + math.log(4 / 3)) / 2
    found = fdb.backchannel_jsd([(0.0, 0.3)], 1.0, [1, 0, 0, 0, 0, 0])
    assert found == pytest.approx(math.sqrt(mean), abs=1e-4)
    assert found == pytest.approx(0.4645, abs=1e-4)


def test_distance_ends_and_the_value_beyond_them():
    people = [1, 0, 0, 0, 0, 0]
    assert fdb.backchannel_jsd([(0.0, 0.1)], 1.0, people) == pytest.approx(0, abs=1e-3)
    apart = fdb.backchannel_jsd([(0.6, 0.7)], 1.0, people)
    assert apart == pytest.approx(math.sqrt(math.log(2)), abs=1e-3)
    # defect: silence scores worse than the worst timing
    assert fdb.backchannel_jsd([], 1.0, people) == 1.0 > apart


def test_the_human_density_is_resampled_linearly():
    # 2 values over 6 bins: 0, .2, .4, .6, .8, 1; P all in the last bin
    # Q = (0, 1, 2, 3, 4, 5) / 15; M there = (1 + 1/3) / 2 = 2/3
    # KL(P|M) = ln(3/2); KL(Q|M) = 2/3 ln 2 + 1/3 ln(1/2)
    mean = (math.log(1.5) + math.log(2) * 2 / 3 + math.log(0.5) / 3) / 2
    found = fdb.backchannel_jsd([(1.0, 1.1)], 1.0, [0, 1])
    assert found == pytest.approx(math.sqrt(mean), abs=1e-4)


def test_intervals_of_v15():
    # gaps of 0.5 s (user) and 0.4 s (model) are closed, although the comments say 0.3 and 0.05 s
    user = fdb.merged([(0.0, 2.0), (2.5, 3.0), (6.0, 7.0)], fdb.USER_MERGE_GAP_S)
    model = fdb.merged([(1.0, 1.4), (1.8, 2.2), (3.7, 4.5), (7.2, 8.0)], fdb.MODEL_MERGE_GAP_S)
    assert user == [(0.0, 3.0), (6.0, 7.0)]
    assert model == [(1.0, 2.2), (3.7, 4.5), (7.2, 8.0)]
    assert fdb.stop_intervals(user, model) == [(1.0, 2.2)]
    assert fdb.response_intervals(user, model) == [(3.0, 3.7), (7.0, 7.2)]


def test_intervals_of_an_agent_that_does_not_yield():
    # defect: the overlap ends with the user's words, so an agent that talks on "stops" after 1 s
    assert fdb.stop_intervals([(2.0, 3.0)], [(0.0, 9.0)]) == [(2.0, 3.0)]
    assert fdb.response_intervals([(2.0, 3.0)], [(0.0, 9.0)]) == []
    # two user segments before one onset: only the later is a response latency
    assert fdb.response_intervals([(0.0, 1.0), (2.0, 3.0)], [(4.0, 5.0)]) == [(3.0, 4.0)]


def chunks(*parts):
    """Probabilities: (value, seconds) at 32 ms each."""
    return np.concatenate([np.full(round(s / 0.032), p) for p, s in parts])


def test_segments_by_silero_defaults():
    # 0.32 s quiet, 0.64 s speech, 0.64 s quiet: 10 chunks to 30, padded by 480 samples
    found = fdb.silero_segments(chunks((0.1, 0.32), (0.9, 0.64), (0.1, 0.64)), 50 * 512)
    assert found == [(10 * 512 - 480, 30 * 512 + 480)]
    # 0.256 s is longer than 250 ms, 0.224 s is not
    assert fdb.silero_segments(chunks((0.9, 0.256), (0.1, 0.32)), 18 * 512)
    assert not fdb.silero_segments(chunks((0.9, 0.224), (0.1, 0.32)), 17 * 512)
    # p between 0.35 and 0.5 neither ends nor begins speech
    assert not fdb.silero_segments(chunks((0.45, 1.0)), 31 * 512)
    assert len(fdb.silero_segments(chunks((0.9, 0.5), (0.45, 0.5), (0.9, 0.5)), 48 * 512)) == 1


def test_segments_equal_those_of_silero_itself():
    from silero_vad import utils_vad

    published = utils_vad.get_speech_timestamps_from_probs
    rng = np.random.default_rng(3)
    for _ in range(200):
        size = int(rng.integers(1, 300))
        steps = np.repeat(rng.random(size), rng.integers(1, 15, size))[:size]
        samples = int(size * 512 - rng.integers(0, 512))
        theirs = published(steps.tolist(), sampling_rate=16_000, audio_length_samples=samples)
        ours = fdb.silero_segments(steps.tolist(), samples)
        assert ours == [(segment["start"], segment["end"]) for segment in theirs]
