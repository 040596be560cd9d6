"""`sts-core talk` and `skills` as a user types them, with a small model of random weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from sts_core import cli_talk
from sts_core.cli import main
from sts_core.lm.config import LMConfig
from sts_core.lm.model import DuplexLM
from sts_core.lm.text import TextTokenizer
from sts_core.lm.weights import save_lm
from sts_core.units import FRAME_SAMPLES


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(4)
    config = LMConfig(
        dim=32, layers=2, heads=2, window_frames=12, words_after_layers=1,
        text_vocabulary=TextTokenizer.load().vocabulary, depth_dim=16, depth_layers=1,
        depth_heads=1, code_dim=16,
    )  # fmt: skip
    return save_lm(tmp_path_factory.mktemp("lm") / "lm.safetensors", DuplexLM(config))


@pytest.fixture
def question(tmp_path, rng):
    file = tmp_path / "question.wav"
    soundfile.write(file, rng.normal(0, 0.05, 5 * FRAME_SAMPLES + 7).astype(np.float32), 24_000)
    return file


def test_the_agents_channel_has_the_users_length_and_a_tail(weights, question, tmp_path):
    out = tmp_path / "agent.wav"
    talk = ("talk", question, "--weights", weights, "--tail-s", 1, "--json")
    done = run(*talk, "--out", out)
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    audio, rate = soundfile.read(out)
    assert rate == 24_000
    assert 6 * FRAME_SAMPLES <= audio.size <= (6 + 13) * FRAME_SAMPLES
    assert told["seconds"] == pytest.approx(audio.size / rate, abs=1e-3)
    assert told["said"] == " ".join("".join(each["text"] for each in told["text"]).split())
    assert not audio[:FRAME_SAMPLES].any()  # nothing can be said before anything was heard
    again = tmp_path / "again.wav"
    assert run(*talk, "--out", again).exit_code == 0
    np.testing.assert_array_equal(audio, soundfile.read(again)[0])


def test_a_seed_matters_once_something_is_drawn(weights, question, tmp_path):
    heard = []
    for seed in (1, 2):
        out = tmp_path / f"{seed}.wav"
        told = ("--weights", weights, "--tail-s", 0, "--temperature", 1, "--seed", seed)
        assert run("talk", question, "--out", out, *told).exit_code == 0
        heard.append(soundfile.read(out)[0])
    assert not np.array_equal(*heard)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--live", "--out", "x.wav"], "give IN.wav and --out OUT.wav, or --live"),
        ([], "give IN.wav and --out OUT.wav, or --live"),
        (["missing.wav", "--out", "x.wav"], "does not exist"),
    ],
)
def test_what_talk_cannot_do(arguments, message):
    done = run("talk", *arguments)
    assert done.exit_code == 2
    assert message in done.output


def test_a_voice_that_is_not_there(weights, question, tmp_path):
    out = tmp_path / "x.wav"
    done = run("talk", question, "--out", out, "--weights", weights, "--voice", "nobody")
    assert done.exit_code == 2
    assert "no voice 'nobody'; there are" in done.output
    assert not out.exists()


def test_weights_that_are_none(question, tmp_path):
    file = tmp_path / "lm.safetensors"
    file.write_bytes(b"nonsense")
    done = run("talk", question, "--out", tmp_path / "x.wav", "--weights", file)
    assert done.exit_code == 2
    assert "Traceback" not in done.output


def test_skills_prints_the_lines_of_a_skill(weights):
    stimuli = Path(cli_talk.__file__).parents[1] / "sts_eval" / "stimuli"
    arguments = ("--stimuli", stimuli, "--skill", "quiet", "--limit", 1, "--weights", weights)
    done = run("skills", *arguments, "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.output[done.output.index("[") :])
    measured = {row["measure"]: row for row in rows if row["value"] is not None}
    assert set(measured) == {"false_starts"}
    assert measured["false_starts"]["n"] == 1
