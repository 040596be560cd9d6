"""Genuine voices from folders: what is left out, who becomes one speaker."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from sts_eval.audio import load_audio
from sts_eval.audit import AuditError
from sts_eval.audit.detectors import KNOWN
from sts_eval.audit.gather import Voice, gather, likeness, link, pitch_spread
from sts_eval.audit.room import Room, apply_room, draw_room, gaps_of, load_pauses
from sts_eval.cli import main
from sts_eval.progress import Progress

pytest.importorskip("pyworld", reason="extra [eval]")


class ByPitch:
    """An encoder for tests: voices in the same octave are one."""

    name, version = "by pitch", "1"

    def embed(self, audio):
        spectrum = np.abs(np.fft.rfft(audio))[: len(audio) // 40]
        hz = float(np.argmax(spectrum)) * 24_000 / len(audio)
        return np.eye(8, dtype=np.float32)[int(np.log2(max(hz, 20) / 20)) % 8]


def speech(kind, number):
    return load_audio(sorted((KNOWN / kind).glob("*.opus"))[number])


@pytest.fixture
def root(tmp_path):
    """Two people (one twice), and every kind of file that cannot be used."""
    folder = tmp_path / "game"
    parts = {"xx": speech("bonafide", 0), "yy": speech("bonafide", 1)}
    for name, audio in parts.items():
        (folder / name / "words").mkdir(parents=True)
        for k in range(3):
            part = np.roll(audio, 4_800 * k)[: 24_000 * 3]
            soundfile.write(folder / name / "words" / f"{k}.wav", part, 24_000)
    audio = parts["xx"]
    odd = folder / "xx"
    shutil.copy(odd / "words" / "0.wav", odd / "copy.wav")
    soundfile.write(odd / "silent.wav", np.zeros(24_000), 24_000)
    soundfile.write(odd / "clipped.wav", np.clip(40 * audio, -1, 1), 24_000)
    soundfile.write(odd / "narrow.wav", audio[::3], 8_000)
    soundfile.write(odd / "short.wav", audio[7_200:9_600], 24_000)
    (odd / "broken.ogg").write_bytes(b"OggS no")
    (folder / "icons").mkdir()
    (folder / "icons" / "a.png").write_bytes(b"png")
    return folder


def test_what_cannot_be_used_is_counted_by_reason(root, tmp_path):
    voices = gather({"game": root}, tmp_path / "out", ByPitch(), 2.0, Progress())
    one, other = voices
    assert [one.name, other.name] == ["game-xx", "game-yy"]
    assert (one.files, other.files) == (3, 3)
    assert not one.why
    assert not other.why
    assert one.speaker == "game-xx"
    reasons = dict(one.left_out)
    assert reasons.pop("a copy of another file") == 1
    assert reasons.pop("silent") == 1
    assert reasons.pop("clipped") == 1
    assert reasons.pop("band below 5.5 kHz") == 1
    assert reasons.pop("fewer than 0.25 s of speech") == 1
    assert list(reasons.values()) == [1]
    assert "not readable" in next(iter(reasons))
    lines = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 6
    assert {row["source"] for row in rows} == {"game"}
    for row in rows:
        audio = load_audio(tmp_path / "out" / row["path"])
        assert len(audio) / 24_000 == pytest.approx(row["seconds"], abs=0.01)
        assert np.abs(audio).max() <= 0.91
    told = json.loads((tmp_path / "out" / "voices.json").read_text())
    assert told[0]["left_out"]["silent"] == 1
    with pytest.raises(AuditError, match="holds a manifest already"):
        gather({"game": root}, tmp_path / "out", ByPitch(), 2.0, Progress())


def test_a_voice_can_be_left_out_with_a_reason(root, tmp_path):
    reasons = {"game-yy": "a machine"}
    voices = gather({"game": root}, tmp_path / "out", ByPitch(), 2.0, Progress(), reasons)
    assert [voice.why for voice in voices] == ["", "a machine"]
    rows = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    assert {json.loads(row)["voice"] for row in rows} == {"game-xx"}
    with pytest.raises(AuditError, match="no voice 'game-zz'"):
        gather({"game": root}, tmp_path / "o2", ByPitch(), 2.0, Progress(), {"game-zz": "?"})
    with pytest.raises(AuditError, match="no folders with recordings"):
        gather({"icons": root / "icons"}, tmp_path / "o3", ByPitch(), 2.0, Progress())


def test_the_names_of_files_can_tell_the_voice(root, tmp_path):
    flat = tmp_path / "stamps"
    flat.mkdir()
    for voice in ("xx", "yy"):
        for k in range(3):
            shutil.copy(root / voice / "words" / f"{k}.wav", flat / f"{k}_desc_{voice}.wav")
    shutil.copy(root / "yy" / "words" / "0.wav", flat / "moo.wav")
    by_name = {"stamps": r"_desc_(\w+)\.wav$"}
    voices = gather({"stamps": flat}, tmp_path / "out", ByPitch(), 2.0, Progress(), named=by_name)
    assert [(v.name, v.files) for v in voices] == [("stamps-xx", 3), ("stamps-yy", 3)]
    for named, message in (
        ({"other": "(x)"}, "no source 'other'"),
        ({"stamps": "x"}, "no group"),
        ({"stamps": "(x"}, "not a regular expression"),
        ({"stamps": "(q+)"}, "no recording whose name has"),
    ):
        with pytest.raises(AuditError, match=message):
            gather({"stamps": flat}, tmp_path / "o2", ByPitch(), 2.0, Progress(), named=named)


def test_chains_of_alike_voices_are_one_speaker():
    a, b, c, d = (np.array([v], np.float32) for v in ([1, 0], [0.8, 0.6], [0.28, 0.96], [-1, 0]))
    voices = [Voice(name, "s") for name in "abcd"]
    link(voices, {"a": a, "b": b, "c": c, "d": d}, 0.75)
    assert [voice.speaker for voice in voices] == ["a+b+c", "a+b+c", "a+b+c", "d"]
    assert voices[1].alike == {"a": 0.8, "c": 0.8}
    assert likeness(np.concatenate([a, d]), a) == pytest.approx(0.5)  # the upper quartile


def test_a_tone_has_no_moving_pitch():
    t = np.arange(24_000, dtype=np.float32) / 24_000
    saw = (0.3 * ((150 * t) % 1 - 0.5)).astype(np.float32)
    glide = (0.3 * ((150 * t + 60 * t**2) % 1 - 0.5)).astype(np.float32)
    assert pitch_spread([saw]) < 0.3
    assert pitch_spread([glide]) > 2
    assert pitch_spread([np.zeros(24_000, np.float32)]) is None


def test_the_command(root, tmp_path):
    arguments = ["audit", "gather-voices", f"game={root}", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "minutes" in result.output
    assert (tmp_path / "out" / "manifest.jsonl").is_file()
    result = CliRunner().invoke(main, ["audit", "gather-voices", "game", "--out", "x"])
    assert result.exit_code == 2
    assert "NAME=VALUE" in result.output


def test_rooms_are_repeatable_and_add_what_they_say(tmp_path):
    audio = speech("bonafide", 0)[: 16_000 * 3]
    rng = np.random.default_rng(3)
    pause = rng.standard_normal(8_000).astype(np.float32)
    for seed in range(12):
        room = draw_room(np.random.default_rng(seed))
        heard = apply_room(audio, room, [pause], None)
        assert heard.shape == audio.shape
        assert np.isfinite(heard).all()
        assert np.array_equal(heard, apply_room(audio, room, [pause], None))
    quiet = Room(None, 0.0, None, None, 0, False, "", 0.5, 1)
    assert np.array_equal(apply_room(audio, quiet, [], None), audio)
    gaps = np.zeros(len(audio), bool)
    gaps[:16_000] = True
    noisy = Room(None, 0.0, None, 20.0, 5, True, "", 0.5, 1)
    noise = apply_room(audio, noisy, [pause], gaps) - audio
    assert not noise[:16_000].any()
    level = np.sqrt((audio**2).mean() / (noise[16_000:] ** 2).mean())
    assert 20 * np.log10(level) == pytest.approx(20, abs=0.5)
    assert load_pauses([tmp_path]) == []


def test_gaps_are_digital_silence_between_words():
    audio = np.ones(24_000, np.float32)
    audio[1_000:3_000] = 0  # 83 ms
    audio[9_000:9_100] = 0  # too short
    found = gaps_of(audio)
    assert found.sum() == 2_000
    assert found[1_000]
    assert found[2_999]
