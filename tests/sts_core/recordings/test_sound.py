"""Reading untrusted recordings: exact where nothing is resampled, and refused with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sts_core.recordings import sound
from sts_core.recordings.sound import RecordingError, clipped_samples, read_recording


def flags(*samples: float) -> list[int]:
    values = np.array(samples, np.float32)
    return np.flatnonzero(clipped_samples(values, float(np.abs(values).max()))).tolist()


def test_clipping_by_hand() -> None:
    assert flags(0.0, 1.0, 0.5, -1.0, 0.0) == []  # single samples may touch full scale
    assert flags(0.0, 1.0, 1.0, 0.5, -1.0, -1.0) == [1, 2, 4, 5]
    assert flags(0.1, 0.6, 0.6, 0.6, 0.6, 0.1) == [1, 2, 3, 4]  # turned down after clipping
    assert flags(0.1, 0.6, 0.6, 0.6, 0.1) == []  # three equal samples may happen
    assert flags(0.9, 0.3, 0.3, 0.3, 0.3, 0.3) == []  # equal, but far from the peak
    assert flags(0.05, 0.05, 0.05, 0.05) == []  # no peak: nearly silence
    assert flags(0.0, 0.0, 0.0, 0.0, 0.0) == []


def test_a_sine_cut_at_half_its_height() -> None:
    # |sin| > 1/2 in two thirds of the time
    wave = np.sin(2 * np.pi * np.arange(24_000) / 240).astype(np.float32)
    cut = np.clip(wave, -0.5, 0.5)
    assert clipped_samples(cut, 0.5).mean() == pytest.approx(2 / 3, abs=0.01)
    assert clipped_samples(wave * np.float32(0.9), 0.9).sum() == 0


def test_clipped_samples_are_counted_where_they_are(tmp_path: Path) -> None:
    samples = np.zeros((48_000, 2))
    samples[24_000:24_010, 1] = 1.0  # at 0.5 s, in the second channel
    soundfile.write(tmp_path / "x.wav", samples, 48_000, subtype="PCM_16")
    read = read_recording(tmp_path / "x.wav", longest_s=10)
    assert read.clipped[0].sum() == 0
    assert np.flatnonzero(read.clipped[1]).tolist() == [50]
    assert read.clipped[1][50] == 10
    assert [c.size for c in read.channels] == [24_000, 24_000]
    assert (read.rate_hz, read.seconds) == (48_000, 1.0)


def test_what_needs_no_resampling_is_exact_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound, "BLOCK_SAMPLES", 1_000)
    samples = np.random.default_rng(0).integers(-9_000, 9_000, (4_321, 2)).astype(np.int16)
    soundfile.write(tmp_path / "x.flac", samples, 24_000)
    read = read_recording(tmp_path / "x.flac", longest_s=10)
    for column, channel in zip(samples.T, read.channels, strict=True):
        np.testing.assert_array_equal(channel, column / np.float32(32768))


def test_a_tone_keeps_its_place_at_another_rate(tmp_path: Path) -> None:
    at = np.arange(44_100) / 44_100
    soundfile.write(tmp_path / "x.wav", 0.5 * np.sin(2 * np.pi * 440 * at), 44_100)
    (read,) = read_recording(tmp_path / "x.wav", longest_s=10).channels
    wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(read.size) / 24_000)
    assert abs(read.size - 24_000) <= 1
    np.testing.assert_allclose(read[500:-500], wanted[500:-500], atol=2e-3)


def write(tmp_path: Path, samples: np.ndarray, rate_hz: int = 24_000) -> Path:
    soundfile.write(tmp_path / "x.wav", samples, rate_hz, subtype="FLOAT")
    return tmp_path / "x.wav"


@pytest.mark.parametrize(
    ("samples", "rate_hz", "message"),
    [
        (np.zeros((100, 3)), 24_000, "3 channels"),
        (np.zeros(100), 2_000, "2000 Hz"),
        (np.zeros(0), 24_000, "no samples"),
        (np.array([0.0, np.nan]), 24_000, "not finite"),
        (np.array([[0.0, np.inf]] * 3), 24_000, "not finite"),
        (np.zeros(72_001), 24_000, "longer than 3 s"),
    ],
)
def test_unfit_recordings(tmp_path: Path, samples: np.ndarray, rate_hz: int, message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        read_recording(write(tmp_path, samples, rate_hz), longest_s=3)


def test_unreadable_recordings(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    with pytest.raises(RecordingError, match="No such file"):
        read_recording(path, longest_s=3)
    path.write_bytes(b"")
    with pytest.raises(RecordingError, match="empty"):
        read_recording(path, longest_s=3)
    path.write_bytes(b"RIFF" + bytes(100))
    with pytest.raises(RecordingError, match="cannot be read as audio") as error:
        read_recording(path, longest_s=3)
    assert str(tmp_path) not in str(error.value)
    with pytest.raises(RecordingError, match="not a regular file"):
        read_recording(tmp_path, longest_s=3)


def test_a_flac_that_ends_early(tmp_path: Path) -> None:
    path = tmp_path / "x.flac"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 48_000)
    soundfile.write(path, noise, 24_000)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(RecordingError, match="cannot be read as audio"):
        read_recording(path, longest_s=3)


def test_a_file_that_is_too_large_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound, "MAX_FILE_BYTES", 100)
    with pytest.raises(RecordingError, match="larger than"):
        read_recording(write(tmp_path, np.zeros(1_000)), longest_s=3)
