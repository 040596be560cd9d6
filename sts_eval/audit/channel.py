"""One random channel for every clip of every class, so that no detector can learn the channel.

Genuine speech comes from telephone systems, synthetic speech from a program: rate, band, codec,
noise, level, silences and length would tell them apart without a voice being heard. Every clip that
a countermeasure is trained or tested on therefore passes through the same chain, drawn anew, after
the room it was recorded in (`sts_eval.audit.room`):

    16 kHz -> band 50..7000 Hz -> sub-band ADPCM (a coarser G.722) -> level -> leading silence
           -> band of the device -> noise -> one of CODECS -> gain -> exactly `seconds` long

The first two steps are what the genuine recordings went through before anyone got them; the copies
and the synthetic ones go through them here. Sub-band ADPCM splits at 4 kHz like ITU-T G.722 (1988)
and codes the low half with 5 bits, the high half with 3 (G.723 of libsndfile): its noise is like
that of G.722, its bits are not.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sts_eval.audio import resample

Array = NDArray[np.float32]

RATE_HZ: Final = 16_000
LOW_HZ, HIGH_HZ = 50.0, 7_000.0
CODECS: Final = ("clean", "g711", "gsm", "adpcm", "opus", "mp3", "vorbis")
_LEVEL: Final = 0.05
_MOST_COMPRESSED: Final = 0.9999  # libsndfile writes no MP3 beyond


@dataclass(frozen=True)
class Channel:
    """One draw. Levels in dB relative to the speech; None: that step is left out."""

    codec: str
    quality: float
    snr_db: float | None
    noise_slope: float
    gain_db: float
    lead_s: float
    low_pass_hz: float | None
    high_pass_hz: float | None
    seed: int


def draw_channel(rng: np.random.Generator, codec: str | None = None) -> Channel:
    """A random channel; `codec`: this one instead of any of CODECS, equally likely."""
    return Channel(
        codec=codec or str(rng.choice(CODECS)),
        quality=float(rng.random()),
        snr_db=float(rng.uniform(15, 45)) if rng.random() < 0.5 else None,
        noise_slope=float(rng.uniform(0, 1)),
        gain_db=float(rng.uniform(-15, 6)),
        lead_s=float(rng.uniform(0, 0.3)) if rng.random() < 0.5 else 0.0,
        low_pass_hz=float(rng.uniform(3_400, 6_800)) if rng.random() < 0.2 else None,
        high_pass_hz=float(rng.uniform(80, 320)) if rng.random() < 0.2 else None,
        seed=int(rng.integers(2**31)),
    )


def source_channel(audio: Array) -> Array:
    """What every clip goes through first: band-limiting and sub-band ADPCM, at 16 kHz."""
    limited = _band(audio, LOW_HZ, HIGH_HZ)
    level = float(np.sqrt(np.mean(np.square(limited, dtype=np.float64)))) + 1e-9
    return subband_adpcm(limited * np.float32(_LEVEL / level))


def apply_channel(audio: Array, channel: Channel, seconds: float) -> Array:
    """Speech at 16 kHz [S] -> [seconds * 16000] as it arrives at the other end of the channel."""
    rng = np.random.default_rng(channel.seed)
    heard = source_channel(audio)
    if channel.lead_s:
        heard = np.pad(heard, (round(channel.lead_s * RATE_HZ), 0))
    size = round(seconds * RATE_HZ)
    start = int(rng.integers(len(heard) - size + 1)) if len(heard) > size else 0
    heard = np.resize(heard[start:], size) if len(heard) < size else heard[start : start + size]
    if channel.low_pass_hz or channel.high_pass_hz:
        heard = _band(heard, channel.high_pass_hz or 0.0, channel.low_pass_hz or RATE_HZ)
    if channel.snr_db is not None:
        level = float(np.sqrt(np.mean(np.square(heard))))
        noise = coloured_noise(size, channel.noise_slope, rng)
        heard = heard + noise * np.float32(level * 10 ** (-channel.snr_db / 20))
    heard = coded(np.clip(heard, -1, 1), channel.codec, channel.quality)
    return (heard * np.float32(10 ** (channel.gain_db / 20))).astype(np.float32)


def coded(audio: Array, codec: str, quality: float = 0.5) -> Array:
    """Audio at 16 kHz through a codec of CODECS and back, same length; quality 0 (best) .. 1."""
    size = len(audio)
    if codec == "clean":
        return audio
    if codec == "adpcm":
        return subband_adpcm(audio)
    if codec == "g711":  # telephone rate, either law
        law = "ULAW" if quality < 0.5 else "ALAW"
        narrow = resample(audio, RATE_HZ, 8_000)
        return _fit(resample(_through(narrow, 8_000, "WAV", law), 8_000, RATE_HZ), size)
    if codec == "gsm":
        narrow = resample(audio, RATE_HZ, 8_000)
        return _fit(resample(_through(narrow, 8_000, "WAV", "GSM610"), 8_000, RATE_HZ), size)
    kinds = {
        "opus": ("OGG", "OPUS"),
        "mp3": ("MP3", "MPEG_LAYER_III"),
        "vorbis": ("OGG", "VORBIS"),
    }
    if codec not in kinds:
        raise ValueError(f"no codec {codec!r}; known: {', '.join(CODECS)}")
    container, kind = kinds[codec]
    level = min(0.5 + quality / 2, _MOST_COMPRESSED)
    return _fit(_through(audio, RATE_HZ, container, kind, compression_level=level), size)


def _through(audio: Array, rate_hz: int, container: str, kind: str, **options: Any) -> Array:
    import soundfile

    with io.BytesIO() as file:
        soundfile.write(file, audio, rate_hz, format=container, subtype=kind, **options)
        file.seek(0)
        decoded, _ = soundfile.read(file, dtype="float32")
    return np.asarray(decoded, np.float32)


def subband_adpcm(audio: Array) -> Array:
    """Two half bands, each through ADPCM, joined again; same length."""
    low = resample(audio, RATE_HZ, RATE_HZ / 2)
    rest = audio - _fit(resample(low, RATE_HZ / 2, RATE_HZ), len(audio))
    # The upper half is moved down by 8 kHz (it turns over), coded, and moved up again.
    turn = np.float32(1) - 2 * (np.arange(len(audio)) % 2).astype(np.float32)
    high = resample(rest * turn, RATE_HZ, RATE_HZ / 2)
    low = _through(low, RATE_HZ // 2, "AU", "G723_40")
    high = _through(high, RATE_HZ // 2, "AU", "G723_24")
    joined = _fit(resample(low, RATE_HZ / 2, RATE_HZ), len(audio))
    return joined + turn * _fit(resample(high, RATE_HZ / 2, RATE_HZ), len(audio))


def _fit(audio: Array, size: int) -> Array:
    return audio[:size] if len(audio) >= size else np.pad(audio, (0, size - len(audio)))


def _band(audio: Array, low_hz: float, high_hz: float) -> Array:
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(len(audio), real=True)
    mask = _mask(size, low_hz, high_hz)
    return np.asarray(irfft(rfft(audio, size) * mask, size)[: len(audio)], np.float32)


@lru_cache(maxsize=8)
def _mask(size: int, low_hz: float, high_hz: float) -> Array:
    hz = np.fft.rfftfreq(size, 1 / RATE_HZ)
    upper = 1 / (1 + (hz / high_hz) ** 32)
    return (upper / (1 + (low_hz / np.maximum(hz, 1e-3)) ** 8)).astype(np.float32)


def coloured_noise(size: int, slope: float, rng: np.random.Generator) -> Array:
    """Noise of unit level whose power falls as f^-2slope: white (0) to brown (1)."""
    spectrum = np.fft.rfft(rng.standard_normal(size, dtype=np.float32))
    spectrum *= np.maximum(np.arange(spectrum.size), 40.0) ** -slope
    noise = np.fft.irfft(spectrum, size)
    return (noise / (np.std(noise) + 1e-12)).astype(np.float32)
