"""The codec target: it repeats turns, whole and once, as its codec decodes them."""

import numpy as np
import pytest

from sts_eval.clock import drive_lockstep, new_recording
from sts_eval.registry import RegistryError
from sts_eval.stimuli import Stimuli
from sts_eval.target import SessionSetup, TargetError
from sts_eval.targets import make_target
from sts_eval.targets.core import load_codec
from sts_eval.targets.repeater import QUIET_FRAMES
from sts_eval.trace import silence
from sts_eval.units import FRAME_SAMPLES


def heard(spec, user):
    target = make_target(spec)
    recording = new_recording(user)
    drive_lockstep(target.open(SessionSetup()), user, recording, lambda: None)
    return recording


@pytest.fixture(scope="module")
def user():
    """Two turns of whole frames with two seconds after each, float32 [S]."""
    items = [item for item in Stimuli.load().items if item.kind == "greeting"][:2]
    parts = [silence(5 * FRAME_SAMPLES)]
    for item in items:
        speech = item.speech()
        padded = silence(-(-speech.size // FRAME_SAMPLES) * FRAME_SAMPLES)
        padded[: speech.size] = speech
        parts += [padded, silence(40 * FRAME_SAMPLES)]
    return np.concatenate(parts)


def test_each_turn_is_repeated_once_after_it(user):
    recording = heard("codec", user)
    assert [event.name for event in recording.events] == ["repeats", "repeats"]
    for event in recording.events:
        begun, frames = round(event.t_s / 0.08), event.data["frames"]
        said = recording.agent[begun * FRAME_SAMPLES : (begun + frames) * FRAME_SAMPLES]
        end = (begun - QUIET_FRAMES + 1) * FRAME_SAMPLES
        turn = user[end - frames * FRAME_SAMPLES : end]
        # the samples of the turn itself, through the codec
        import torch

        codec = load_codec()
        decoded = codec.decode(codec.encode(torch.from_numpy(turn.copy())[None, None]))[0, 0]
        np.testing.assert_allclose(said, decoded.numpy(), atol=1e-5)
        assert np.abs(said).max() > 0.05


def test_fewer_codebooks_are_another_sound(user):
    whole, coarse = heard("codec", user), heard("codec:codebooks=1", user)
    assert np.abs(coarse.agent).max() > 0.01
    assert np.abs(whole.agent - coarse.agent).max() > 0.05


def test_it_is_silent_in_silence():
    recording = heard("codec", silence(60 * FRAME_SAMPLES))
    assert not recording.agent.any()
    assert recording.events == []


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("codec:name=opus", "unknown codec 'opus'"),
        ("codec:name=hf:nowhere", "no config"),
        ("codec:codebooks=99", "has 8 codebooks"),
        ("codec:codebooks=-1", "at least 0"),
    ],
)
def test_what_cannot_be_a_codec_is_refused(spec, why):
    with pytest.raises(TargetError, match=why):
        make_target(spec).describe()
    with pytest.raises(RegistryError, match="no setting 'nam'"):
        make_target("codec:nam=reference")
