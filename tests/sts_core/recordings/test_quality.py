"""Measures on signals whose values are worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sts_core.asr.vad import Span
from sts_core.recordings.quality import (
    LEAST_POWER,
    bleed,
    hop_powers,
    hops_inside,
    overlap_s,
    pause_power,
    power_db,
    quietest_power,
    snr_db,
)

RATE_HZ = 24_000
SECOND = RATE_HZ


def tone(amplitude: float, seconds: float = 1.0, hz: float = 500.0) -> np.ndarray:
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (amplitude * np.sin(2 * np.pi * hz * at)).astype(np.float32)


def noise(rms: float, seconds: float, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))
    return (rms * drawn).astype(np.float32)


def test_levels() -> None:
    powers = hop_powers(np.concatenate([tone(1.0), np.zeros(SECOND, np.float32)]))
    assert len(powers) == 200
    assert power_db(powers[0]) == pytest.approx(-3.0103, abs=1e-3)  # a full-scale sine
    assert power_db(powers[150]) == pytest.approx(-98.0)
    assert hop_powers(np.zeros(239, np.float32)).size == 0


def test_snr_of_a_tone_in_noise() -> None:
    # sine of amplitude 0.2: power 0.02; noise of rms 0.01: power 0.0001; 23.01 dB
    audio = noise(0.01, 3.0)
    audio[SECOND : 2 * SECOND] += tone(0.2)
    powers, speech = hop_powers(audio), [Span(1.0, 2.0)]
    floor = pause_power(powers, speech)
    assert floor == pytest.approx(1e-4, rel=0.03)
    assert floor is not None
    found = snr_db(float(powers[hops_inside(speech, 300)].mean()), floor)
    assert found == pytest.approx(23.01, abs=0.2)


@pytest.mark.parametrize(
    ("speech", "floor", "expected"),
    [
        (0.02 + 1e-4, 1e-4, 23.0103),
        (2e-4, 1e-4, 0.0),
        (1e-4, 1e-4, -20.0),  # no speech at all above the noise
        (1e-5, 1e-4, -20.0),
        (0.01, 0.0, 10 * np.log10((0.01 - LEAST_POWER) / LEAST_POWER)),  # digital silence: finite
    ],
)
def test_snr(speech: float, floor: float, expected: float) -> None:
    assert snr_db(speech, floor) == pytest.approx(expected, abs=1e-4)


def test_noise_is_not_measured_next_to_speech_nor_from_too_little() -> None:
    powers = np.zeros(100)
    powers[20:60] = 1.0  # what Silero missed of the speech: 0.1 s at both ends
    assert pause_power(powers, [Span(0.3, 0.5)]) == 0.0
    assert pause_power(powers, [Span(0.12, 0.78)]) is None  # 0.02 + 0.12 s are left
    assert pause_power(powers, []) == pytest.approx(0.4)


def test_the_quietest_twentieth() -> None:
    assert quietest_power(np.arange(1.0, 101.0)) == pytest.approx(3.0)  # of 1, 2, 3, 4, 5
    assert quietest_power(np.array([0.5])) == 0.5


def test_overlap() -> None:
    own = [Span(0.0, 1.0), Span(2.0, 3.0)]
    assert overlap_s(own, [Span(0.5, 2.25)]) == pytest.approx(0.75)
    assert overlap_s(own, [Span(1.0, 2.0)]) == 0.0
    assert overlap_s(own, own) == pytest.approx(2.0)
    assert overlap_s(own, []) == overlap_s([], own) == 0.0


SPANS = st.lists(st.floats(0, 10, allow_nan=False), min_size=2, max_size=12, unique=True).map(
    lambda at: [Span(a, b) for a, b in zip(sorted(at)[::2], sorted(at)[1::2], strict=False)]
)


@given(SPANS, SPANS)
def test_overlap_is_symmetric_and_no_longer_than_either(one: list[Span], two: list[Span]) -> None:
    both = overlap_s(one, two)
    assert both == pytest.approx(overlap_s(two, one))
    shorter = min(sum(b - a for a, b in spans) for spans in (one, two))
    assert 0.0 <= both <= shorter + 1e-9


@pytest.mark.parametrize("late", [0, 7, 1_000, -1_000])
def test_a_voice_on_the_other_channel_is_found_with_its_level(late: int) -> None:
    voice = noise(0.1, 1.0)
    leak = np.roll(voice, late) * np.float32(0.1)  # 20 dB down
    found = bleed(voice, leak)
    assert found.correlation == pytest.approx(1.0, abs=0.06)
    assert found.into_other_db == pytest.approx(-20.0, abs=0.6)
    back = bleed(leak, voice)
    assert back.into_other_db == pytest.approx(20.0, abs=0.6)


def test_bleed_under_noise_has_the_level_of_the_voice_alone() -> None:
    voice = noise(0.1, 2.0)
    mixed = 0.1 * voice + noise(0.01, 2.0, seed=1)  # leak and noise equally loud
    found = bleed(voice, mixed.astype(np.float32))
    assert found.correlation == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert found.into_other_db == pytest.approx(-20.0, abs=0.3)


def test_channels_apart() -> None:
    assert bleed(noise(0.1, 1.0), noise(0.1, 1.0, seed=1)).into_other_db is None
    assert bleed(noise(0.1, 1.0), np.zeros(SECOND, np.float32)) == (0.0, None)
    assert bleed(np.zeros(SECOND, np.float32), noise(0.1, 1.0)) == (0.0, None)
    far = np.roll(noise(0.1, 1.0), 2_400)  # 100 ms late: beyond the lags
    assert bleed(noise(0.1, 1.0), far).into_other_db is None


def test_the_same_channel_twice() -> None:
    voice = noise(0.1, 1.0)
    assert bleed(voice, voice) == pytest.approx((1.0, 0.0), abs=1e-6)
    assert bleed(voice, -voice) == pytest.approx((1.0, 0.0), abs=1e-6)  # a swapped wire
