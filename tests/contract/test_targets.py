"""The contract of `sts_eval.target` on all targets: fakes, programs, real agents."""

import json
import sys

import numpy as np
import pytest

from sts_core.lm.weights import DEFAULT_WEIGHTS
from sts_eval.clock import Lane, drive_batch, drive_lockstep, new_recording
from sts_eval.options import honoured_by, require
from sts_eval.starter import TARGET
from sts_eval.target import SessionSetup, Target, UnsupportedOptionError, steps_together
from sts_eval.targets import make_target
from sts_eval.trace import silence
from sts_eval.units import FRAME_SAMPLES

SPECS = (
    "echo",
    "silent",
    "scripted",
    "scripted_duplex",
    "scripted_empath",
    "late:ms=160+echo",
    "never_yields+scripted_duplex",
    "cascade:endpoint_ms=300",
    "codec",
    "process",
    "reference",
)
SCRIPT = {
    "user_spans": [{"start_s": 0.4, "end_s": 2.0, "label": "user"}],
    "turn_end_s": 2.0,
    "conditions": {"event": "barge_in"},
}
VALUES = {"temperature": 0.5, "voice": "hibari:heart", "agent_prefix": np.zeros(4800, np.float32)}


@pytest.fixture(scope="module", params=SPECS)
def target(request, tmp_path_factory):
    spec = request.param
    if spec == "process":
        program = tmp_path_factory.mktemp("program") / "my_target.py"
        program.write_text(TARGET)
        spec = f'process:command="{sys.executable} {program}"'
    made = make_target(spec)
    if spec == "reference" and not DEFAULT_WEIGHTS.is_file():
        pytest.skip("the package holds no weights of the language model")
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def question(request):
    """A question and two seconds to answer it, float32 [S]."""
    from sts_eval.stimuli import Stimuli

    speech = Stimuli.load().items[0].speech()
    track = silence(45 * FRAME_SAMPLES)
    track[9600 : 9600 + speech.size] = speech[: track.size - 9600]
    return track


def converse(target, user, seed=3):
    recording = new_recording(user)
    session = target.open(SessionSetup(seed, "contract", SCRIPT))
    drive_lockstep(session, user.copy(), recording, lambda: None)
    return recording


def test_it_describes_itself(target):
    assert isinstance(target, Target)
    description = target.describe()
    assert description["name"] == target.name
    json.dumps(description, allow_nan=False)


def test_a_second_conversation_equals_the_first(target, question):
    first, second = converse(target, question), converse(target, question)
    np.testing.assert_array_equal(first.agent, second.agent)
    assert first.frame_push == second.frame_push


def test_conversations_side_by_side_share_nothing(target, question):
    alone = converse(target, question).agent.reshape(-1, FRAME_SAMPLES)
    setup = SessionSetup(3, "contract", SCRIPT)
    sessions = [target.open(setup), target.open(setup)]
    try:
        emitted = []
        for frame in question.reshape(-1, FRAME_SAMPLES):
            emitted.append(sessions[0].push(frame.copy()).audio)
            sessions[1].push(silence(FRAME_SAMPLES))
    finally:
        for session in sessions:
            session.close()
    heard = np.concatenate([np.zeros(0, np.float32), *emitted])
    if target.name in ("echo", "late+echo", "cascade"):
        # these never flush here: what was emitted is what is played, silence aside
        np.testing.assert_array_equal(heard[heard != 0][:4800], alone[alone != 0][:4800])
    else:
        assert bool(heard.any()) == bool(alone.any())


def test_rows_of_a_batch_are_the_single_conversations(target, question):
    if not steps_together(target):
        pytest.skip("the target offers no batches")
    tracks = [question, question[: 30 * FRAME_SAMPLES]]
    lanes = [Lane(track.copy(), new_recording(track)) for track in tracks]
    batch = target.open_batch([SessionSetup(3, "contract", SCRIPT)] * 2)
    drive_batch(batch, lanes, lambda: None, lambda row, error: None)
    for lane, track in zip(lanes, tracks, strict=True):
        single = converse(target, track)
        # where two entries of a residual codebook are equally near, rounding decides between them
        np.testing.assert_allclose(lane.recording.agent, single.agent, atol=5e-4)
        assert lane.recording.frame_push == single.frame_push


def test_the_frame_is_left_as_it_was(target):
    frame = np.full(FRAME_SAMPLES, 0.01, np.float32)
    session = target.open(SessionSetup(3, "contract", SCRIPT))
    session.push(frame)
    session.close()
    assert (frame == np.float32(0.01)).all()


@pytest.mark.parametrize("name", [*VALUES, "made_up"])
def test_an_option_is_honoured_or_refused_before_anything_runs(target, name):
    options = {name: VALUES.get(name, 1)}
    honoured = honoured_by(target)
    setup = SessionSetup(3, "contract", SCRIPT, options)
    if honoured is None or name not in honoured:
        with pytest.raises(UnsupportedOptionError, match=f"the target has no option '{name}'"):
            require(target, options) if honoured is not None else target.open(setup)
    else:
        require(target, options)
        target.open(setup).close()
