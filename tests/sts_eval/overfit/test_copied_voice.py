"""Whose voice a copy is said in: the recorded one passes, another one does not."""

import numpy as np
import pytest

from sts_eval.audit.encoders import EncoderError
from sts_eval.probes.overfit_training import TrainingText, words_of
from sts_eval.probes.overfit_voice import Spoken, VoiceJudge

RATE_HZ = 24_000


@pytest.fixture(scope="module")
def recordings(stimuli):
    """Two long recordings of each of two voices that nobody takes for each other."""
    voices = ("am_puck", "af_nova")
    return {
        voice: [i for i in stimuli.items if i.voice == voice and i.kind == "long"][:2]
        for voice in voices
    }


def as_training(item):
    return TrainingText(item.id, item.text, words_of(item.text), path=item.path)


def track(speech, lead_s=1.0):
    lead = np.zeros(round(lead_s * RATE_HZ), np.float32)
    return np.concatenate([lead, speech, lead]), (lead_s, lead_s + speech.size / RATE_HZ)


def test_the_recorded_voice_passes_and_another_one_does_not(recordings):
    judge = VoiceJudge()
    (mine, more_of_me), (other, _) = recordings.values()
    trained = as_training(mine)
    for said, same in ((mine, True), (more_of_me, True), (other, False)):
        agent, span_s = track(said.speech())
        assert judge.same(agent, Spoken(trained, span_s)) is same


def test_a_copy_is_judged_by_its_own_part_of_the_track(recordings):
    (mine, _), (other, _) = recordings.values()
    agent, span_s = track(np.concatenate([mine.speech(), other.speech()]))
    middle_s = 1.0 + mine.speech().size / RATE_HZ
    judge, trained = VoiceJudge(), as_training(mine)
    assert judge.same(agent, Spoken(trained, (span_s[0], middle_s)))
    assert not judge.same(agent, Spoken(trained, (middle_s, span_s[1])))


def test_silence_has_no_voice(recordings):
    trained = as_training(recordings["af_nova"][0])
    silent = np.zeros(5 * RATE_HZ, np.float32)
    with pytest.raises(EncoderError, match="silent"):
        VoiceJudge().same(silent, Spoken(trained, (1.0, 4.0)))
