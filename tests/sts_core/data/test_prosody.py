"""Tones of voice: each moves prosody as the literature says, and the four can be told apart."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sts_core.data.prosody import (
    TONES,
    MissingVocoderError,
    Prosody,
    ProsodyError,
    apply_prosody,
    apply_tone,
    apply_tones,
    draw_prosody,
)
from sts_core.data.texts import load_texts
from sts_eval.stimuli import Stimuli, Stimulus

RATE_HZ = 24_000
Audio = NDArray[np.float32]


class Measured(NamedTuple):
    """Prosody of one clip, by a pitch tracker other than the one inside."""

    mean_st: float
    range_st: float
    slope_st: float
    seconds: float
    level_db: float
    tilt_db: float


def measure(audio: Audio) -> Measured:
    import pyworld

    signal = audio.astype(np.float64)
    f0 = pyworld.harvest(signal, RATE_HZ, f0_floor=60.0, f0_ceil=700.0)[0]
    semitones = 12 * np.log2(f0[f0 > 0])
    place = np.linspace(-0.5, 0.5, f0.size)[f0 > 0]
    power = np.square(np.abs(np.fft.rfft(signal)))
    hz = np.fft.rfftfreq(signal.size, 1 / RATE_HZ)
    low, high = (power[(hz >= a) & (hz < b)].sum() for a, b in ((80, 1_000), (1_000, 8_000)))
    return Measured(
        float(np.median(semitones)),
        float(np.percentile(semitones, 90) - np.percentile(semitones, 10)),
        float(np.polyfit(place, semitones, 1)[0]),
        audio.size / RATE_HZ,
        float(10 * np.log10(np.mean(signal**2))),
        float(10 * np.log10(high / low)),
    )


@pytest.fixture(scope="module")
def clips() -> list[Stimulus]:
    """Four emotional sentences of each of the four packaged voices."""
    return Stimuli.load().pick(kind=["emotional"], per_voice=4, seed=3)


@pytest.fixture(scope="module")
def measured(clips: Sequence[Stimulus]) -> dict[str, list[Measured]]:
    """Every clip as it was ("as is") and in every tone."""
    found = {"as is": [measure(clip.speech()) for clip in clips]}
    for number, tone in enumerate(TONES):
        found[tone] = [
            measure(apply_tone(clip.speech(), tone, np.random.default_rng(10 * index + number)))
            for index, clip in enumerate(clips)
        ]
    return found


def change(measured: dict[str, list[Measured]], tone: str) -> Measured:
    """Mean change of each measure from neutral to the tone; durations as a ratio."""
    moved = np.array(measured[tone]) - np.array(measured["neutral"])
    ratio = np.array(measured[tone])[:, 3] / np.array(measured["neutral"])[:, 3]
    moved[:, 3] = ratio
    return Measured(*moved.mean(axis=0))


def buzz(seconds: float = 1.0, f0_hz: float = 150.0) -> Audio:
    """A voice with a falling, wavering pitch and a -12 dB/octave spectrum."""
    time_s = np.arange(round(RATE_HZ * seconds)) / RATE_HZ
    semitones = -3.0 * time_s / seconds + 1.5 * np.sin(2 * np.pi * 3.0 * time_s)
    phase = 2 * np.pi * np.cumsum(f0_hz * 2 ** (semitones / 12)) / RATE_HZ
    wave = sum(np.sin(k * phase) / k**2 for k in range(1, 40))
    return (0.1 * wave).astype(np.float32)


def test_tones_are_those_of_the_replies() -> None:
    assert set(TONES) == set(load_texts()["emotional"]["replies"])


def test_neutral_keeps_pitch_energy_and_length(measured: dict[str, list[Measured]]) -> None:
    was, now = np.array(measured["as is"]), np.array(measured["neutral"])
    off = Measured(*np.abs(np.median(now - was, axis=0)))
    assert off.mean_st < 0.2
    assert off.range_st < 0.6
    assert off.tilt_db < 0.5
    np.testing.assert_allclose(now[:, 4], was[:, 4], atol=0.05)
    np.testing.assert_array_equal(now[:, 3], was[:, 3])


def test_happy_is_high_wide_rising_faster_and_louder(measured: dict[str, list[Measured]]) -> None:
    moved = change(measured, "happy")
    assert moved.mean_st > 3
    assert moved.range_st > 1
    assert moved.slope_st > 0
    assert moved.seconds < 0.97
    assert moved.level_db > 1
    assert moved.tilt_db > 0.5


def test_sad_is_low_narrow_slow_soft_and_dull(measured: dict[str, list[Measured]]) -> None:
    moved = change(measured, "sad")
    assert moved.mean_st < -1.5
    assert moved.range_st < -0.5
    assert moved.seconds > 1.1
    assert moved.level_db < -4
    assert moved.tilt_db < -3


def test_angry_is_raised_wide_falling_fast_loud_and_sharp(
    measured: dict[str, list[Measured]],
) -> None:
    moved = change(measured, "angry")
    assert 0.5 < moved.mean_st < 3.5
    assert moved.range_st > 1
    assert moved.slope_st < -0.5
    assert moved.seconds < 0.92
    assert moved.level_db > 4
    assert moved.tilt_db > 3


def test_contours_of_a_known_pitch_turn_as_stated() -> None:
    slopes = {
        tone: np.mean(
            [measure(apply_tone(buzz(), tone, np.random.default_rng(s))).slope_st for s in range(6)]
        )
        for tone in TONES
    }
    assert slopes["neutral"] == pytest.approx(measure(buzz()).slope_st, abs=1.0)
    assert slopes["happy"] > slopes["neutral"] + 0.5
    assert slopes["sad"] < slopes["neutral"] - 0.2
    assert slopes["angry"] < slopes["neutral"] - 1.0


def test_one_parameter_moves_one_measure() -> None:
    plain = measure(apply_prosody(buzz(), Prosody()))
    raised = measure(apply_prosody(buzz(), Prosody(level_st=4.0)))
    assert raised.mean_st - plain.mean_st == pytest.approx(4.0, abs=0.3)
    assert raised.range_st == pytest.approx(plain.range_st, abs=0.3)
    slower = apply_prosody(buzz(), Prosody(rate=0.8))
    assert slower.size == round(24_000 / 0.8)
    assert measure(slower).mean_st == pytest.approx(plain.mean_st, abs=0.3)
    louder = measure(apply_prosody(buzz(), Prosody(energy_db=3.0)))
    assert louder.level_db - plain.level_db == pytest.approx(3.0, abs=0.1)


def test_a_simple_classifier_tells_the_four_apart_in_unseen_voices(
    clips: Sequence[Stimulus], measured: dict[str, list[Measured]]
) -> None:
    voices = np.array([clip.voice for clip in clips] * len(TONES))
    tones = np.repeat(TONES, len(clips))
    per_phoneme = np.array([len(clip.fields["phonemes"]) for clip in clips] * len(TONES))
    x = np.concatenate([np.array(measured[tone]) for tone in TONES])
    x[:, 3] = np.log(x[:, 3] / per_phoneme)  # speaking rate, whatever was said
    for voice in set(voices):  # relative to the speaker
        own = voices == voice
        x[own] -= x[own & (tones == "neutral")].mean(axis=0)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    guessed = cross_val_predict(model, x, tones, groups=voices, cv=LeaveOneGroupOut())
    recalls = [np.mean(guessed[tones == tone] == tone) for tone in TONES]
    assert np.mean(recalls) >= 0.85


@pytest.mark.parametrize("tone", TONES)
def test_the_same_seed_gives_the_same_sound_and_another_seed_another(tone: str) -> None:
    first, again, other = (
        apply_tone(buzz(), tone, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32
    assert np.abs(first).max() <= 1.0
    if tone != "neutral":
        assert first.shape != other.shape or not np.array_equal(first, other)


def test_draws_differ_and_strength_scales_them() -> None:
    rng = np.random.default_rng(0)
    levels = {draw_prosody("happy", rng).level_st for _ in range(50)}
    assert len(levels) == 50
    assert draw_prosody("angry", rng, 0.0) == Prosody()
    full, half = (draw_prosody("sad", np.random.default_rng(5), s) for s in (1.0, 0.5))
    assert half.energy_db == pytest.approx(full.energy_db / 2)
    assert half.rate == pytest.approx(full.rate**0.5)


def test_loud_speech_made_louder_does_not_clip() -> None:
    loud = buzz() * np.float32(0.97 / np.abs(buzz()).max())
    angry = apply_tone(loud, "angry", np.random.default_rng(0))
    assert np.abs(angry).max() < 1.0
    assert np.isfinite(angry).all()


def test_silence_and_noise_pass_without_pitch() -> None:
    rng = np.random.default_rng(0)
    silence = np.zeros(12_000, np.float32)
    assert not apply_tone(silence, "happy", rng).any()
    noise = (0.05 * rng.standard_normal(12_000)).astype(np.float32)
    hissed = apply_tone(noise, "sad", rng)
    assert hissed.size > noise.size
    assert np.isfinite(hissed).all()


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(0, np.float32), "lasts 0 s"),
        (np.zeros(2_000, np.float32), "expected 0.1 to 120 s"),
        (np.zeros((2, 24_000), np.float32), "mono"),
        (np.full(24_000, np.nan, np.float32), "not finite"),
        (np.full(24_000, np.inf, np.float32), "not finite"),
    ],
)
def test_audio_without_a_tone_is_refused(audio: Audio, message: str) -> None:
    with pytest.raises(ProsodyError, match=message):
        apply_tone(audio, "happy", np.random.default_rng(0))


@pytest.mark.parametrize(
    ("tone", "strength", "message"),
    [
        ("calm", 1.0, "no tone 'calm'; known: neutral, happy"),
        ("sad", -0.1, "expected 0 to 2"),
        ("sad", float("nan"), "expected 0 to 2"),
    ],
)
def test_unknown_settings_are_refused(tone: str, strength: float, message: str) -> None:
    with pytest.raises(ProsodyError, match=message):
        apply_tone(buzz(), tone, np.random.default_rng(0), strength)


def test_a_missing_vocoder_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(MissingVocoderError, match=r"sts-eval\[prosody\]"):
        apply_tone(buzz(), "happy", np.random.default_rng(0))


def test_several_tones_of_one_recording_are_those_asked_for_one_by_one() -> None:
    audio = np.sin(np.arange(RATE_HZ // 2) * 0.05).astype(np.float32) * 0.1
    together = apply_tones(audio, ["neutral", "sad", "angry"], np.random.default_rng(3))
    rng = np.random.default_rng(3)
    for made, tone in zip(together, ["neutral", "sad", "angry"], strict=True):
        assert np.array_equal(made, apply_tone(audio, tone, rng))
