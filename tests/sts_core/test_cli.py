"""`sts-core` as a user types it: real work on small inputs; mistakes end in exit code 2."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from click.testing import CliRunner, Result

from sts_core.checkpoint import load_weights, save_weights
from sts_core.cli import main
from sts_core.data.cache import SpeechCache
from sts_core.hf import import_transformers


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def fails(result: Result, message: str) -> None:
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny EnCodec with random weights, as `--codec` takes it."""
    if find_spec("transformers") is None:
        pytest.skip("extra [hf] is not installed")
    transformers = import_transformers("test")
    torch.manual_seed(0)
    model = transformers.EncodecModel(
        transformers.EncodecConfig(
            num_filters=4, hidden_size=16, codebook_dim=16, codebook_size=64, num_lstm_layers=1
        )
    )
    for layer in model.quantizer.layers:
        torch.nn.init.normal_(layer.codebook.embed)
    folder = tmp_path_factory.mktemp("encodec")
    model.save_pretrained(folder)
    return f"hf:{folder}"


@pytest.fixture
def wav(speech_cache: SpeechCache, tmp_path: Path) -> Path:
    path = tmp_path / "speech.wav"
    soundfile.write(path, speech_cache.audio(0), 24_000)
    return path


def test_encode_and_decode(codec: str, wav: Path, tmp_path: Path) -> None:
    tokens, out, coarse = (tmp_path / name for name in ("t.npz", "out.wav", "coarse.wav"))
    encoded = run("encode", wav, tokens, "--codec", codec)
    assert encoded.exit_code == 0, encoded.output
    assert "codebooks x" in encoded.output
    assert run("decode", tokens, out, "--codec", codec).exit_code == 0
    assert run("decode", tokens, coarse, "--codebooks", 1, "--codec", codec).exit_code == 0
    samples = soundfile.info(wav).frames
    assert soundfile.info(out).frames == soundfile.info(coarse).frames == samples
    assert not np.array_equal(soundfile.read(out)[0], soundfile.read(coarse)[0])
    fails(run("decode", tokens, out, "--codebooks", 99, "--codec", codec), "99 codebooks asked for")
    fails(run("decode", tokens, out, "--codebooks", 0, "--codec", codec), "--codebooks")


@pytest.mark.parametrize(
    ("samples", "rate_hz", "message"),
    [
        (np.zeros((2_400, 2)), 24_000, "2 channels"),
        (np.zeros(2_400), 16_000, "16000 Hz"),
        (np.zeros(0), 24_000, "no audio"),
        (np.full(2_400, np.nan), 24_000, "not finite"),
    ],
)
def test_unfit_recordings(
    codec: str, tmp_path: Path, samples: np.ndarray, rate_hz: int, message: str
) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, samples, rate_hz, subtype="FLOAT")
    fails(run("encode", path, tmp_path / "t.npz", "--codec", codec), message)
    assert not (tmp_path / "t.npz").exists()


def test_files_that_are_not_what_they_should_be(codec: str, wav: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    fails(run("decode", wav, out, "--codec", codec), "not a token file")
    fails(run("encode", tmp_path / "none.wav", out, "--codec", codec), "does not exist")
    fails(run("encode", wav, out, "--codec", "opus"), "unknown codec 'opus'")
    fails(run("encode", wav, out, "--codec", f"hf:{tmp_path}"), "no config.json")
    np.savez(tmp_path / "object.npz", codes=np.array([{}], dtype=object))
    fails(run("decode", tmp_path / "object.npz", out, "--codec", codec), "not a token file")
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("codes.npy", bytes(300 << 20))
    fails(run("decode", tmp_path / "bomb.npz", out, "--codec", codec), "unpacks to 300 MB")


def test_synth_cache_and_train_hang_together(tmp_path: Path) -> None:
    """The whole way of a user: make a corpus, cache it, train, go on."""
    corpus, cache = tmp_path / "corpus", tmp_path / "cache"
    made = run("synth", "--out", corpus, "--hours", 8 / 3600, "--seed", 2)
    assert made.exit_code == 0, made.output
    count = len((corpus / "manifest.jsonl").read_text().splitlines())
    assert f"{count} utterances" in made.output
    assert run("cache", cache, corpus, "--teacher", "none").exit_code == 0
    assert not SpeechCache.open(cache).has_teacher().any()
    filled = run("cache", cache)
    assert f"features of {count} utterances computed" in filled.output
    assert SpeechCache.open(cache).has_teacher().all()

    config = tmp_path / "c.yaml"
    student = {"dims": [8, 8, 8], "depths": [1, 1, 1], "clusters": 8, "text_dim": 8}
    values = {"cache": str(cache), "run": str(tmp_path / "run"), "masked_steps": 1,
              "align_steps": 1, "batch_size": 4, "student": student}  # fmt: skip
    config.write_text(yaml.safe_dump(values))
    trained = run("train", "semantic", "--config", config)
    assert trained.exit_code == 0, trained.output
    assert (tmp_path / "run" / "student.safetensors").is_file()
    fails(run("train", "semantic", "--config", config), "--resume")
    assert run("train", "semantic", "--config", config, "--resume").exit_code == 0


def test_mistakes_in_training_are_named(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("sede: 3\n")
    fails(run("train", "semantic", "--config", config), "c.yaml:1: unknown key 'sede'")
    config.write_text(f"cache: {tmp_path / 'nowhere'}\nrun: {tmp_path / 'run'}\n")
    fails(run("train", "semantic", "--config", config), "no speech cache here")
    fails(run("train", "vocoder"), "'vocoder' is not one of")


def test_average_of_two_files(tmp_path: Path) -> None:
    one, other, out = (tmp_path / f"{name}.safetensors" for name in ("one", "other", "out"))
    save_weights(one, {"a": torch.tensor([1.0])}, "toy", {})
    save_weights(other, {"a": torch.tensor([3.0])}, "toy", {})
    assert run("average", one, other, out, "--share", "0.25").exit_code == 0
    assert load_weights(out, "toy")[0]["a"].item() == 2.5
    save_weights(other, {"a": torch.tensor([3.0])}, "codec", {})
    fails(run("average", one, other, out), "holds 'codec', expected 'toy'")


def test_mistakes_in_corpora_are_named(tmp_path: Path) -> None:
    fails(run("cache", tmp_path / "c", tmp_path), "no manifest.jsonl")
    (tmp_path / "manifest.jsonl").write_text(json.dumps({"path": "gone.wav"}) + "\n")
    fails(run("cache", tmp_path / "c", tmp_path, "--exclude", "ann"), "expected FIELD=VALUE")
    nothing = run("cache", tmp_path / "c", tmp_path, "--teacher", "none")
    assert "left out:" in nothing.output
    fails(run("cache", tmp_path / "c", "--teacher", "whisper"), "unknown teacher 'whisper'")
    fails(run("synth", "--out", tmp_path, "--hours", 0), "--hours")
    fails(run("synth", "--out", tmp_path / "k", "--kokoro-voices", tmp_path), "sts-eval[synth]")
    fails(run("synth", "--out", tmp_path / "k", "--users-say", "song"), "users say no 'song'")
    both = ("--conversation", "--users-say", "fact")
    fails(run("synth", "--out", tmp_path / "k", *both), "--users-say draws lines")


def test_info_lists_what_is_shipped() -> None:
    listed = run("info")
    assert listed.exit_code == 0, listed.output
    assert "sts-core semantic student" in listed.output
    assert "card:" in listed.output
    assert "Apache-2.0" in run("info", "--card").output


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from sts_core.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "heavy = {'torch', 'numpy', 'onnxruntime', 'scipy', 'transformers', 'soundfile'}\n"
        "sys.exit(', '.join(sorted(heavy & sys.modules.keys())) or 0)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == ""
    assert done.returncode == 0
