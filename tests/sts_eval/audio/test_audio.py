"""Audio in and out: every refusal says why, and what is written comes back."""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sts_eval import audio
from sts_eval.audio import AudioError


def tone(rate_hz: int, seconds: float = 0.5, hz: float = 440.0, gain: float = 0.5) -> np.ndarray:
    t = np.arange(round(rate_hz * seconds)) / rate_hz
    return (gain * np.sin(2 * np.pi * hz * t)).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 24000, 44100, 48000])
@pytest.mark.parametrize("container", ["wav", "flac", "ogg"])
def test_any_rate_becomes_24_khz_with_pitch_and_level_kept(
    tmp_path: Path, rate_hz: int, container: str
) -> None:
    file = tmp_path / f"tone.{container}"
    soundfile.write(file, tone(rate_hz), rate_hz)
    loaded = audio.load_audio(file)
    assert loaded.dtype == np.float32
    assert abs(len(loaded) - 12_000) <= 1
    spectrum = np.abs(np.fft.rfft(loaded * np.hanning(len(loaded))))
    assert np.argmax(spectrum) * 24_000 / len(loaded) == pytest.approx(440, abs=2.5)
    assert audio.rms_dbfs(loaded[2000:-2000]) == pytest.approx(-9.03, abs=0.3)


def test_opus_is_read(tmp_path: Path) -> None:
    file = tmp_path / "tone.opus"
    soundfile.write(file, tone(48_000), 48_000, format="OGG", subtype="OPUS")
    assert abs(len(audio.load_audio(file)) - 12_000) <= 48


def test_channels_are_averaged_or_chosen(tmp_path: Path) -> None:
    file = tmp_path / "two.wav"
    data = np.stack([np.full(2400, 0.5), np.full(2400, -0.25)], axis=1)
    soundfile.write(file, data, 24_000, subtype="FLOAT")
    assert audio.load_audio(file) == pytest.approx(0.125)
    assert audio.load_audio(file, channel=1) == pytest.approx(-0.25)
    with pytest.raises(AudioError, match="no channel 2, the file has 2"):
        audio.load_audio(file, channel=2)


def wav_header(channels: int, rate_hz: int, data: bytes) -> bytes:
    fmt = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * channels * 2, channels * 2, 16)
    chunks = b"fmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.wav", b"", r"empty \(0 bytes\)"),
        ("noise.wav", bytes(range(256)) * 8, "not readable as audio"),
        ("text.flac", b"this is not audio" * 40, "not readable as audio"),
        ("no_channels.wav", wav_header(0, 24_000, bytes(400)), "not readable|channels"),
        ("no_samples.wav", wav_header(1, 24_000, b""), "holds no samples"),
        ("slow.wav", wav_header(1, 10, bytes(400)), "sample rate 10 Hz"),
        ("fast.wav", wav_header(1, 900_000, bytes(400)), "sample rate 900000 Hz"),
        ("many.wav", wav_header(200, 24_000, bytes(40_000)), "200 channels"),
    ],
)
def test_bad_files_are_refused_with_the_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(AudioError, match=reason) as caught:
        audio.load_audio(file)
    assert name in str(caught.value)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_non_finite_samples_are_refused(tmp_path: Path, bad: float) -> None:
    samples = np.zeros(2400, np.float32)
    samples[1000] = bad
    file = tmp_path / "bad.wav"
    soundfile.write(file, samples, 24_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="1 samples are NaN or infinite"):
        audio.load_audio(file)
    with pytest.raises(AudioError, match="agent track: 1 samples"):
        audio.write_flac_stereo(tmp_path / "t.flac", np.zeros(2400, np.float32), samples)
    assert not (tmp_path / "t.flac").exists()


def test_large_finite_values_are_not_taken_for_infinite() -> None:
    audio.check_finite(np.full(4, np.finfo(np.float32).max), "loud")


def test_a_long_file_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    file = tmp_path / "long.flac"
    soundfile.write(file, np.zeros(24_000 * 11), 24_000)
    with pytest.raises(AudioError, match=r"11\.0 s long, longer than 10 s"):
        audio.load_audio(file, max_seconds=10)


def test_missing_files_folders_and_pipes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="No such file"):
        audio.load_audio(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="not a regular file"):
        audio.load_audio(tmp_path)
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="not a regular file"):
        audio.load_audio(tmp_path / "pipe.wav")


def test_a_flac_cut_short_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cut.flac"
    audio.write_flac(file, tone(24_000, 20.0))
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(AudioError, match=r"cut\.flac"):
        audio.load_audio(file)


@settings(max_examples=20, deadline=None)
@given(samples=st.integers(0, 5000), seed=st.integers(0, 2**32 - 1))
def test_a_trace_comes_back_to_16_bits(
    tmp_path_factory: pytest.TempPathFactory, samples: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    user, agent = rng.uniform(-1, 1, (2, samples + 1)).astype(np.float32)
    file = tmp_path_factory.mktemp("trace") / "t.flac"
    audio.write_flac_stereo(file, user, agent)
    left, right = audio.read_stereo(file)
    assert np.max(np.abs(left - user)) <= 2 / 32768
    assert np.max(np.abs(right - agent)) <= 2 / 32768
    assert [p.name for p in file.parent.iterdir()] == ["t.flac"]


def test_loud_samples_are_clipped_not_wrapped(tmp_path: Path) -> None:
    loud = np.array([1.5, -1.5, 0.0], np.float32)
    audio.write_flac_stereo(tmp_path / "t.flac", loud, loud)
    left, _ = audio.read_stereo(tmp_path / "t.flac")
    assert left == pytest.approx([1.0, -1.0, 0.0], abs=1e-4)


def test_unequal_tracks_and_mono_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="unequal"):
        audio.write_flac_stereo(tmp_path / "t.flac", np.zeros(3, np.float32), np.zeros(4, "f4"))
    audio.write_flac(tmp_path / "mono.flac", np.zeros(100, np.float32))
    with pytest.raises(AudioError, match="needs 2 channels, has 1"):
        audio.read_stereo(tmp_path / "mono.flac")


def test_hash_depends_on_every_sample_and_not_on_layout() -> None:
    x = tone(24_000)
    y = x.copy()
    y[17] += 1e-4
    assert audio.audio_hash(x) == audio.audio_hash(np.repeat(x, 2)[::2])
    assert audio.audio_hash(x) != audio.audio_hash(y)


def test_levels() -> None:
    sine = tone(24_000, 1.0, gain=1.0)
    assert audio.rms_dbfs(sine) == pytest.approx(-3.01, abs=0.01)
    assert audio.rms_dbfs(np.zeros(100, np.float32)) == audio.SILENCE_DBFS
    assert audio.rms_dbfs(np.zeros(0, np.float32)) == audio.SILENCE_DBFS
    padded = np.concatenate([np.zeros(48_000, np.float32), sine, np.zeros(24_000, np.float32)])
    assert audio.active_level_dbfs(padded) == pytest.approx(-3.01, abs=0.05)
    assert audio.rms_dbfs(padded) == pytest.approx(-9.03, abs=0.05)


def test_resampling_keeps_the_passband_and_rejects_silly_rates() -> None:
    x = tone(24_000, 1.0)
    back = audio.resample(audio.resample(x, 24_000, 16_000), 16_000, 24_000)
    assert back[2400:-2400] == pytest.approx(x[2400:-2400], abs=1e-3)
    with pytest.raises(ValueError, match="positive"):
        audio.resample(x, 0, 24_000)
