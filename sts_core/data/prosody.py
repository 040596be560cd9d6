"""Tone of voice: the same words from the same speaker, said happily, sadly, angrily or neutrally.

WORLD (Morise, Yokomori & Ozawa, "WORLD: A Vocoder-Based High-Quality Speech Synthesis System",
2016) splits 24 kHz speech into pitch, spectral envelope and aperiodicity; a tone changes them, and
the same vocoder puts them together again:

    level      log F0 moved, semitones
    range      excursions of log F0 around its straight line, multiplied
    contour    slope of that line, semitones from the first to the last sample, added
    rate       tempo, multiplied
    energy     RMS of the utterance, dB
    tilt       spectral slope, dB per octave around 1 kHz

Directions are those on which the literature agrees (Banse & Scherer, "Acoustic profiles in vocal
emotion expression", 1996; Scherer, "Vocal communication of emotion", 2003, table 2; Juslin &
Laukka, "Communication of emotions in vocal expression and music performance", 2003, table 7):

    happy   F0 high, range wide, rising; faster; louder; somewhat more high-frequency energy
    sad     F0 low, range narrow, falling; slower; softer; less high-frequency energy
    angry   F0 raised, range wider, falling; faster; loudest; most high-frequency energy

Sizes are our choice within what those reviews report, so that a listener tells the tones apart.
Every value is drawn anew from its span, so that no single value marks a tone. Neutral passes
through the same vocoder unchanged: what tells tones apart cannot be the vocoder.

What this is not: acted or felt emotion. Voice quality, jitter, laughter and breath stay as they
were, and real speakers vary far more.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sts_core.units import SAMPLE_RATE_HZ

TONES = ("neutral", "happy", "sad", "angry")
PROSODY_INSTALL = "pip install 'sts-eval[prosody]'"
MIN_S, MAX_S = 0.1, 120.0
MAX_STRENGTH = 2.0
FRAME_MS = 8.0  # of the analysis; 5 ms is WORLD's default and costs 1.6 times as much
F0_LOW_HZ, F0_HIGH_HZ = 60.0, 500.0  # searched for
F0_LEAST_HZ, F0_MOST_HZ = 55.0, 650.0  # spoken at most
EXCURSION_ST = 12.0  # an excursion beyond an octave is an error of the pitch tracker
TILT_CENTRE_HZ = 1_000.0
TILT_OCTAVES = (-2.0, 3.0)  # the slope goes from 250 Hz to 8 kHz and is flat beyond
SOFT_KNEE, PEAK = 0.7, 0.98  # samples beyond the knee are bent below the peak: nothing clips

Audio = NDArray[np.float32]


class ProsodyError(ValueError):
    """Audio or settings that have no tone to change; the message says why."""


class MissingVocoderError(ImportError):
    """pyworld is not installed; the message holds the install line."""


class Span(NamedTuple):
    """A parameter is drawn uniformly from here."""

    low: float
    high: float


@dataclass(frozen=True)
class Prosody:
    """A change of prosody. The defaults change nothing."""

    level_st: float = 0.0
    range_factor: float = 1.0
    contour_st: float = 0.0
    rate: float = 1.0
    energy_db: float = 0.0
    tilt_db_per_octave: float = 0.0


_SPANS: dict[str, dict[str, Span]] = {
    "neutral": {},
    "happy": {
        "level_st": Span(3.5, 6.0),
        "range_factor": Span(1.4, 1.9),
        "contour_st": Span(1.0, 3.0),
        "rate": Span(1.05, 1.18),
        "energy_db": Span(1.0, 3.0),
        "tilt_db_per_octave": Span(0.3, 1.0),
    },
    "sad": {
        "level_st": Span(-3.0, -1.5),
        "range_factor": Span(0.25, 0.5),
        "contour_st": Span(-1.5, -0.5),
        "rate": Span(0.74, 0.86),
        "energy_db": Span(-8.0, -5.0),
        "tilt_db_per_octave": Span(-3.0, -1.8),
    },
    "angry": {
        "level_st": Span(0.5, 2.5),
        "range_factor": Span(1.2, 1.6),
        "contour_st": Span(-4.0, -2.0),
        "rate": Span(1.12, 1.28),
        "energy_db": Span(5.0, 8.0),
        "tilt_db_per_octave": Span(1.8, 3.0),
    },
}
_FACTORS = frozenset({"range_factor", "rate"})  # strength is their exponent


def draw_prosody(tone: str, rng: np.random.Generator, strength: float = 1.0) -> Prosody:
    """The change of prosody that one rendition of `tone` makes.

    Args:
        tone: one of TONES.
        strength: 0 gives neutral, 1 the full tone, up to 2 exaggerates it.

    Raises:
        ProsodyError: an unknown tone, or a strength outside [0, 2].
    """
    if tone not in _SPANS:
        raise ProsodyError(f"no tone {tone!r}; known: {', '.join(TONES)}")
    if not 0.0 <= strength <= MAX_STRENGTH:  # NaN included
        raise ProsodyError(f"strength is {strength!r}, expected 0 to {MAX_STRENGTH:g}")
    values = {}
    for name, span in _SPANS[tone].items():
        value = float(rng.uniform(*span))
        values[name] = value**strength if name in _FACTORS else value * strength
    return Prosody(**values)


def apply_tone(audio: Audio, tone: str, rng: np.random.Generator, strength: float = 1.0) -> Audio:
    """Say `audio`, mono float [S] at 24 kHz, in a tone of voice.

    Returns float32 [S'], S' = S / rate, within [-1, 1]; the same arguments give the same samples.
    Where nothing is voiced, pitch has no meaning and only rate, energy and tilt change.

    Raises:
        ProsodyError: an unknown tone or strength; audio that is not one-dimensional, not finite,
            shorter than 0.1 s or longer than 120 s.
        MissingVocoderError: pyworld is not installed.
    """
    return apply_prosody(audio, draw_prosody(tone, rng, strength))


def apply_tones(
    audio: Audio, tones: Sequence[str], rng: np.random.Generator, strength: float = 1.0
) -> list[Audio]:
    """`apply_tone` for several tones of one recording, which is taken apart only once.

    Returns one float32 [S'] for each tone, drawn in their order. Raises as `apply_tone`.
    """
    changes = [draw_prosody(tone, rng, strength) for tone in tones]
    parts = analyse(audio)
    return [spoken(parts, change) for change in changes]


def apply_prosody(audio: Audio, change: Prosody) -> Audio:
    """Say `audio`, mono float [S] at 24 kHz, with its prosody changed.

    Returns float32 [S / rate] within [-1, 1]. Raises as `apply_tone`.
    """
    return spoken(analyse(audio), change)


class Analysis(NamedTuple):
    """A recording as WORLD takes it apart: N frames of FRAME_MS."""

    samples: int
    rms: float
    f0: NDArray[np.float64]  # [N] Hz, 0 where unvoiced
    envelope: NDArray[np.float64]  # [N, bins], power
    aperiodicity: NDArray[np.float64]  # [N, bins]


def analyse(audio: Audio) -> Analysis:
    """Take mono float [S] at 24 kHz apart. Raises ProsodyError, MissingVocoderError."""
    signal = _checked(audio)
    world = _load_world()
    f0, times = world.dio(
        signal, SAMPLE_RATE_HZ, f0_floor=F0_LOW_HZ, f0_ceil=F0_HIGH_HZ, frame_period=FRAME_MS
    )
    f0 = world.stonemask(signal, f0, times, SAMPLE_RATE_HZ)
    envelope = world.cheaptrick(signal, f0, times, SAMPLE_RATE_HZ)
    aperiodicity = world.d4c(signal, f0, times, SAMPLE_RATE_HZ)
    return Analysis(signal.size, _rms(signal), f0, envelope, aperiodicity)


def spoken(parts: Analysis, change: Prosody) -> Audio:
    """Put a recording together again with its prosody changed: float32 [S / rate]."""
    envelope = parts.envelope * _tilt_gain(parts.envelope.shape[1], change.tilt_db_per_octave)
    f0 = _moved_pitch(parts.f0, change)
    frame_ms = FRAME_MS / change.rate
    made = _load_world().synthesize(f0, envelope, parts.aperiodicity, SAMPLE_RATE_HZ, frame_ms)
    fitted = np.zeros(max(1, round(parts.samples / change.rate)))
    shared = min(fitted.size, made.size)
    fitted[:shared] = made[:shared]
    return _at_level(fitted, parts.rms * 10 ** (change.energy_db / 20))


def _checked(audio: Audio) -> NDArray[np.float64]:
    signal = np.ascontiguousarray(audio, dtype=np.float64)
    if signal.ndim != 1:
        raise ProsodyError(f"audio must be mono [samples], got shape {signal.shape}")
    seconds = signal.size / SAMPLE_RATE_HZ
    if not MIN_S <= seconds <= MAX_S:
        raise ProsodyError(f"audio lasts {seconds:g} s, expected {MIN_S:g} to {MAX_S:g} s")
    if not np.isfinite(signal).all():
        raise ProsodyError("audio holds values that are not finite (NaN or infinity)")
    return signal


def _load_world() -> ModuleType:
    if find_spec("pyworld") is None or find_spec("pkg_resources") is None:
        raise MissingVocoderError(
            f"a tone of voice needs pyworld and setuptools<81: {PROSODY_INSTALL}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyworld asks pkg_resources for its own version
        import pyworld

    return pyworld


def _moved_pitch(f0: NDArray[np.float64], change: Prosody) -> NDArray[np.float64]:
    """F0 [N] in Hz with level, range and contour changed; unvoiced frames stay at 0.

    The utterance's own slope is set aside before the range is widened: declination would grow with
    it and drown the contour.
    """
    voiced = f0 > 0
    if not voiced.any():
        return f0
    semitones = 12.0 * np.log2(f0[voiced])
    centre = semitones.mean()
    place = np.linspace(-0.5, 0.5, f0.size)[voiced]
    place -= place.mean()  # a contour moves no level
    slope_st = (place @ (semitones - centre)) / max(float(place @ place), 1e-9)
    excursion = change.range_factor * (semitones - centre - slope_st * place)
    excursion = np.clip(excursion, -EXCURSION_ST, EXCURSION_ST)
    moved = centre + change.level_st + (slope_st + change.contour_st) * place + excursion
    out = np.zeros_like(f0)
    out[voiced] = np.clip(2.0 ** (moved / 12.0), F0_LEAST_HZ, F0_MOST_HZ)
    return out


def _tilt_gain(bins: int, db_per_octave: float) -> NDArray[np.float64]:
    """Gain in power of each bin [bins] from 0 Hz to the Nyquist frequency."""
    hz = np.linspace(0.0, SAMPLE_RATE_HZ / 2, bins)
    octaves = np.log2(np.maximum(hz, 1.0) / TILT_CENTRE_HZ)
    return 10.0 ** (db_per_octave * np.clip(octaves, *TILT_OCTAVES) / 10.0)


def _rms(signal: NDArray[np.float64]) -> float:
    return math.sqrt(float(np.mean(np.square(signal))))


def _at_level(signal: NDArray[np.float64], rms: float) -> Audio:
    """`signal` at the given RMS, its peaks bent below 0.98; silence stays silent."""
    now = _rms(signal)
    scaled = signal * (rms / now) if now > 0 else signal
    over = np.maximum(np.abs(scaled) - SOFT_KNEE, 0.0)
    room = PEAK - SOFT_KNEE
    bent = np.minimum(np.abs(scaled), SOFT_KNEE) + room * np.tanh(over / room)
    return (np.sign(scaled) * bent).astype(np.float32)
