"""The frame clock: made-up vocoders are heard at their period, noise, voices and hum are not."""

import numpy as np
import pytest
import torch

from sts_eval.audio import resample
from sts_eval.audit.clock_statistics import (
    CLOCKS_MS,
    DIMENSION,
    MULTIPLES,
    ClockStatistics,
    comb,
)

SIZE = 48_000
HZ = 16_000
STATISTICS = ClockStatistics()


def clocks(audio: np.ndarray) -> np.ndarray:
    """[C] of all bands, over many multiples, in chance deviations."""
    with torch.inference_mode():
        repeats = STATISTICS.autocorrelation(torch.from_numpy(audio[None].astype(np.float32)))
        return np.array([comb(repeats, each, MULTIPLES[-1]).mean().item() for each in CLOCKS_MS])


def noise(seed: int = 0, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(size).astype(np.float32)


@pytest.mark.parametrize(
    ("rate_hz", "hop", "clock"), [(22_050, 256, 1), (24_000, 300, 2), (24_000, 256, 0)]
)
def test_a_pattern_that_returns_every_frame_is_heard(rate_hz, hop, clock):
    size = 3 * rate_hz
    frames = np.resize(noise(1, hop), size)  # the same 256 samples, frame after frame
    audio = resample(0.3 * frames + noise(2, size), rate_hz, HZ)  # 10 dB below other noise
    found = clocks(audio)
    assert found.argmax() == clock
    assert found[clock] > 5  # of 0.5 by chance
    assert np.delete(found, clock).max() < found[clock] / 2


def test_noise_has_no_clock_and_its_unit_is_chance():
    found = np.stack([clocks(noise(seed)) for seed in range(40)])
    assert np.abs(found).max() < 4
    assert 0.2 < found.std() < 1.2  # the mean of four bands: 0.5 of each


def test_a_voice_that_glides_has_no_clock():
    hz = np.linspace(78, 120, SIZE)  # periods of 12.8 to 8.3 ms, through three clocks
    pulses = np.diff(np.floor(np.cumsum(hz / HZ)), prepend=0.0)
    voice = np.convolve(pulses, np.exp(-np.arange(200) / 20), "same") + 0.02 * noise()
    assert clocks(voice).max() < 5


def test_hum_is_limited():
    hum = np.sign(np.sin(2 * np.pi * 50 * np.arange(SIZE) / HZ)).astype(np.float32)
    with_hum = clocks(noise() + 0.3 * hum)
    frames = np.resize(noise(1, 200), SIZE)
    assert with_hum.max() < clocks(noise() + 0.3 * frames).max() / 2


def test_a_comb_is_the_weighted_sum_of_the_multiples():
    repeats = torch.zeros(1, 4, 2000)
    lag = 2 * 16 * 12.5  # lags are at half a sample: 400 of them in 12.5 ms
    repeats[0, :, int(lag)] = 2.0
    repeats[0, 1, int(2 * lag)] = 3.0
    weights = 0.9, 0.81
    length = np.hypot(*weights)
    expected = np.array([2 * 0.9, 2 * 0.9 + 3 * 0.81, 2 * 0.9, 2 * 0.9]) / length
    np.testing.assert_allclose(comb(repeats, 12.5, 2)[0].numpy(), expected, rtol=1e-6)
    between = torch.zeros(1, 4, 2000)
    between[0, 0, 341] = 1.0  # 10.67 ms are 341.33 lags
    np.testing.assert_allclose(comb(between, 256 / 24, 1)[0, 0].item(), 2 / 3, rtol=1e-4)


def test_what_stands_out_is_named_by_its_strength_not_its_period():
    """Two vocoders of different clocks give the same statistics: one teaches the other."""
    found = []
    for rate_hz, hop in ((22_050, 256), (24_000, 300)):
        audio = resample(np.resize(noise(1, hop), 3 * rate_hz) + noise(2, 3 * rate_hz), rate_hz, HZ)
        with torch.inference_mode():
            found.append(STATISTICS(torch.from_numpy(audio[None]))[0].numpy())
    one, other = found
    assert one.shape == (DIMENSION,)
    np.testing.assert_allclose(one[[0, 12]], other[[0, 12]], rtol=0.2)
    assert (np.diff(one[6:10]) >= 0).all()  # the bands at the strongest, sorted
    np.testing.assert_allclose(np.sort(one[2:6]), one[6:10])


def test_gain_and_silence():
    audio = torch.from_numpy(noise()[None])
    with torch.inference_mode():
        np.testing.assert_allclose(
            STATISTICS(audio).numpy(), STATISTICS(0.01 * audio).numpy(), rtol=1e-2, atol=1e-2
        )
        assert torch.isfinite(STATISTICS(torch.zeros(1, SIZE))).all()
        assert torch.isfinite(STATISTICS(audio[:, : HZ // 2])).all()
