"""`recorded`: pairs and Full-Duplex-Bench folders become traces with the times that were put in."""

import json

import numpy as np
import pytest
import soundfile

from sts_eval import runner
from sts_eval.observation import Status
from sts_eval.planning import RunOptions
from sts_eval.runner import Progress
from sts_eval.target import TargetError
from sts_eval.targets.recorded import RecordedTarget
from sts_eval.trace import silence

SUITE = """\
suite: recordings
question: When did it answer?
judges: {asr: none, vad: silero}
scenarios:
  - kind: question
    pick: {kind: fact}
"""


@pytest.fixture
def tracks(stimuli):
    """User speaks from 0.5 s on; the agent answers 400 ms after the end."""
    asked, said = stimuli.items[0].speech(), stimuli.items[200].speech()
    end_s = 0.5 + asked.size / 24_000
    user = np.concatenate([silence(12_000), asked, silence(72_000)])
    agent = silence(user.size)
    start = round((end_s + 0.4) * 24_000)
    agent[start : start + said.size] = said[: agent.size - start]
    return user, agent, end_s


def onsets(folder, tmp_path):
    (tmp_path / "s.yaml").write_text(SUITE)
    options = RunOptions(
        suite=tmp_path / "s.yaml", target=f"recorded:path={folder}", out=tmp_path / "reports"
    )
    run = runner.start_run(options, Progress())
    record = runner.score_run(run, Progress(), judge_reports=False)
    found = {o.scenario_id: o for o in record.observations if o.metric == "response_onset_audio_ms"}
    return found, record


def test_pairs_stereo_and_fdb_layouts(tmp_path, tracks):
    user, agent, end_s = tracks
    folder = tmp_path / "recordings"
    pair = folder / "call-1"
    pair.mkdir(parents=True)
    soundfile.write(pair / "user.wav", user, 24_000)
    soundfile.write(pair / "agent.flac", agent, 24_000)
    (pair / "meta.json").write_text(json.dumps({"user_spans": [[0.5, end_s]], "text": "<b>"}))
    soundfile.write(folder / "call-2.wav", np.stack([user, agent], axis=1), 24_000)
    item = folder / "v1_0" / "candor_turn_taking" / "7"
    item.mkdir(parents=True)
    soundfile.write(item / "input.wav", user[::3], 8_000)  # any rate
    soundfile.write(item / "output.wav", agent, 24_000)
    stamp = [{"text": "[TURN-TAKING]", "timestamp": [end_s, end_s + 1]}]
    (item / "turn_taking.json").write_text(json.dumps(stamp))
    found, record = onsets(folder, tmp_path)
    assert set(found) == {"call-1", "call-2", "candor_turn_taking.7"}
    assert found["call-1"].value == pytest.approx(400, abs=20)
    assert found["candor_turn_taking.7"].value == pytest.approx(400, abs=20)
    # without a side file the end of the turn is what the VAD says, so only roughly the same
    assert found["call-2"].value == pytest.approx(400, abs=150)
    compute = next(o for o in record.observations if o.metric == "real_time_factor")
    assert compute.status is Status.UNMEASURED
    assert record.exit_code == 0


def test_what_cannot_be_read_is_an_error_with_its_reason(tmp_path, tracks):
    user, _, _ = tracks
    folder = tmp_path / "recordings"
    for name in ("garbage", "silent", "no-model-side", "bad-json"):
        (folder / "icc_backchannel" / name).mkdir(parents=True)
        soundfile.write(folder / "icc_backchannel" / name / "input.wav", user, 24_000)
        soundfile.write(folder / "icc_backchannel" / name / "output.wav", user, 24_000)
    (folder / "icc_backchannel" / "garbage" / "input.wav").write_bytes(b"RIFF" + b"x" * 50)
    silent = folder / "icc_backchannel" / "silent" / "input.wav"
    soundfile.write(silent, silence(24_000), 24_000)
    (folder / "icc_backchannel" / "no-model-side" / "output.wav").unlink()
    (folder / "icc_backchannel" / "bad-json" / "turn_taking.json").write_text('[{"timestamp": 3}]')
    _, record = onsets(folder, tmp_path)
    errors = {s.id.partition(".")[2]: s.error for s in record.scenarios}
    assert "no speech of the user" in errors["silent"]
    assert "no output.wav" in errors["no-model-side"]
    assert "expected [start, end]" in errors["bad-json"]
    assert "input.wav" in errors["garbage"]
    assert record.exit_code == 4


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(TargetError, match="not a folder"):
        RecordedTarget(path=str(tmp_path / "none"))
    with pytest.raises(TargetError, match="neither user/agent pairs"):
        onsets(tmp_path, tmp_path)
