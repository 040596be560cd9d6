"""Pitch tracking, excitation and filters on signals whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sts_core.codec.contour import ContourCodebook, to_hz, to_octaves
from sts_core.codec.pitch import track_pitch
from sts_core.codec.source import Source
from sts_core.codec.synthesis import FFT_SIZE, NOISE_BANDS, PULSE_BANDS, Synthesis, minimum_phase

RATE = 24_000


def harmonic_tone(hz: float, seconds: float = 1.0) -> torch.Tensor:
    t = torch.arange(int(seconds * RATE)) / RATE
    return 0.1 * sum(torch.cos(2 * math.pi * hz * k * t) / k for k in range(1, 15))[None]


@pytest.mark.parametrize("hz", [70.0, 123.4, 210.0, 333.0])
def test_pitch_of_a_tone(hz: float) -> None:
    pitch = track_pitch(harmonic_tone(hz))
    assert pitch.hz.shape == (1, 100)
    assert pitch.voiced[0, 5:-5].all()
    torch.testing.assert_close(pitch.hz[0, 5:-5], torch.full((90,), hz), rtol=0.01, atol=0)


def test_noise_and_silence_have_no_pitch() -> None:
    torch.manual_seed(0)
    audio = torch.cat([0.1 * torch.randn(1, RATE), torch.zeros(1, RATE)])
    assert track_pitch(audio).voiced.float().mean() < 0.02


def test_pulses_have_the_pitch_and_unit_power() -> None:
    source = Source()
    hz = torch.full((1, 100), 200.0)
    state = source.initial_state(1)._replace(hz=hz[:, 0].double())
    excitation, _ = source.step(hz, state)
    pulses = excitation.pulses.flatten()
    assert float(pulses.square().mean()) == pytest.approx(1.0, abs=0.02)
    spectrum = np.abs(np.fft.rfft(pulses.numpy())) / len(pulses) * 2
    harmonics = spectrum[200:11_401:200]  # one second: bin = Hz
    np.testing.assert_allclose(harmonics, math.sqrt(2 / 57), rtol=1e-3)
    between = np.delete(spectrum, np.arange(0, 12_001, 200))
    assert between.max() < 1e-4
    assert float(excitation.noise.square().mean()) == pytest.approx(1.0, abs=0.05)


def test_phase_stays_exact_for_an_hour() -> None:
    source = Source()
    hz = torch.full((1, 500), 123.456789, dtype=torch.float64)
    state = source.initial_state(1)._replace(hz=hz[:, 0])
    for _ in range(720):  # 720 x 5 s
        _, state = source.step(hz, state)
    expected = (3600 * 123.456789) % 1.0
    assert float(state.cycles) == pytest.approx(expected, abs=1e-6)


def test_filters_are_minimum_phase() -> None:
    """A one-pole filter is minimum phase: from its magnitude alone comes its causal response."""
    n = torch.arange(FFT_SIZE, dtype=torch.float64)
    response = 0.9**n  # h[n], n >= 0
    spectrum = torch.fft.rfft(response)
    phase = minimum_phase(spectrum.abs().log())
    rebuilt = torch.fft.irfft(torch.polar(spectrum.abs(), phase), FFT_SIZE)
    torch.testing.assert_close(rebuilt, response, atol=1e-6, rtol=0)


def test_flat_filters_pass_the_excitation_through() -> None:
    synthesis = Synthesis()
    hz = torch.full((1, 20), 150.0)
    bands = torch.zeros(1, 20, PULSE_BANDS + NOISE_BANDS)
    bands[..., PULSE_BANDS:] = -14.0  # no noise
    audio, _ = synthesis.step(hz, bands, synthesis.initial_state(1))
    excitation, _ = synthesis.source.step(hz, synthesis.source.initial_state(1))
    # from the second hop on: before the first, the filter was zero and fades in
    torch.testing.assert_close(
        audio[0, 240:], excitation.pulses[0].flatten()[240:], atol=2e-4, rtol=0
    )


def logits_of(octaves: torch.Tensor, voicing: float) -> torch.Tensor:
    """An estimator's logits [1, T 8, 129] that are sure of contours [1, T, 8]."""
    grid = torch.linspace(0.0, math.log2(500 / 60), 128)
    near = -((octaves.flatten(1)[..., None] - grid) ** 2) / 0.002
    return torch.cat([near, torch.full_like(near[..., :1], voicing)], dim=-1)


def contours(frames: int) -> torch.Tensor:
    """Random lines [1, frames, 8] between 80 and 350 Hz."""
    torch.manual_seed(0)
    middle, slope = 0.5 + 1.8 * torch.rand(1, frames, 1), 0.3 * torch.randn(1, frames, 1)
    return (middle + slope * torch.linspace(-0.5, 0.5, 8)).clamp(0.0, 3.0)


def test_octaves_and_hertz_are_inverse() -> None:
    hz = torch.tensor([[60.0, 120.0, 240.0, 480.0] * 2])
    assert to_octaves(hz).flatten().tolist() == pytest.approx([0.0, 1.0, 2.0, 3.0] * 2)
    torch.testing.assert_close(to_hz(to_octaves(hz)), hz.double())


def test_the_most_probable_contour_is_chosen() -> None:
    book = ContourCodebook(512)
    known = contours(4_000)
    book.initialise(known[0], torch.ones(4_000, 8))
    fresh = contours(4_300)[:, 4_000:]
    best = book.decode(book.nearest(fresh, torch.ones_like(fresh)))
    chosen = book.decode(book.encode(logits_of(fresh, voicing=8.0)))
    near, found = ((c - fresh).square().mean().sqrt() for c in (best, chosen))
    assert float(near) < 0.04
    assert float(found) < 1.1 * float(near)


def test_one_wrong_hop_does_not_move_the_frame() -> None:
    book = ContourCodebook(512)
    book.initialise(contours(4_000)[0], torch.ones(4_000, 8))
    clean = torch.full((1, 1, 8), 1.0)
    wrong = clean.clone()
    wrong[..., 3] = 2.0  # an octave error
    assert torch.equal(
        book.encode(logits_of(wrong, voicing=8.0)), book.encode(logits_of(clean, voicing=8.0))
    )
