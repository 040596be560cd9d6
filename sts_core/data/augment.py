"""Augmentation of 24 kHz speech: one utterance in, a harder one out, and how its time was warped.

    rate     resampling by r in [0.84, 1.19]: tempo, pitch and formants all move by r, so that one
             voice stands for a family of vocal tracts
    gain     -18 .. +4 dB
    band     a low-pass between 3.4 kHz and 10 kHz and a high-pass up to 300 Hz (telephones, old
             microphones), by a smooth mask over the spectrum of the whole utterance
    room     convolution with exponentially decaying noise, T60 in 0.1 .. 0.5 s
    second   another speaker 8 .. 20 dB below
    noise    white to brown, 8 .. 35 dB below
    silence  up to 0.4 s put in front, up to 0.3 s behind

Each is applied with its own probability. Everything is numpy on one thread, a few milliseconds
per second of speech: a training loop can augment as it goes and never sees one sound twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sts_core.units import FRAME_SAMPLES, SAMPLE_RATE_HZ, frames_of

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class AugmentConfig:
    """How often each augmentation is applied, in [0, 1]."""

    rate: float = 0.7
    gain: float = 0.9
    band: float = 0.3
    room: float = 0.25
    second: float = 0.15
    noise: float = 0.5
    silence: float = 0.5


class Augmented(NamedTuple):
    """Augmented audio [S'] and the map of its time: new sample s was sample (s - lead) * rate."""

    audio: Audio
    rate: float
    lead_samples: int
    speech_samples: int

    def source_frames(self) -> NDArray[np.int64]:
        """For each 80 ms frame [T'] the frame of the source it came from; -1: added silence."""
        starts = np.arange(frames_of(self.audio.size)) * FRAME_SAMPLES - self.lead_samples
        centres = np.minimum(starts + FRAME_SAMPLES // 2, self.speech_samples - 1)
        inside = (centres >= 0) & (starts < self.speech_samples)
        return np.where(inside, centres * self.rate // FRAME_SAMPLES, -1).astype(np.int64)


def augment(
    audio: Audio, rng: np.random.Generator, config: AugmentConfig, other: Audio | None = None
) -> Augmented:
    """A harder version of `audio` float32 [S]; `other`: a second speaker that may be mixed in."""
    rate, lead = 1.0, 0
    if rng.random() < config.rate:
        rate = float(np.exp(rng.uniform(-0.175, 0.175)))
        audio = _resampled(audio, rate)
    speech_samples = audio.size
    if other is not None and rng.random() < config.second:
        audio = _mixed(audio, np.resize(other, audio.size), rng.uniform(8, 20))
    if rng.random() < config.silence:
        lead, tail = (int(rng.uniform(0, s) * SAMPLE_RATE_HZ) for s in (0.4, 0.3))
        audio = np.pad(audio, (lead, tail))
    if rng.random() < config.room:
        audio = _in_room(audio, rng)
    if rng.random() < config.noise:
        audio = _mixed(audio, _noise(audio.size, rng), rng.uniform(8, 35))
    if rng.random() < config.band:
        audio = _band_limited(audio, rng)
    if rng.random() < config.gain:
        audio = audio * np.float32(10 ** (rng.uniform(-18, 4) / 20))
    return Augmented(np.clip(audio, -1, 1).astype(np.float32), rate, lead, speech_samples)


def _resampled(audio: Audio, rate: float) -> Audio:
    """The audio played `rate` times as fast."""
    import soxr

    return soxr.resample(audio, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ / rate, quality="MQ")


def _mixed(audio: Audio, other: Audio, below_db: float) -> Audio:
    level = np.sqrt(np.mean(np.square(audio))) / (np.sqrt(np.mean(np.square(other))) + 1e-9)
    return audio + other * np.float32(level * 10 ** (-below_db / 20))


def _spectrum_size(samples: int) -> int:
    from scipy.fft import next_fast_len

    return int(next_fast_len(samples, real=True))


def _noise(samples: int, rng: np.random.Generator) -> Audio:
    """Noise whose power falls with frequency as f^-c, c from 0 (white) to 2 (brown)."""
    size = _spectrum_size(samples)
    spectrum = np.fft.rfft(rng.standard_normal(size, dtype=np.float32))
    slope = np.maximum(np.arange(spectrum.size), 40.0) ** (-rng.uniform(0, 1))
    return np.fft.irfft(spectrum * slope, size)[:samples].astype(np.float32)


def _band_limited(audio: Audio, rng: np.random.Generator) -> Audio:
    size = _spectrum_size(audio.size)
    hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ)
    low_pass_hz = np.exp(rng.uniform(np.log(3_400), np.log(10_000)))
    high_pass_hz = rng.uniform(20, 300)
    mask = 1 / (1 + (hz / low_pass_hz) ** 16) / (1 + (high_pass_hz / np.maximum(hz, 1)) ** 8)
    return np.fft.irfft(np.fft.rfft(audio, size) * mask, size)[: audio.size].astype(np.float32)


def _in_room(audio: Audio, rng: np.random.Generator) -> Audio:
    t60_s = rng.uniform(0.1, 0.5)
    taps = int(0.7 * t60_s * SAMPLE_RATE_HZ)
    decay = np.exp(-6.9 * np.arange(taps) / (t60_s * SAMPLE_RATE_HZ))
    response = rng.standard_normal(taps, dtype=np.float32) * decay * rng.uniform(0.01, 0.06)
    response[0] = 1.0  # the direct sound, not delayed: frames stay aligned
    size = _spectrum_size(audio.size + taps)
    wet = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(response, size), size)
    return wet[: audio.size].astype(np.float32)
