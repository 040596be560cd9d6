"""How good a recording is, and whether it lies inside the conditions that were validated.

- net speech: seconds inside Silero's stretches of speech.
- SNR: 10 log10((S - N) / N) in dB, with S the mean power inside speech and N the median power of
  the 20 ms frames outside of it (at least 0.3 s of them, 60 ms away from speech); not measured
  where there are too few. At most 70 dB: digital silence has no power.
- band: the upper edge of the highest 200 Hz band whose 90th percentile level over speech is within
  55 dB of the strongest one (a percentile, so that single clicks do not count): 3.4 kHz for the
  telephone, 7 kHz for wide-band, 12 kHz for full 24 kHz sound.

The limits are those of the validation material of the detector and the encoder; a recording beyond
one of them gets no verdict on the questions that depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from sts_eval.audio import frame_levels_dbfs
from sts_eval.judges.base import Interval
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

PIECE_S = 120.0
MOST_SNR_DB = 70.0
_FRAME_S = 0.02
_GUARD_FRAMES = 3
_LEAST_NOISE_FRAMES = 15
_BAND_HZ = 200.0
_BAND_RANGE_DB = 55.0
_FFT = 1200  # 50 ms: 20 Hz a bin
APART_BAND_HZ = 5_500.0  # the least of the voices of the scales, see `gather`
APART_SNR_DB = 30.0
_BAND_SECONDS = 60.0  # enough speech for a long-term spectrum


class Limits(BaseModel):
    """The validated conditions. languages: codes; empty when the parts do not state any."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    min_speech_s: float = 3.0
    min_snr_db: float = 5.0
    min_band_hz: float = 3000.0
    max_clipped_share: float = 0.01
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Condition:
    """Measured quality of one recording. None: not measured."""

    speech_s: float
    snr_db: float | None
    band_hz: float | None
    clipped_share: float


def tells_apart(condition: Condition) -> bool:
    """Whether a low likeness in such a recording may speak for somebody else.

    Scales are measured on recordings of one channel, wide and clean. Another channel lowers the
    likeness of a voice to itself: over GSM it seems somebody else's. What was not measured is not
    held against the recording.
    """
    narrow = condition.band_hz is not None and condition.band_hz < APART_BAND_HZ
    noisy = condition.snr_db is not None and condition.snr_db < APART_SNR_DB
    return not (narrow or noisy)


def outside(condition: Condition, limits: Limits, language: str = "") -> list[str]:
    """Why a recording lies outside the validated conditions; empty when it lies inside.

    language: as declared by the auditor; "" when it was not (which is told, not held against it).
    """
    found = []
    if condition.speech_s < limits.min_speech_s:
        found.append(f"{condition.speech_s:.1f} s of speech, fewer than {limits.min_speech_s:g} s")
    if condition.snr_db is not None and condition.snr_db < limits.min_snr_db:
        found.append(f"SNR {condition.snr_db:.0f} dB, below {limits.min_snr_db:g} dB")
    if condition.band_hz is not None and condition.band_hz < limits.min_band_hz:
        band, least = condition.band_hz / 1000, limits.min_band_hz / 1000
        found.append(f"band up to {band:.1f} kHz, below {least:g} kHz")
    if condition.clipped_share > limits.max_clipped_share:
        share, most = condition.clipped_share, limits.max_clipped_share
        found.append(f"{share:.1%} of the samples are clipped, more than {most:.0%}")
    if language and limits.languages and language not in limits.languages:
        validated = ", ".join(limits.languages)
        found.append(f"language {language!r}, not among the validated ones ({validated})")
    return found


def speech_spans(samples: Samples) -> list[Interval]:
    """Stretches of speech, seconds; long recordings two minutes at a time to bound the memory."""
    from sts_eval.judges.vad import SileroJudge

    judge = SileroJudge()
    size = round(PIECE_S * SAMPLE_RATE_HZ)
    spans: list[Interval] = []
    for start in range(0, len(samples), size):
        offset = start / SAMPLE_RATE_HZ
        for begin, end in judge.speech_spans(samples[start : start + size]):
            begin, end = begin + offset, end + offset
            if spans and begin - spans[-1][1] < 0.1:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((begin, end))
    return [(round(begin, 3), round(end, 3)) for begin, end in spans]


def measure(samples: Samples, spans: Sequence[Interval], clipped_share: float) -> Condition:
    """Quality of float32 [S] at 24 kHz with its stretches of speech."""
    speech_s = sum(end - begin for begin, end in spans)
    return Condition(
        speech_s=round(speech_s, 2),
        snr_db=snr_db(samples, spans),
        band_hz=band_hz(samples, spans),
        clipped_share=round(clipped_share, 6),
    )


def snr_db(samples: Samples, spans: Sequence[Interval]) -> float | None:
    """Signal-to-noise ratio, dB; None without speech or with too little else (see above)."""
    power = 10 ** (frame_levels_dbfs(samples, _FRAME_S) / 10)
    speech, near = np.zeros(len(power), bool), np.zeros(len(power), bool)
    for begin, end in spans:
        first, last = round(begin / _FRAME_S), round(end / _FRAME_S)
        speech[first:last] = True
        near[max(0, first - _GUARD_FRAMES) : last + _GUARD_FRAMES] = True
    if not speech.any() or np.count_nonzero(~near) < _LEAST_NOISE_FRAMES:
        return None
    noise = max(float(np.median(power[~near])), 1e-12)
    signal = float(np.mean(power[speech])) - noise
    if signal <= 0:
        return 0.0
    return round(float(min(MOST_SNR_DB, 10 * np.log10(signal / noise))), 1)


def band_hz(samples: Samples, spans: Sequence[Interval]) -> float | None:
    """Upper edge of the band that holds the speech, Hz; None without speech."""
    spectra = []
    left = round(_BAND_SECONDS * SAMPLE_RATE_HZ)
    bins = round(_BAND_HZ / (SAMPLE_RATE_HZ / _FFT))
    window = np.hanning(_FFT).astype(np.float32)
    for begin, end in spans:
        part = samples[round(begin * SAMPLE_RATE_HZ) : round(end * SAMPLE_RATE_HZ)][:left]
        frames = part[: len(part) // _FFT * _FFT].reshape(-1, _FFT) * window
        power = np.abs(np.fft.rfft(frames, axis=1)[:, : _FFT // 2]) ** 2
        spectra.append(
            power.reshape(len(frames), _FFT // 2 // bins, bins).mean(axis=2)
        )  # [frames, bands]
        left -= len(part)
        if left <= 0:
            break
    bands = np.concatenate(spectra) if spectra else np.zeros((0, 1))
    if not np.any(bands):
        return None
    level = np.percentile(bands, 90, axis=0)
    heard = np.flatnonzero(level >= level.max() * 10 ** (-_BAND_RANGE_DB / 10))
    return float((heard[-1] + 1) * _BAND_HZ)
