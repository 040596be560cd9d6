"""`sts-core talk` and `skills` as a user types them, with a small model of random weights."""

import importlib.machinery
import json
import sys
import types
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


class OneSecond:
    """What `sounddevice.Stream` is to the command: a microphone for a second, then Ctrl-C."""

    def __init__(self, **options):
        assert options == {
            "samplerate": 24_000, "blocksize": FRAME_SAMPLES, "channels": 1, "dtype": "float32",
        }  # fmt: skip
        self.frames, self.played, self.closed = 12, [], False
        OneSecond.last = self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def read(self, samples):
        if len(self.played) == self.frames:
            raise KeyboardInterrupt
        return np.full((samples, 1), 0.01, np.float32), False

    def write(self, audio):
        self.played.append(audio)


def sounddevice(monkeypatch, stream):
    module = types.ModuleType("sounddevice")
    module.PortAudioError = type("PortAudioError", (Exception,), {})
    module.Stream = lambda **options: stream(module, **options)
    module.__spec__ = importlib.machinery.ModuleSpec("sounddevice", None)
    monkeypatch.setitem(sys.modules, "sounddevice", module)


def test_live_says_what_it_would_say_on_a_file_until_ctrl_c(weights, tmp_path, monkeypatch):
    sounddevice(monkeypatch, lambda module, **options: OneSecond(**options))
    done = run("talk", "--live", "--weights", weights)
    assert done.exit_code == 0, done.output
    assert OneSecond.last.closed
    assert all(audio.shape == (FRAME_SAMPLES, 1) for audio in OneSecond.last.played)
    user, out = tmp_path / "user.wav", tmp_path / "out.wav"
    soundfile.write(user, np.full(12 * FRAME_SAMPLES, 0.01), 24_000, subtype="FLOAT")
    assert run("talk", user, "--out", out, "--weights", weights, "--tail-s", 0).exit_code == 0
    # on a file, too, what is made of a frame sounds during the next one
    said = np.concatenate(OneSecond.last.played)[: 11 * FRAME_SAMPLES, 0]
    file = soundfile.read(out)[0]
    assert file.size == 12 * FRAME_SAMPLES
    np.testing.assert_allclose(file[FRAME_SAMPLES:], said, atol=2e-4)


def test_live_without_a_microphone(weights, monkeypatch):
    def no_device(module, **_):
        raise module.PortAudioError("Error querying device -1")

    sounddevice(monkeypatch, no_device)
    done = run("talk", "--live", "--weights", weights)
    assert done.exit_code == 2
    assert "no microphone or no loudspeaker: Error querying device -1" in done.output


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
