"""The sounds of the events: levels, lengths, and that the same seed makes the same sound."""

import numpy as np
import pytest

from sts_eval.audio import active_level_dbfs
from sts_eval.probes.interruption_events import EVENTS, cough, event_audio, event_stimulus, hum
from sts_eval.stimuli import Stimuli


@pytest.mark.parametrize("make", [cough, hum])
def test_a_tic_is_short_and_repeats_with_its_seed(make):
    once, again, other = (make(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(once, again)
    assert not np.array_equal(once[:1000], other[:1000])
    assert 0.25 <= once.size / 24_000 <= 0.45
    assert np.abs(once).max() == pytest.approx(1.0)


@pytest.mark.parametrize("event", EVENTS)
def test_the_voice_is_the_users_except_in_the_background(event):
    stimuli = Stimuli.load()
    found = event_stimulus(event, "af_nova", 0, stimuli, 17)
    if event == "vocal_tic":
        assert found is None
    elif event == "background_speech":
        assert stimuli.get(found).voice != "af_nova"
    else:
        assert stimuli.get(found).voice == "af_nova"


def test_levels_are_as_stated():
    stimuli, rng = Stimuli.load(), np.random.default_rng(1)
    item = stimuli.get(event_stimulus("background_speech", "af_nova", 0, stimuli, 17))
    request = stimuli.items[0].speech()
    level = active_level_dbfs(item.speech())
    quiet = active_level_dbfs(event_audio("background_speech", item, request, rng))
    assert level - quiet == pytest.approx(15.0, abs=0.1)
    assert level - active_level_dbfs(event_audio("side_talk", item, request, rng)) > 7.5
    tic = event_audio("vocal_tic", None, request, rng)
    assert active_level_dbfs(tic) == pytest.approx(active_level_dbfs(request), abs=2.0)
