"""The reference target in batches, a small model with random weights: rows equal sessions."""

import json

import numpy as np
import pytest
import torch

from sts_core.lm.config import LMConfig
from sts_core.lm.ear import Ear
from sts_core.lm.model import DuplexLM
from sts_core.lm.text import TextTokenizer
from sts_core.session import System
from sts_eval.clock import Lane, drive_batch, drive_lockstep, new_recording
from sts_eval.target import SessionSetup, TargetError, steps_together
from sts_eval.targets import core
from sts_eval.units import FRAME_SAMPLES

SMALL = LMConfig(
    dim=32, layers=2, heads=2, window_frames=12, words_after_layers=1, depth_dim=16, depth_layers=1,
    depth_heads=1, code_dim=16,
)  # fmt: skip


@pytest.fixture(scope="module")
def target():
    torch.manual_seed(3)
    system = System(Ear.load(), DuplexLM(SMALL).requires_grad_(False), TextTokenizer.load())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "load_system", lambda weights: system)
        yield core.ReferenceTarget()


def said(recording):
    return [event.data for event in recording.events if event.name == "text"]


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_rows_of_any_length_are_the_single_conversations(target, rng, temperature):
    assert steps_together(target)
    tracks = [
        rng.normal(0, 0.05, frames * FRAME_SAMPLES).astype(np.float32) for frames in (14, 6, 10)
    ]
    setups = [SessionSetup(seed, options={"temperature": temperature}) for seed in (4, 5, 6)]
    lanes = [Lane(track, new_recording(track)) for track in tracks]
    ended = []
    drive_batch(target.open_batch(setups), lanes, lambda: None, lambda *end: ended.append(end))
    assert ended == [(1, None), (2, None), (0, None)]
    for lane, track, setup in zip(lanes, tracks, setups, strict=True):
        single = new_recording(track)
        drive_lockstep(target.open(setup), track, single, lambda: None)
        np.testing.assert_allclose(lane.recording.agent, single.agent, atol=2e-4)
        assert said(lane.recording) == said(single)
        assert lane.recording.frame_push == single.frame_push
        json.dumps([event.data for event in lane.recording.events], allow_nan=False)


def test_what_cannot_be_stepped_together_is_refused(target):
    with pytest.raises(TargetError, match="same temperature"):
        target.open_batch([SessionSetup(1), SessionSetup(1, options={"temperature": 0.7})])
