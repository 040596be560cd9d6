"""The channel, the copies and the training set on small real audio."""

import json

import numpy as np
import pytest

from sts_eval.audio import load_audio, resample, write_flac
from sts_eval.audit import AuditError
from sts_eval.audit.attacks import (
    FAMILIES,
    FAMILY_OF,
    VOCODER_OF,
    copy_synthesis,
    programs_of,
)
from sts_eval.audit.channel import (
    CODECS,
    RATE_HZ,
    apply_channel,
    coded,
    draw_channel,
    subband_adpcm,
)
from sts_eval.audit.clip_statistics import DIMENSION
from sts_eval.audit.detectors import KNOWN
from sts_eval.audit.training_set import SetOptions, build, load_set, sources, words
from sts_eval.audit.vocoders import check_vocoders
from sts_eval.progress import Progress


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return load_audio(sorted((KNOWN / "bonafide").glob("*.opus"))[0])


@pytest.mark.parametrize("quality", [0.0, 0.5, 1.0])  # libsndfile refuses MP3 at its last level
@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_keeps_length_and_most_of_the_speech(codec, quality):
    t = np.arange(RATE_HZ) / RATE_HZ
    tone = (0.2 * np.sin(2 * np.pi * 700 * t)).astype(np.float32)
    heard = coded(tone, codec, quality)
    assert heard.shape == tone.shape
    spectrum = np.abs(np.fft.rfft(heard))
    assert abs(int(np.argmax(spectrum)) - 700) <= 1
    with pytest.raises(ValueError, match="no codec"):
        coded(tone, "amr")


def test_subband_adpcm_is_a_coarse_g722(speech):
    narrow = resample(speech, 24_000, RATE_HZ)
    error = subband_adpcm(narrow) - narrow
    ratio_db = 10 * np.log10((narrow**2).mean() / (error**2).mean())
    assert 12 < ratio_db < 40


def test_channel_is_exact_in_length_and_repeatable(speech):
    for size in (RATE_HZ, 6 * RATE_HZ):
        clip = np.resize(speech, size)
        channel = draw_channel(np.random.default_rng(1))
        heard = apply_channel(clip, channel, 3.0)
        assert heard.shape == (3 * RATE_HZ,)
        assert np.isfinite(heard).all()
        assert np.array_equal(heard, apply_channel(clip, channel, 3.0))
    drawn = {draw_channel(np.random.default_rng(i)).codec for i in range(60)}
    assert drawn == set(CODECS)


@pytest.mark.parametrize("attack", [a for a in FAMILY_OF if a not in ("codec2", "codec5")])
def test_copies_keep_length_and_envelope(speech, attack):
    if FAMILY_OF[attack] in ("world", "lpc"):
        pytest.importorskip("pyworld", reason="extra [eval]")
    if attack in VOCODER_OF:
        try:
            check_vocoders([VOCODER_OF[attack]])
        except AuditError as missing:
            pytest.skip(str(missing))
    copy = copy_synthesis(speech, attack)
    assert copy.shape == speech.shape

    def levels(audio):
        return np.sqrt((audio[:70_000].reshape(-1, 1_400) ** 2).mean(axis=1))

    assert np.corrcoef(levels(copy), levels(speech))[0, 1] > 0.7
    assert not np.allclose(copy, speech, atol=1e-3)


def test_unknown_attack(speech):
    with pytest.raises(AuditError, match="no attack 'wrold'"):
        copy_synthesis(speech, "wrold")
    assert set(FAMILIES) == {"world", "griffin_lim", "codec", "lpc", "voice_changer"}
    assert programs_of("melgan") == ["melgan", "melgan_smooth", "melgan_slow"]
    assert programs_of("voice_changer") == ["lower", "higher"]


def test_a_voice_changer_moves_the_pitch(speech):
    pyworld = pytest.importorskip("pyworld", reason="extra [eval]")

    def hz(audio):
        pitch, _ = pyworld.dio(audio.astype(np.float64), 24_000)
        return float(np.median(pitch[pitch > 0]))

    assert hz(copy_synthesis(speech, "lower")) / hz(speech) == pytest.approx(2 ** (-3 / 12), 0.05)
    assert hz(copy_synthesis(speech, "higher")) / hz(speech) == pytest.approx(2 ** (3 / 12), 0.05)


def test_words_are_cut_at_quiet_points():
    audio = np.ones(48_000, np.float32)
    audio[10_000:10_480] = 0.01
    cut = words(audio, 0.6)
    assert np.array_equal(np.concatenate(cut), audio)
    assert 10_000 < len(cut[0]) < 10_480
    assert all(len(word) <= 0.6 * 24_000 for word in cut)
    assert words(audio, None)[0] is audio
    assert words(audio[:0], 0.6) == []


def test_blends_stay_out_and_syllables_are_joined(tmp_path, speech):
    (tmp_path / "v").mkdir()
    rows = []
    for i in range(19):
        write_flac(tmp_path / "v" / f"{i}.flac", speech[7_200 * (i % 9) :][:7_200])
        voice = "blend:a+b" if i == 18 else "v"
        rows.append(json.dumps({"path": f"{i}.flac", "voice": voice, "seconds": 0.3}))
    (tmp_path / "v" / "manifest.jsonl").write_text("\n".join(rows))
    found = list(sources(tmp_path / "v", "voice", 5, 0))
    assert {(voice, len(audio)) for voice, _, _, audio in found} == {("v", round(3.3 * 24_000))}


def test_training_set_is_made_once_and_goes_on(tmp_path, speech):
    pytest.importorskip("pyworld", reason="extra [eval]")
    for folder, field in (("people", "speaker"), ("machines", "voice")):
        (tmp_path / folder).mkdir()
        rows = []
        for i in range(2):
            write_flac(tmp_path / folder / f"{i}.flac", speech)
            row = {"path": f"{i}.flac", field: folder, "seconds": 3.0}
            rows.append(json.dumps(row | ({"engine": "espeak"} if field == "voice" else {})))
        (tmp_path / folder / "manifest.jsonl").write_text("\n".join(rows))
    folders = [tmp_path / "people"], [tmp_path / "machines"]
    options = SetOptions(per_voice=1, per_engine=1)
    with pytest.raises(AuditError, match="no complete training set"):
        load_set(tmp_path / "set")
    build(*folders, tmp_path / "set", options, Progress())
    clips, features = load_set(tmp_path / "set")
    families = [clip.family for clip in clips]
    made = ["world", "griffin_lim", "lpc", "voice_changer", "codec"]
    assert families == ["", "", *made, "espeak"]
    assert features.shape[0] == 8
    assert features.shape[1] == DIMENSION
    assert np.isfinite(features).all()
    assert len({clip.group for clip in clips[:7]}) == 1  # copies stay with their source
    with pytest.raises(AuditError, match="other settings"):
        build(*folders, tmp_path / "set", SetOptions(per_voice=2), Progress())
