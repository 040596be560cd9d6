"""Skills: what counts as right, measured on channels made by hand, and the table's intervals."""

import numpy as np
import pytest

from sts_core import cli_talk
from sts_core.data.manifest import ManifestError
from sts_core.skills import measure as m
from sts_core.skills import takes as t
from sts_core.skills.answers import (
    heard_words,
    is_refusal,
    is_right,
    last_number,
    reply_tone,
    word_error_rate,
    word_errors,
)
from sts_core.skills.run import Ran, run_takes
from sts_core.skills.table import BARS, as_text, estimate, summarise


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("5 x 8 is 40.", "five times eight is forty"),
        ("20 + 7 = 27", "twenty plus seven is twenty seven"),
        ("I don't know that.", "i do not know that"),
        ("It's grey, OK?", "it is gray okay"),
        ("123456789", "123456789"),
        ("", ""),
    ],
)
def test_words_as_they_are_compared(text, words):
    assert heard_words(text) == words.split()


def test_the_last_number_counts_as_a_whole():
    assert last_number(heard_words("Twenty plus seven is twenty-seven.")) == 27
    assert last_number(heard_words("That makes 8, I think")) == 8
    assert last_number(["eight", "een"]) == 8
    assert last_number(["nothing"]) is None
    assert last_number([]) is None


@pytest.mark.parametrize(
    "reply",
    [
        "I do not know that.",
        "Sorry, I don't know that.",
        "I have no way to know that.",
        "That is something I cannot know.",
    ],
)
def test_refusals(reply):
    words = heard_words(reply)
    assert is_refusal(words)
    assert is_right({"kind": "unanswerable"}, words)
    assert not is_right({"answer": 4}, words)


def test_right_answers():
    assert is_right({"key": "New York"}, heard_words("It is New York, I know."))
    assert not is_right({"key": "New York"}, heard_words("York is new."))
    assert not is_right({"key": "red"}, heard_words("bored"))
    assert is_right({"answer": 0}, heard_words("Seven minus seven is zero."))
    assert not is_refusal(heard_words("I know that a dog barks."))


def test_the_tone_of_a_reply():
    assert reply_tone(heard_words("That is wonderful news!")) == "happy"
    assert reply_tone(heard_words("I am sorry, that sounds bad")) == "sad"
    assert reply_tone(["paris"]) == ""
    assert reply_tone([]) == ""


def test_word_errors():
    assert word_errors(["a", "b"], ["a", "c", "d"]) == 2
    assert word_errors([], ["a"]) == word_errors(["a"], []) == 1
    assert word_error_rate([], []) == 0
    assert word_error_rate([], ["a"]) == float("inf")


def channel(seconds, *spans):
    """An agent's channel with a tone in spans of seconds."""
    audio = np.zeros(round(seconds * 24_000), np.float32)
    wave = (0.1 * np.sin(np.arange(audio.size) / 9)).astype(np.float32)
    for a, b in spans:
        part = slice(round(a * 24_000), round(b * 24_000))
        audio[part] = wave[part]
    return audio


def ran(skill, agent, *, row=None, end_s=1.0, cue_s=None, event_s=None, pause_s=None, text=""):
    row = {"id": "x", "kind": skill, **(row or {})}
    cue = None if cue_s is None else t.Cue(channel(cue_s), 1.0, {"id": "c", "answer": 4})
    take = t.Take(skill, "x", row, np.zeros_like(agent), end_s, pause_s, cue)
    return Ran(take, agent, [(0.1, text)] if text else [], event_s)


def values(outcomes):
    return {each.measure: each.value for each in outcomes.found}


def test_a_question_is_heard_timed_and_compared_with_the_inner_text():
    row = {"op": "plus", "a": 1, "b": 2, "answer": 3}
    said = ran("sums", channel(4, (1.2, 2.0)), row=row, text=" one plus two is four")
    heard = []

    def hear(audio):
        heard.append(audio.size / 24_000)
        return "1 + 2 is 3"

    outcomes = m.measure([said], hear)
    found = values(outcomes)
    assert heard == [pytest.approx(1.0, abs=0.03)]  # the answer and 100 ms around it
    measured = "sums" if "sums" in found else "sums_never_trained"
    assert found[measured] == 1.0
    assert found["onset_ms"] == pytest.approx(200, abs=11)
    assert found["agreement"] == 1  # three for four
    assert outcomes.of("agreement")[0].weight == 5


def test_an_agent_that_speaks_too_early_has_a_negative_onset():
    outcomes = m.measure([ran("facts", channel(4, (0.7, 2.0)), row={"key": "k"})], lambda a: "k")
    assert values(outcomes)["onset_ms"] == pytest.approx(-300, abs=11)


def test_silence_is_a_wrong_answer_and_no_onset():
    outcomes = m.measure([ran("facts", channel(4), row={"key": "k"})], lambda a: "k")
    assert values(outcomes) == {"facts": 0.0, "false_refusals": 0.0}
    assert outcomes.missing == {"onset_ms": 1, "agreement": 1}


@pytest.mark.parametrize(
    ("until", "again", "stops"), [(3.35, 5.0, 1.0), (3.55, 5.0, 0.0), (3.35, 3.8, 0.0)]
)
def test_a_barge_in_must_silence_the_agent_in_time(until, again, stops):
    agent = channel(9, (1.2, until), (again, 6.0))
    found = values(
        m.measure([ran("barge_in", agent, cue_s=1.0, event_s=3.0)], lambda a: "two plus two is 4")
    )
    assert found == {"stops": stops, "answers_new": 1.0}


def test_an_agent_that_never_spoke_was_not_interrupted():
    outcomes = m.measure([ran("barge_in", channel(9), cue_s=1.0)], lambda a: "")
    assert outcomes.found == []
    assert outcomes.missing == {"stops": 1, "answers_new": 1}


@pytest.mark.parametrize(
    ("spans", "keeps"),
    [
        ([(1.2, 8.0)], 1.0),
        ([(1.2, 3.1), (3.6, 8.0)], 1.0),
        ([(1.2, 3.1)], 0.0),
        ([(1.2, 3.1), (4.0, 8)], 0.0),
        ([(1.2, 4.4), (5.2, 8)], 0.0),  # it stops when the back-channel is over
        ([(1.2, 4.6), (5.4, 8)], 1.0),  # much later: no answer to it
    ],
)
def test_a_back_channel_must_not_silence_it(spans, keeps):
    said = ran("back_channel", channel(9, *spans), cue_s=0.5, event_s=3.0)
    said.undisturbed = channel(9, (1.2, 8.0))
    assert values(m.measure([said], lambda a: "")) == {"keeps_on": keeps}


@pytest.mark.parametrize(
    ("spans", "keeps"),
    [
        ([(1.2, 3.5), (4.4, 8.0)], 1.0),  # as it would without anybody
        ([(1.2, 3.1), (3.5, 3.9), (4.8, 8)], 1.0),  # it holds for 0.4 s, then its own pause
        ([(1.2, 3.5)], 0.0),  # it does not go on after its pause
        ([(1.2, 3.1), (4.8, 8)], 0.0),  # 0.4 s before its pause are missing, and 0.4 s after it
    ],
)
def test_its_own_pause_is_no_answer_to_a_back_channel(spans, keeps):
    said = ran("back_channel", channel(9, *spans), cue_s=0.5, event_s=3.0)
    said.undisturbed = channel(9, (1.2, 3.5), (4.4, 8.0))
    assert values(m.measure([said], lambda a: "")) == {"keeps_on": keeps}


def test_pauses_tones_and_quiet():
    took = ran("pauses", channel(5, (1.5, 1.6), (3.2, 4.0)), end_s=3, pause_s=(1.2, 2.0))
    waited = ran("pauses", channel(5, (3.2, 4.0)), end_s=3, pause_s=(1.2, 2.0))
    assert [o.value for o in m.measure([took, waited], lambda a: "").found] == [1.0, 0.0]
    tone = ran("tones", channel(4, (1.2, 2.0)))
    tone = Ran(t.Take("tones", "x", {"id": "x"}, tone.take.user, 1.0, tone="sad"), tone.agent)
    assert values(m.measure([tone], lambda a: "That must hurt. Take your time."))["tones"] == 1.0
    assert m.false_starts(ran("quiet", channel(9, (1, 1.5), (2, 3), (5, 6)))) == 2
    assert m.false_starts(ran("quiet", channel(9))) == 0


def outcome(measure, value, weight=1.0):
    return m.Outcome(measure, "x", "v", value, weight)


def test_estimates_have_their_intervals():
    ones = [outcome("sums", 1.0)] * 9 + [outcome("sums", 0.0)]
    value, lo, hi = estimate(ones, "share")
    assert (value, lo, hi) == pytest.approx((0.9, 0.5958, 0.9821), abs=1e-3)  # Wilson, 9 of 10
    assert estimate([], "share") == (None, None, None)
    ten = [outcome("false_starts", 0.0, 60.0)] * 10
    assert estimate(ten, "per_10_min") == pytest.approx((0.0, 0.0, 3.689), abs=1e-3)
    same = [outcome("onset_ms", 200.0)] * 4
    assert estimate(same, "p95") == (200.0, 200.0, 200.0)
    pooled = [outcome("agreement", 1, 2), outcome("agreement", 0, 6)]
    assert estimate(pooled, "ratio")[0] == pytest.approx(1 / 8)
    assert estimate([outcome("agreement", 3, 0)], "ratio") == (None, None, None)


def test_the_table_says_what_holds_what_is_missed_and_what_was_not_measured():
    outcomes = m.Outcomes([outcome("facts", 1.0)] * 9 + [outcome("sums", 0.0)], {"stops": 3})
    lines = {line.bar.measure: line for line in summarise(outcomes)}
    assert (lines["facts"].holds, lines["sums"].holds, lines["stops"].holds) == (True, False, None)
    text = as_text(list(lines.values()))
    assert "| facts | 100 % [70 %, 100 %] | 9 |  | >= 85 % | holds |" in text
    assert "not measured | 0 | 3 |" in text
    assert {bar.statistic for bar in BARS} == {"share", "p50", "p95", "ratio", "per_10_min"}


def test_the_command_offers_all_skills():
    assert cli_talk.SKILLS == t.SKILLS


def test_a_folder_without_any_skill_is_refused(tmp_path):
    (tmp_path / "manifest.jsonl").write_text('{"path": "a.wav", "kind": "song"}\n')
    with pytest.raises(ManifestError, match="no utterance of a kind"):
        t.Stimuli(tmp_path)


class Parrot:
    """A system that says a tone in every frame from frame 12 on; remembers what it heard."""

    def __init__(self):
        self.heard = []

    def open_batch(self, options):
        self.seeds = [each.seed for each in options]
        return self

    def push(self, frames):
        from sts_core.session import Reply, StageTimes

        self.heard.append(frames.copy())
        loud = len(self.heard) > 12
        audio = np.full(1920, 0.1 if loud else 0.0, np.float32)
        return [Reply(audio, "", "", StageTimes(0, 0, 0, 0)) for _ in frames]


def test_the_users_cue_comes_at_its_time_after_the_agents_onset():
    cue = t.Cue(np.full(2400, 0.5, np.float32), 0.9, {"id": "c"})
    take = t.Take("barge_in", "x", {"id": "x"}, np.zeros(40 * 1920, np.float32), 0.5, cue=cue)
    parrot = Parrot()
    (made,) = run_takes(parrot, [take], batch=4, seed=7)
    # what push 12 returns sounds at tick 13: 1.04 s
    assert made.onset_s(0.5) == pytest.approx(1.04)
    assert made.event_s == pytest.approx(1.94)
    user = np.concatenate([frames[0] for frames in parrot.heard])
    assert np.flatnonzero(user)[0] == round(1.94 * 24_000)
    assert np.count_nonzero(user) == 2400
    assert parrot.seeds == [7]


def test_a_back_channel_is_compared_with_the_same_conversation_without_it():
    cue = t.Cue(np.full(2400, 0.5, np.float32), 0.9, {"id": "c"})
    user = np.zeros(40 * 1920, np.float32)
    takes = [t.Take(s, s, {"id": s}, user, 0.5, cue=cue) for s in ("barge_in", "back_channel")]
    parrot = Parrot()
    barge_in, back_channel = run_takes(parrot, takes, batch=4, seed=7)
    assert parrot.seeds == [7, 8, 8]
    heard = [np.concatenate([frames[row] for frames in parrot.heard]) for row in range(3)]
    assert [np.count_nonzero(each) for each in heard] == [2400, 2400, 0]
    assert barge_in.undisturbed is None
    np.testing.assert_array_equal(back_channel.undisturbed, back_channel.agent)
