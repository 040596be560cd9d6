"""Pitch statistics: on signals whose periods, levels and noise are known."""

import numpy as np
import pytest
import torch

from sts_eval.audit import AuditError
from sts_eval.audit.pitch_statistics import BANDS_HZ, DIMENSION, GROUPS, PitchStatistics
from sts_eval.audit.pitch_track import Track, track

RATE_HZ = 16_000
SAMPLES = 32_000
PERIOD = 100  # samples: 160 Hz


def voice(jitter: float = 0.0, shimmer_db: float = 0.0, period: float = PERIOD) -> np.ndarray:
    """Pulses through two formants; periods and levels drawn around the mean with these spreads."""
    rng = np.random.default_rng(3)
    lengths = period * (1 + jitter * rng.normal(size=SAMPLES // 30))
    at = np.cumsum(lengths)
    at = at[at < SAMPLES - 1]
    level = 10 ** (shimmer_db * rng.normal(size=len(at)) / 20)
    pulses = np.zeros(SAMPLES)
    whole, part = at.astype(int), at % 1
    np.add.at(pulses, whole, level * (1 - part))
    np.add.at(pulses, whole + 1, level * part)
    time = np.arange(400) / RATE_HZ
    formants = ((700, 1.0), (1_500, 0.6), (2_700, 0.4), (4_500, 0.3))
    response = sum(a * np.exp(-400 * time) * np.sin(2 * np.pi * hz * time) for hz, a in formants)
    return np.convolve(pulses, response)[:SAMPLES].astype(np.float32)


def pitch_statistics(audio: np.ndarray) -> np.ndarray:
    """[211] of one clip."""
    return PitchStatistics()(torch.from_numpy(audio)[None])[0].numpy()


def group(audio: np.ndarray, name: str) -> np.ndarray:
    found = pitch_statistics(audio)
    assert np.isfinite(found).all()
    return found[GROUPS[name]]


def tracked(audio: np.ndarray) -> Track:
    clip = torch.from_numpy(0.05 * audio / np.sqrt(np.mean(audio**2))).float()
    return track(torch.fft.rfft(clip), len(clip), len(clip))


def noisy(audio: np.ndarray, snr_db: float) -> np.ndarray:
    noise = np.random.default_rng(5).normal(size=len(audio))
    scale = np.sqrt(np.mean(audio**2) / np.mean(noise**2)) * 10 ** (-snr_db / 20)
    return (audio + scale * noise).astype(np.float32)


def test_the_groups_fill_the_vector():
    assert DIMENSION == 211
    ends = [part.stop for part in GROUPS.values()]
    assert [part.start for part in GROUPS.values()] == [0, *ends[:-1]]
    assert ends[-1] == DIMENSION
    found = pitch_statistics(voice())
    assert found.shape == (DIMENSION,)
    assert found.dtype == np.float32


def test_a_batch_is_its_clips():
    clips = np.stack([voice(), voice(jitter=0.01), np.zeros(SAMPLES, np.float32)])
    together = PitchStatistics()(torch.from_numpy(clips)).numpy()
    for row, clip in zip(together, clips, strict=True):
        np.testing.assert_array_equal(row, pitch_statistics(clip))


@pytest.mark.parametrize("period", [40.0, 100.0, 163.3, 215.0])
def test_the_tracker_finds_the_period_to_a_fraction_of_a_sample(period):
    found = tracked(voice(period=period))
    assert found.voiced.float().mean() > 0.95
    error = (found.period[found.voiced] - period).abs()
    assert error.max() < 1.0
    assert error.median() < 0.2
    assert found.centre[:3].tolist() == [320, 480, 640]  # 20 ms, then every 10 ms


def test_the_tracker_does_not_leap_by_an_octave_for_some_frames():
    # Every second pulse is weaker, for 60 ms more than just: then the double period repeats better.
    audio = voice()
    weak = np.ones(SAMPLES, np.float32)
    for start in range(16_000, 16_960, 2 * PERIOD):
        weak[start : start + PERIOD] = 0.7
    found = tracked(audio * weak)
    octaves = (found.period[found.voiced] / PERIOD).log2().abs()
    assert octaves.max() < 0.1


def test_the_tracker_calls_noise_and_silence_unvoiced():
    noise = np.random.default_rng(1).normal(size=SAMPLES)
    assert tracked(noise).voiced.float().mean() < 0.05
    half = np.concatenate([voice()[: SAMPLES // 2], 1e-4 * noise[: SAMPLES // 2]])
    voiced = tracked(half).voiced.numpy()
    middle = len(voiced) // 2
    assert voiced[5 : middle - 5].all()
    assert not voiced[middle + 5 :].any()


def test_an_exact_period_has_no_jitter_and_an_uneven_one_has():
    # logarithms of the change of the period, 1e-4 added
    change = {share: np.exp(group(voice(jitter=share), "jitter")[5]) for share in (0, 0.01, 0.03)}
    assert change[0] < 2e-4
    assert change[0.01] > 5 * change[0]
    assert change[0.03] > 1.3 * change[0.01]


def test_an_even_level_has_no_shimmer_and_an_uneven_one_has():
    # logarithms of the difference of neighbouring periods in dB, 1e-2 added
    median = {db: np.exp(group(voice(shimmer_db=db), "shimmer")[3]) for db in (0, 0.5, 2)}
    assert median[0] < 0.02
    assert 0.1 < median[0.5] < 1
    assert 0.5 < median[2] < 4


def test_noise_lowers_periodicity_by_as_much_as_it_is_loud():
    # r of two noisy copies of one signal is S / (S + N)
    for snr_db in (20, 10):
        share = 1 / (1 + 10 ** (-snr_db / 10))
        r = np.tanh(group(noisy(voice(), snr_db), "periodicity")[3])
        assert r == pytest.approx(share, abs=0.25 * (1 - share))
    assert np.tanh(group(voice(), "periodicity")[3]) > 0.999


def test_noise_lowers_harmonics_and_cepstral_peak():
    clean, dirty = voice(), noisy(voice(), 10)
    assert (group(dirty, "noise")[:12] < group(clean, "noise")[:12]).all()
    assert group(dirty, "cepstrum")[0] < group(clean, "cepstrum")[0]


def test_phases_are_steady_in_a_steady_voice_and_not_where_they_are_drawn_anew():
    assert group(voice(), "phases")[:21].min() > 0.9  # lengths of means of unit vectors
    rng = np.random.default_rng(7)
    time = np.arange(SAMPLES) / RATE_HZ
    knots = np.linspace(0, SAMPLES / RATE_HZ, 41)  # every 50 ms
    drifts = [np.interp(time, knots, np.cumsum(rng.normal(0, 2, len(knots)))) for _ in range(30)]
    drifting = sum(np.sin(2 * np.pi * 160 * k * time + d) for k, d in enumerate(drifts, 1))
    assert group(drifting, "phases")[:11].mean() < 0.6


@pytest.mark.parametrize("band", range(4))
def test_pulses_are_sharper_than_the_same_harmonics_spread_out(band):
    time = np.arange(SAMPLES) / RATE_HZ
    low, high = BANDS_HZ[band]
    count = round((high - low) / 160)

    def pulses(bend: float) -> np.ndarray:
        """Phases bend k^2; pi / K puts K harmonics evenly over a period (Schroeder, 1970)."""
        waves = (np.cos(2 * np.pi * 160 * k * time + bend * k * k) for k in range(1, 44))
        return group(sum(waves), "pulses")[10 * band : 10 * band + 10]

    together, spread_out = pulses(0.0), pulses(np.pi / count)
    assert together[0] > spread_out[0] + 0.2  # log of peak over mean
    assert together[5] > spread_out[5] + 0.2  # share of the energy at one place


@pytest.mark.parametrize("gain", [0.01, 20.0])
def test_gain_changes_nothing(gain):
    audio = noisy(voice(jitter=0.01), 20).astype(np.float64)
    np.testing.assert_allclose(
        pitch_statistics(gain * audio), pitch_statistics(audio), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros(SAMPLES, np.float32),
        np.random.default_rng(0).normal(0, 0.1, SAMPLES).astype(np.float32),
        np.concatenate([voice()[:1_200], np.zeros(SAMPLES, np.float32)]),
    ],
    ids=["silent", "noise", "75 ms voiced"],
)
def test_too_little_voicing_is_all_nan(audio):
    found = pitch_statistics(audio)
    assert found.shape == (DIMENSION,)
    assert np.isnan(found).all()


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros((1, 2, SAMPLES), np.float32), "clips"),
        (np.zeros((1, 7_999), np.float32), "at least 0.5 s"),
        (np.full((1, SAMPLES), np.nan, np.float32), "NaN or infinite"),
    ],
)
def test_unusable_audio_is_refused(audio, message):
    with pytest.raises(AuditError, match=message):
        PitchStatistics()(torch.from_numpy(audio))
