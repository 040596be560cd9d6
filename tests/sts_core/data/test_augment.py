"""Augmentation: each effect does what it says, and targets stay aligned with the sound."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sts_core.data.augment import AugmentConfig, augment

OFF = dict.fromkeys(("rate", "gain", "band", "room", "second", "noise", "silence"), 0.0)


def speechlike(seconds: float = 2.0) -> NDArray[np.float32]:
    time_s = np.arange(round(24_000 * seconds)) / 24_000
    tone = sum(np.sin(2 * np.pi * f * time_s) for f in (220.0, 1_000.0, 6_000.0, 11_000.0))
    return (0.08 * tone).astype(np.float32)


def only(name: str) -> AugmentConfig:
    return AugmentConfig(**(OFF | {name: 1.0}))


def band_power(audio: NDArray[np.float32], low_hz: float, high_hz: float) -> float:
    power = np.square(np.abs(np.fft.rfft(audio)))
    hz = np.fft.rfftfreq(audio.size, 1 / 24_000)
    return float(power[(hz >= low_hz) & (hz < high_hz)].sum() / audio.size)


def test_nothing_changes_when_all_is_off() -> None:
    audio = speechlike()
    heard = augment(audio, np.random.default_rng(0), AugmentConfig(**OFF))
    np.testing.assert_array_equal(heard.audio, audio)
    assert heard.source_frames().tolist() == list(range(25))


def test_the_same_seed_gives_the_same_sound() -> None:
    audio, config = speechlike(), AugmentConfig(**dict.fromkeys(OFF, 1.0))
    first, second, third = (
        augment(audio, np.random.default_rng(seed), config, audio[::-1]).audio for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, second)
    assert first.shape != third.shape or not np.allclose(first, third)


@pytest.mark.parametrize("name", sorted(OFF))
def test_each_effect_alone_is_finite_and_bounded(name: str) -> None:
    for seed in range(5):
        heard = augment(speechlike(), np.random.default_rng(seed), only(name), speechlike(1.0))
        assert heard.audio.dtype == np.float32
        assert np.isfinite(heard.audio).all()
        assert np.abs(heard.audio).max() <= 1.0
        assert heard.audio.shape != speechlike().shape or not np.array_equal(
            heard.audio, speechlike()
        )


def test_rate_moves_tempo_and_pitch_together() -> None:
    heard = augment(speechlike(), np.random.default_rng(1), only("rate"))
    assert heard.audio.size == pytest.approx(48_000 / heard.rate, abs=2)
    spectrum = np.abs(np.fft.rfft(heard.audio))
    hz = np.fft.rfftfreq(heard.audio.size, 1 / 24_000)
    low = hz < 500
    assert hz[low][spectrum[low].argmax()] == pytest.approx(220 * heard.rate, abs=2)


def test_band_limits_cut_the_top() -> None:
    cut = 0
    for seed in range(8):
        heard = augment(speechlike(), np.random.default_rng(seed), only("band")).audio
        cut += band_power(heard, 10_500, 11_500) < 0.1 * band_power(speechlike(), 10_500, 11_500)
        kept = band_power(heard, 900, 1_100) / band_power(speechlike(), 900, 1_100)
        assert kept == pytest.approx(1.0, abs=0.1)
    assert cut == 8


def test_source_frames_follow_silence_and_rate() -> None:
    config = AugmentConfig(**(OFF | {"rate": 1.0, "silence": 1.0}))
    for seed in range(20):
        heard = augment(speechlike(), np.random.default_rng(seed), config)
        frames = heard.source_frames()
        speech = frames[frames >= 0]
        assert (np.diff(speech) >= 0).all()
        assert speech[0] <= 1
        assert speech[-1] >= 23
        assert speech.max() < 25
        lead_frames = int((frames >= 0).argmax())
        assert lead_frames == pytest.approx(heard.lead_samples / 1_920, abs=1)
        # where the map says silence, there is silence
        assert np.abs(heard.audio[: lead_frames * 1_920 - 1_920].sum()) == 0 or lead_frames == 0
