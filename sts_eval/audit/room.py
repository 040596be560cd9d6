"""Where a recording was made: a room, a microphone, its noise and its first codec, drawn for all.

Telephone prompts come from a studio, other genuine recordings from a kitchen, synthetic speech from
no room at all. So before the channel (`sts_eval.audit.channel`) every clip of every class goes, by
chance, through

    reverberation (exponential decay) -> response of a microphone -> noise of a real room -> a codec

The noise comes from the pauses of genuine recordings (`sts_eval.audit.gather` writes them), white
to brown noise where there are none. Joined utterances of a noisy recording carry its noise in the
speech alone, not in the gaps between them: so half of the draws stop the noise there as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sts_eval.audio import load_audio, resample
from sts_eval.audit.channel import RATE_HZ, coded, coloured_noise
from sts_eval.units import SAMPLE_RATE_HZ

Array = NDArray[np.float32]

FIRST_CODECS: Final = ("opus", "mp3", "vorbis")
_EQ_HZ: Final = np.array([0.0, 150, 500, 1500, 3500, 8000])
_LEAST_PAUSE_S: Final = 0.5


@dataclass(frozen=True)
class Room:
    """One draw. None or "": that step is left out. Levels in dB relative to the speech.

    decay_s: time to fall by 60 dB; direct_db: direct over reverberant power; response_db: gains of
    the microphone at 0, 150, 500, 1500, 3500 and 8000 Hz; pause: number of the noise.
    """

    decay_s: float | None
    direct_db: float
    response_db: tuple[float, ...] | None
    snr_db: float | None
    pause: int
    gated: bool
    codec: str
    quality: float
    seed: int


def draw_room(rng: np.random.Generator) -> Room:
    """A random room: each step with a probability of 0.4 to 0.5."""
    response = tuple(rng.uniform(-6, 6, len(_EQ_HZ)).round(2).tolist())
    return Room(
        decay_s=float(rng.uniform(0.1, 0.5)) if rng.random() < 0.4 else None,
        direct_db=float(rng.uniform(3, 20)),
        response_db=response if rng.random() < 0.4 else None,
        snr_db=float(rng.uniform(12, 40)) if rng.random() < 0.5 else None,
        pause=int(rng.integers(2**31)),
        gated=bool(rng.random() < 0.5),
        codec=str(rng.choice(FIRST_CODECS)) if rng.random() < 0.4 else "",
        quality=float(rng.random()),
        seed=int(rng.integers(2**31)),
    )


def apply_room(
    audio: Array, room: Room, pauses: Sequence[Array], gaps: NDArray[np.bool_] | None
) -> Array:
    """Speech at 16 kHz [S] as it was recorded there, [S].

    pauses: noises at 16 kHz to choose from, may be empty. gaps: bool [S], between utterances.
    """
    rng = np.random.default_rng(room.seed)
    heard = audio
    if room.decay_s is not None:
        heard = reverberant(heard, room.decay_s, room.direct_db, rng)
    if room.response_db is not None:
        heard = _response(heard, room.response_db)
    if room.snr_db is not None:
        noise = _noise(len(heard), pauses, room.pause, rng)
        level = float(np.sqrt(np.mean(np.square(heard, dtype=np.float64))))
        noise *= np.float32(level * 10 ** (-room.snr_db / 20))
        if room.gated and gaps is not None:
            noise[gaps[: len(noise)]] = 0
        heard = heard + noise
    if room.codec:
        peak = max(1.0, float(np.abs(heard).max()) / 0.95)
        heard = coded(heard / np.float32(peak), room.codec, room.quality)
    return heard.astype(np.float32)


def reverberant(audio: Array, decay_s: float, direct_db: float, rng: np.random.Generator) -> Array:
    """Speech [S] in a room of this decay: noise falling by 60 dB in `decay_s`, after 2..10 ms."""
    from scipy.signal import fftconvolve

    size = round(decay_s * RATE_HZ)
    tail = rng.standard_normal(size) * 10 ** (-3 * np.arange(size) / size)
    tail[: round(rng.uniform(0.002, 0.010) * RATE_HZ)] = 0
    tail *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return np.asarray(fftconvolve(audio, tail)[: len(audio)], np.float32)


def _response(audio: Array, gains_db: tuple[float, ...]) -> Array:
    hz = np.fft.rfftfreq(len(audio), 1 / RATE_HZ)
    gain = 10 ** (np.interp(hz, _EQ_HZ, gains_db) / 20)
    return np.asarray(np.fft.irfft(np.fft.rfft(audio) * gain, len(audio)), np.float32)


def _noise(size: int, pauses: Sequence[Array], which: int, rng: np.random.Generator) -> Array:
    """Noise of unit level, [size]."""
    if not pauses:
        return coloured_noise(size, float(rng.uniform(0, 1)), rng)
    pause = pauses[which % len(pauses)]
    # Forth and back, so that no joint is heard where it repeats.
    looped = np.concatenate([pause, pause[::-1]])
    noise = np.resize(np.roll(looped, -int(rng.integers(len(looped)))), size).astype(np.float32)
    return noise / np.float32(np.sqrt(np.mean(np.square(noise, dtype=np.float64))) + 1e-9)


def gaps_of(audio: Array) -> NDArray[np.bool_]:
    """[S] where joined utterances have digital silence for 40 ms or more."""
    silent = np.concatenate([[False], audio == 0, [False]])
    edges = np.flatnonzero(np.diff(silent.astype(np.int8)))
    found = np.zeros(len(audio), bool)
    for start, end in edges.reshape(-1, 2).tolist():
        if end - start >= 0.04 * SAMPLE_RATE_HZ:
            found[start:end] = True
    return found


def load_pauses(folders: Sequence[Path]) -> list[Array]:
    """The noises of genuine folders, at 16 kHz, by name."""
    from sts_eval.audit.gather import PAUSES

    files = sorted(f for folder in folders for f in (folder / PAUSES).glob("*.flac"))
    found = [resample(load_audio(file), SAMPLE_RATE_HZ, RATE_HZ) for file in files]
    return [pause for pause in found if len(pause) >= _LEAST_PAUSE_S * RATE_HZ]
