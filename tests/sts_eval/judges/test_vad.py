"""Speech detection: edges to 10 ms on known tracks, and the streaming form equals the whole."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sts_eval.audio import resample
from sts_eval.judges import load_vad
from sts_eval.judges.vad import (
    CHUNK_S,
    EnergyJudge,
    SileroStream,
    VadSettings,
    decide,
    downsample,
    speech_probabilities,
)
from sts_eval.trace import silence

Place = Callable[..., tuple[np.ndarray, tuple[float, float]]]
CLIPS = ("af_nova-arithmetic-000", "am_puck-arithmetic-000", "bm_george-arithmetic-000")


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("lead_s", [0.4, 1.003])
def test_silero_edges_are_within_30_ms(place: Place, clip: str, lead_s: float) -> None:
    track, (begin, end) = place(clip, lead_s)
    spans = load_vad("silero").speech_spans(track)
    assert spans[0][0] == pytest.approx(begin, abs=0.03)
    assert spans[-1][1] == pytest.approx(end, abs=0.05)


def test_noise_and_silence_are_not_speech() -> None:
    noise = 0.03 * np.random.default_rng(0).standard_normal(72_000).astype(np.float32)
    for track in (noise, silence(48_000), silence(0), silence(100)):
        assert load_vad("silero").speech_spans(track) == []


def test_edges_hold_in_quiet_noise(place: Place) -> None:
    track, (begin, end) = place(CLIPS[0])
    noise = np.random.default_rng(1).standard_normal(len(track)).astype(np.float32)
    spans = load_vad("silero").speech_spans(track + np.float32(0.001) * noise)
    assert spans[0][0] == pytest.approx(begin, abs=0.03)
    assert spans[-1][1] == pytest.approx(end, abs=0.08)


def test_two_utterances_are_two_spans(place: Place) -> None:
    track, _ = place(CLIPS[0])
    spans = load_vad("silero").speech_spans(np.concatenate([track, track]))
    gaps = [b[0] - a[1] for a, b in itertools.pairwise(spans)]
    assert max(gaps) == pytest.approx(1.8, abs=0.08)


def test_energy_judge_finds_tones_to_10_ms() -> None:
    t = np.arange(24_000) / 24_000
    tone = (0.3 * np.sin(2 * np.pi * 300 * t)).astype(np.float32)
    track = np.concatenate([silence(12_000), tone, silence(1_200), tone, silence(12_000), tone])
    spans = EnergyJudge().speech_spans(track)
    assert spans == pytest.approx(np.array([(0.5, 2.55), (3.05, 4.05)]))


def test_hysteresis_by_hand() -> None:
    settings = VadSettings(threshold=0.5, hysteresis=0.15, min_silence_s=0.096, min_speech_s=0.06)
    p = np.array([0.4, 0.6, 0.4, 0.2, 0.2, 0.4, 0.2, 0.2, 0.2, 0.9, 0.1, 0.1, 0.1, 0.7, 0.7])
    # The dip of two chunks is bridged, three end the span; the lone chunk 9 is too short.
    assert decide(p, settings) == pytest.approx(np.array([(1, 6), (13, 15)]) * CHUNK_S)
    assert decide(np.zeros(0), settings) == []


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_downsampling_in_parts_equals_the_whole(parts: list[int], seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal(3 * 2 * sum(parts)).astype(np.float32)
    whole, _ = downsample(x, np.zeros(48, np.float32))
    history, found, at = np.zeros(48, np.float32), [], 0
    for part in parts:
        out, history = downsample(x[at : at + 6 * part], history)
        found.append(out)
        at += 6 * part
    assert np.concatenate(found) == pytest.approx(whole, abs=1e-5)


def test_downsampling_agrees_with_soxr(place: Place) -> None:
    track, _ = place(CLIPS[1])
    track = track[: len(track) // 3 * 3]
    mine, _ = downsample(track, np.zeros(48, np.float32))
    reference = resample(track, 24_000, 16_000)
    delayed = reference[: len(mine) - 16]  # 1 ms
    error = mine[16:] - delayed
    assert np.sqrt(np.mean(error**2)) < 0.02 * np.sqrt(np.mean(delayed**2))


def test_stream_decides_as_the_whole_does(place: Place) -> None:
    track, _ = place(CLIPS[2])
    track = track[: len(track) // 1920 * 1920]
    stream = SileroStream()
    first = state = stream.start()
    found: list[float] = []
    for k in range(0, len(track), 1920):
        new, state = stream.step(track[k : k + 1920], state)
        found += new
    whole = speech_probabilities(track)
    assert len(found) == len(track) // 768
    assert decide(np.array(found), VadSettings()) == pytest.approx(
        np.array(decide(whole[: len(found)], VadSettings())), abs=CHUNK_S
    )
    again, _ = stream.step(track[:1920], first)  # states are values: the first is still good
    assert again == found[: len(again)]
    with pytest.raises(ValueError, match="1920 samples"):
        stream.step(track[:100], state)
