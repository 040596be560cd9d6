"""The replies to a tone of voice end to end: an agent that hears the tone passes, the same agent
behind `monotone` is caught, and what a target cannot offer is not measured."""

import pytest

from sts_eval.planning import RunOptions
from sts_eval.probes import emotion_reply_voice
from sts_eval.runner import Progress, score_run, start_run
from sts_eval.selftest import EXPECTED, HEALTHY, run_selftest
from sts_eval.target import MissingDependencyError

VOICES = "af_nova, af_river, am_eric, am_puck, bf_lily"
SUITE = """\
suite: replies
question: Does it hear how something is said?
seed: 5
target: scripted_empath
judges: {{asr: {asr}, vad: silero}}
cluster: voice
cold_starts: 0
slices: [design, tone]
scenarios:
  - kind: tone_reply
    design: tones
    pick: {{kind: remark, per_voice: 2, voice: [{voices}]}}
    listen_s: 3.5
  - kind: tone_reply
    design: words_by_tone
    pick: {{kind: loaded_remark, per_voice: 2, voice: [{voices}]}}
    listen_s: 3.5
gates:
  - response_emotion_accuracy_rate >= 0.45
  - reply_change_excess_ratio >= 0.4
  - tone_minus_words_ratio >= 0.4
"""


def suite_at(folder, asr="moonshine"):
    path = folder / "replies.yaml"
    path.write_text(SUITE.format(asr=asr, voices=VOICES))
    return path


def run(suite, folder, target, limit=None):
    options = RunOptions(suite=suite, target=target, limit=limit, out=folder)
    return score_run(start_run(options, Progress()), Progress(), judge_reports=False)


def found(record, metric):
    return next(e for e in record.estimates if e.metric == metric and not e.slice)


def test_monotone_is_caught_by_this_suite_and_the_healthy_agent_passes(tmp_path):
    matrix = run_selftest((suite_at(tmp_path),), "scripted_empath", None, Progress())
    assert [row.fault for row in matrix.rows] == [HEALTHY, "monotone"]
    healthy, faulty = matrix.rows
    assert set(healthy.outcomes.values()) == {"PASS"}
    assert healthy.ok
    assert faulty.alarms == EXPECTED["monotone"]


def test_a_voice_that_follows_is_told_from_one_that_does_not(tmp_path):
    suite = suite_at(tmp_path)
    slopes = {}
    for follows in ("true", "false"):
        record = run(suite, tmp_path / follows, f"scripted_empath:follows={follows}", limit=14)
        assert record.failures == []
        slopes[follows] = found(record, "own_pitch_follows_ratio").value
        level = found(record, "own_level_follows_ratio").value
        assert level == pytest.approx(1.0 if follows == "true" else 0.0, abs=0.25)
    assert slopes["true"] > 0.6
    assert abs(slopes["false"]) < 0.2


def test_without_a_judge_nothing_is_made_up(tmp_path):
    record = run(suite_at(tmp_path, asr="none"), tmp_path, "silent", limit=7)
    assert record.failures == []
    reasons = {o.reason for o in record.observations}
    assert reasons == {"no ASR judge was asked for"}
    assert found(record, "own_pitch_follows_ratio").value is None


def test_without_the_neutral_voice_only_the_own_voice_is_lost(tmp_path, monkeypatch):
    def missing():
        raise MissingDependencyError("speech synthesis needs hibari-tts")

    monkeypatch.setattr(emotion_reply_voice, "Readings", missing)
    record = run(suite_at(tmp_path), tmp_path, "scripted_empath", limit=7)
    own = found(record, "own_rate_follows_ratio")
    assert own.value is None
    assert "hibari-tts" in own.reason
    assert found(record, "tone_reply_rate").n == 7
