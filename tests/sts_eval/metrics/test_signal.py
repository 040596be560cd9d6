"""First sound, drop-outs and echo on signals whose answer is known."""

import numpy as np
import pytest

from sts_eval.metrics import signal
from sts_eval.trace import silence


def test_block_level_of_a_known_sine(tone):
    # a sine of amplitude 0.5 has power 0.125
    assert signal.block_dbfs(tone)[3:-3] == pytest.approx(10 * np.log10(0.125), abs=0.2)
    assert np.all(np.isneginf(signal.block_dbfs(silence(960))))


def test_first_audible_block(tone):
    track = np.concatenate([silence(24_000), tone])
    assert signal.first_audible_s(track, 0.0) == 1.0
    assert signal.first_audible_s(track, 1.25) == 1.25
    assert signal.first_audible_s(silence(24_000), 0.0) is None
    # -60 dBFS is not audible
    assert signal.first_audible_s(tone * np.float32(2e-3), 0.0) is None


def test_a_lost_frame_is_a_hole_and_a_fade_is_not(tone):
    cut = tone.copy()
    cut[4800:6720] = 0.0
    assert signal.dropouts(cut) == [pytest.approx((0.2, 0.28), abs=1e-3)]
    faded = tone.copy()
    ramp = np.linspace(1, 0, 2400, dtype=np.float32)
    faded[2400:4800] *= ramp
    faded[4800:6720] = 0.0
    faded[6720:9120] *= ramp[::-1]
    assert signal.dropouts(faded) == []


def test_silence_around_speech_is_no_hole(tone):
    assert signal.dropouts(np.concatenate([silence(4800), tone, silence(4800)])) == []
    # an agent that breaks off when it is interrupted, and goes on half a second later
    assert signal.dropouts(np.concatenate([tone, silence(12_000), tone])) == []
    assert signal.dropouts(silence(0)) == []


def test_echo_is_found_at_any_lag_and_other_speech_is_not(stimuli):
    said, other = stimuli.items[0].speech(), stimuli.items[300].speech()
    turn_s = (0.5, 0.5 + said.size / 24_000)
    user = np.concatenate([silence(12_000), said, silence(48_000)])
    for lag in (1_920, 24_000):
        echo = silence(user.size)
        echo[12_000 + lag : 12_000 + lag + said.size] = said * np.float32(0.3)
        assert signal.echo_correlation(user, echo, turn_s) > 0.9
    answer = silence(user.size)
    answer[12_000 : 12_000 + other.size] = other[: answer.size - 12_000]
    assert signal.echo_correlation(user, answer, turn_s) < 0.3
    assert signal.echo_correlation(user, silence(user.size), turn_s) == 0.0
