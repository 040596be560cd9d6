"""Conditions: what happens to an utterance before the agent hears it. Pure functions on arrays.

Audio is float32 [S] at 24 kHz. Everything random follows from a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sts_eval.audio import active_level_dbfs, rms_dbfs
from sts_eval.metrics.signal import BLOCK_SAMPLES, block_dbfs
from sts_eval.target import Samples
from sts_eval.trace import silence
from sts_eval.units import SAMPLE_RATE_HZ, seconds_to_samples

SPEECH_RANGE_DB = 32.0  # a 10 ms block this far below the active level still belongs to the speech
FADE_S = 0.005
PAUSE_REGION = (0.25, 0.75)  # a pause is put into this part of an utterance
BABBLE_VOICES = 6
PEAK = 0.98


def speech_blocks(audio: Samples) -> NDArray[np.bool_]:
    """Which 10 ms blocks of a clean clip hold speech, bool [S // 240]."""
    return block_dbfs(audio) > active_level_dbfs(audio) - SPEECH_RANGE_DB


def trim(audio: Samples) -> Samples:
    """Cut a clean clip to its first and last 10 ms block of speech; silence stays as it is."""
    blocks = np.flatnonzero(speech_blocks(audio))
    if blocks.size == 0:
        return audio
    return audio[blocks[0] * BLOCK_SAMPLES : (blocks[-1] + 1) * BLOCK_SAMPLES]


def change_rate(speech: Samples, rate: float) -> Samples:
    """Speak `rate` times as fast at the same pitch, trimmed again to the speech.

    Signalsmith Stretch (G. Luff, "The Design of Signalsmith Stretch", 2023) through python-stretch.
    """
    if rate == 1.0:
        return speech
    from python_stretch import Signalsmith

    stretch = Signalsmith.Stretch()
    stretch.preset(1, float(SAMPLE_RATE_HZ))
    stretch.setTimeFactor(float(rate))
    pad = silence(SAMPLE_RATE_HZ // 10)  # so that neither end is lost in the analysis window
    stretched = np.asarray(stretch.process(np.concatenate([pad, speech, pad])[None]), np.float32)
    return np.clip(trim(stretched[0]), -1.0, 1.0)


def insert_pause(speech: Samples, pause_s: float) -> tuple[Samples, list[tuple[float, float]]]:
    """Put `pause_s` of silence at the quietest point in the middle half of an utterance.

    Returns the audio and the true spans of the two parts, seconds. The cut falls between blocks and
    is faded over 5 ms, so that it does not click.
    """
    blocks = block_dbfs(speech)
    smooth = np.convolve(np.maximum(blocks, -120.0), np.ones(4) / 4, mode="same")
    first, last = (int(share * blocks.size) for share in PAUSE_REGION)
    cut = (first + int(np.argmin(smooth[first : max(last, first + 1)]))) * BLOCK_SAMPLES
    before, after = speech[:cut].copy(), speech[cut:].copy()
    ramp = np.linspace(1.0, 0.0, seconds_to_samples(FADE_S), dtype=np.float32)
    before[-ramp.size :] *= ramp[-before.size :]
    after[: ramp.size] *= ramp[::-1][: after.size]
    head = _last_sound(before, active_level_dbfs(speech))
    tail = _first_sound(after, active_level_dbfs(speech))
    pause = seconds_to_samples(pause_s)
    # the pause is counted between the sounds, so what was quiet around the cut is part of it
    gap = max(0, pause - (before.size - head) - tail)
    joined = np.concatenate([before, silence(gap), after])
    resumes = before.size + gap + tail
    spans = [(0.0, head / SAMPLE_RATE_HZ), (resumes / SAMPLE_RATE_HZ, joined.size / SAMPLE_RATE_HZ)]
    return joined, spans


def _last_sound(part: Samples, level_dbfs: float) -> int:
    """Sample after the last 10 ms block of speech."""
    loud = np.flatnonzero(block_dbfs(part) > level_dbfs - SPEECH_RANGE_DB)
    return int(loud[-1] + 1) * BLOCK_SAMPLES if loud.size else part.size


def _first_sound(part: Samples, level_dbfs: float) -> int:
    """First sample of the first 10 ms block of speech."""
    loud = np.flatnonzero(block_dbfs(part) > level_dbfs - SPEECH_RANGE_DB)
    return int(loud[0]) * BLOCK_SAMPLES if loud.size else 0


def add_noise(
    track: Samples,
    *,
    kind: Literal["babble", "street", "white"],
    snr_db: float,
    speech_spans: Sequence[tuple[float, float]],
    seed: int,
    stimuli: Any,
) -> Samples:
    """Add noise over the whole track.

    snr_db: active level of the speech in `speech_spans` (seconds) over the RMS of the noise. The
    sum is scaled down where it would clip, which leaves the ratio as it is. stimuli: voices for
    babble.
    """
    rng = np.random.default_rng(seed)
    noise = _NOISES[kind](track.size, rng, stimuli)
    speech = np.concatenate([track[_slice(span)] for span in speech_spans])
    gain_db = active_level_dbfs(speech) - snr_db - rms_dbfs(noise)
    mixed = track + noise * np.float32(10 ** (gain_db / 20))
    peak = float(np.max(np.abs(mixed)))
    return mixed if peak <= PEAK else mixed * np.float32(PEAK / peak)


def _slice(span: tuple[float, float]) -> slice:
    return slice(seconds_to_samples(span[0]), seconds_to_samples(span[1]))


def _white(samples: int, rng: np.random.Generator, stimuli: Any) -> Samples:
    return rng.standard_normal(samples).astype(np.float32) * np.float32(0.1)


def _street(samples: int, rng: np.random.Generator, stimuli: Any) -> Samples:
    """Traffic-like: 1/f noise below 4 kHz whose level swells and falls as vehicles pass."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    shape = 1 / np.maximum(hz, 40.0) / (1 + (hz / 4000) ** 4)
    rumble = np.fft.irfft(spectrum * shape, samples)
    knots = max(2, samples // (SAMPLE_RATE_HZ // 2) + 2)  # the level moves every half second
    swell_db = np.interp(
        np.linspace(0, knots - 1, samples), np.arange(knots), rng.uniform(-6, 6, knots)
    )
    street = rumble * 10 ** (swell_db / 20)
    return (0.1 * street / np.sqrt(np.mean(street**2))).astype(np.float32)


def _babble(samples: int, rng: np.random.Generator, stimuli: Any) -> Samples:
    """Six talkers at once, each a run of random utterances."""
    mixed = np.zeros(samples, np.float64)
    for _ in range(BABBLE_VOICES):
        filled = -int(rng.integers(0, SAMPLE_RATE_HZ))  # each talker starts somewhere in a clip
        while filled < samples:
            clip = stimuli.items[int(rng.integers(len(stimuli.items)))].speech()
            start = max(0, -filled)
            part = clip[start : start + samples - max(0, filled)]
            at = max(0, filled)
            mixed[at : at + part.size] += part
            filled += clip.size
    return mixed.astype(np.float32)


_NOISES = {"babble": _babble, "street": _street, "white": _white}
