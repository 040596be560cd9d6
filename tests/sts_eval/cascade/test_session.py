"""The cascade with all its real parts: hears, answers, waits, yields, repeats itself exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sts_eval.judges import load_asr, load_vad
from sts_eval.judges.text import normalise
from sts_eval.stimuli import Stimuli
from sts_eval.stimuli.conditions import insert_pause
from sts_eval.target import SessionSetup, Target, TargetError
from sts_eval.targets import make_target
from sts_eval.targets.cascade import CascadeTarget
from sts_eval.trace import silence

QUESTION = "af_nova-arithmetic-000"  # What is two times eight?


@pytest.fixture(scope="module")
def cascade() -> Target:
    return make_target("cascade")


def test_it_answers_a_sum_aloud(cascade: Target, stimuli: Stimuli, converse: Callable) -> None:
    speech = stimuli.get(QUESTION).speech()
    found = converse(cascade, 0.5, speech, 4.0)
    assert found.texts == ["Two times eight is sixteen."]
    assert found.data("heard") == [{"text": "What is two times eight?"}]
    heard = normalise(load_asr("moonshine").transcribe(found.agent).text)
    assert heard == ["two", "times", "eight", "is", "sixteen"]
    onset_ms = 1000 * (load_vad("silero").speech_spans(found.agent)[0][0] - 0.5) - len(speech) / 24
    assert 500 <= onset_ms <= 800  # 500 ms of silence, at most 2 frames and the voice's own onset
    stages = [name for _, name, _ in found.events if name.startswith("stage.")]
    assert stages == ["stage.endpoint", "stage.asr", "stage.responder", "stage.tts"]
    assert all(data["compute_ms"] >= 0 for _, name, data in found.events if name in stages)
    assert found.data("stage.endpoint")[0]["wait_ms"] == pytest.approx(500, abs=32)


def test_same_input_and_seed_give_the_same_samples(
    cascade: Target, stimuli: Stimuli, converse: Callable
) -> None:
    speech = stimuli.get(QUESTION).speech()
    first, second, other = (converse(cascade, speech, 2.5, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.agent, second.agent)
    assert not np.array_equal(first.agent, other.agent)
    assert other.texts == first.texts


def test_sessions_of_a_target_share_nothing(cascade: Target, stimuli: Stimuli) -> None:
    speech = np.concatenate([stimuli.get(QUESTION).speech(), silence(24_000)])
    speech = speech[: len(speech) // 1920 * 1920]
    talking, waiting = cascade.open(SessionSetup()), cascade.open(SessionSetup())
    said = ["", ""]
    for k in range(0, len(speech), 1920):
        said[0] += talking.push(speech[k : k + 1920]).text
        said[1] += waiting.push(silence(1920)).text
    assert said == ["Two times eight is sixteen. ", ""]


def test_it_falls_silent_when_talked_over_and_answers_the_new_question(
    cascade: Target, stimuli: Stimuli, converse: Callable
) -> None:
    story = stimuli.get("af_nova-long-137").speech()
    barge_s = 0.5 + len(story) / 24_000 + 2.5
    found = converse(cascade, 0.5, story, 2.5, stimuli.get("am_puck-arithmetic-000").speech(), 3.5)
    (yielded_s,) = found.times("barge_in")
    assert 0.24 <= yielded_s - barge_s <= 0.5
    assert found.data("barge_in")[0]["dropped_ms"] > 0
    quiet = found.agent[round((yielded_s + 0.01) * 24_000) : round((yielded_s + 1.0) * 24_000)]
    assert not np.any(quiet)
    assert found.texts[-1] == "Two minus two is zero."


def test_a_word_murmured_into_its_speech_does_not_stop_it(
    stimuli: Stimuli, converse: Callable
) -> None:
    patient = CascadeTarget(barge_in_ms=2_000)
    story = stimuli.get("af_nova-long-137").speech()
    murmur = stimuli.get("af_nova-backchannel-092").speech()
    found = converse(patient, story, 2.0, murmur, 3.0)
    assert found.times("barge_in") == []
    assert len(found.data("heard")) == 1


def test_a_question_with_a_pause_is_answered_as_one(
    cascade: Target, stimuli: Stimuli, converse: Callable
) -> None:
    speech, spans = insert_pause(stimuli.get("bf_lily-arithmetic-000").speech(), 1.0)
    assert len(spans) == 2
    found = converse(cascade, 0.5, speech, 3.0)
    assert len(found.times("barge_in")) == 1  # it took the pause for the end, and yielded
    assert found.texts[-1] == "Four plus six is ten."
    patient = converse(CascadeTarget(endpoint_ms=1_400), 0.5, speech, 4.0)
    assert patient.times("barge_in") == []
    assert patient.texts == ["Four plus six is ten."]


def test_silence_and_noise_get_no_answer(cascade: Target, converse: Callable) -> None:
    noise = 0.02 * np.random.default_rng(0).standard_normal(72_000).astype(np.float32)
    for track in (silence(72_000), noise):
        found = converse(cascade, track)
        assert not np.any(found.agent)
        assert found.texts == []


def test_pocketsphinx_as_recogniser(stimuli: Stimuli, converse: Callable) -> None:
    found = converse(CascadeTarget(asr="pocketsphinx"), stimuli.get(QUESTION).speech(), 2.0)
    assert "two" in found.data("heard")[0]["text"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"endpoint_ms": 0}, "endpoint_ms is 0, expected 32 to 5000"),
        ({"endpoint_ms": "soon"}, "endpoint_ms must be a number"),
        ({"threshold": True}, "threshold must be a number"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"asr": "moonshin"}, "did you mean 'moonshine'"),
        ({"chat_url": "ftp://x"}, "not an http"),
    ],
)
def test_wrong_settings_are_explained_before_any_model_loads(
    settings: dict[str, object], reason: str
) -> None:
    with pytest.raises(TargetError, match=reason):
        CascadeTarget(**settings)


def test_describe_names_models_and_keeps_the_key_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    target = CascadeTarget(chat_url="http://localhost:1/v1", chat_key_env="MY_KEY")
    described = target.describe()
    assert described["responder"] == "chat"
    assert set(described["models"]) == {"silero-vad", "moonshine-cpp", "hibari-tts"}
    assert "secret" not in str(described)
    assert "chat_url" not in CascadeTarget().describe()
