"""Audio in and out: untrusted files to float32 mono 24 kHz, traces to stereo FLAC.

Inside the harness audio is a float32 array in [-1, 1] at 24 kHz (`sts_eval.units`). Whatever a user
or a target hands over passes through here once and is refused with an `AudioError` that says why:
corrupt, empty, non-finite, without channels, at a silly rate, or longer than allowed. Sizes are
checked from the header before anything is decoded, and again while decoding (headers lie).

Levels are dBFS: 0 dB is the RMS of a full-scale square wave, so a full-scale sine has -3 dBFS.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

MIN_RATE_HZ: Final = 4_000
MAX_RATE_HZ: Final = 384_000
MAX_CHANNELS: Final = 64
MAX_FILE_BYTES: Final = 4 << 30
SILENCE_DBFS: Final = -120.0
"""Reported for digital silence, whose level has no logarithm."""

LEVEL_FRAME_S: Final = 0.02
ACTIVE_RANGE_DB: Final = 30.0
_BLOCK_FRAMES: Final = 1 << 20


class AudioError(Exception):
    """Audio that cannot be used. The message says what is wrong with it."""


def load_audio(
    path: Path | str, *, max_seconds: float = 3600.0, channel: int | None = None
) -> Samples:
    """Read any file that libsndfile knows (WAV, FLAC, Ogg Vorbis/Opus, AIFF, MP3, ...).

    channel: index of the channel to take; None takes the mean of all.
    Returns float32 [S] at 24 kHz. Raises AudioError.
    """
    file = Path(path)
    data, rate_hz = _decode(file, max_seconds)  # [S, C]
    if channel is not None and not 0 <= channel < data.shape[1]:
        raise AudioError(f"{file.name}: no channel {channel}, the file has {data.shape[1]}")
    mono = data.mean(axis=1) if channel is None else data[:, channel]
    return resample(np.ascontiguousarray(mono, np.float32), rate_hz, SAMPLE_RATE_HZ)


def read_stereo(path: Path | str, *, max_seconds: float = 4 * 3600.0) -> tuple[Samples, Samples]:
    """Read a two-channel file as (left, right), float32 [S] each at 24 kHz. Raises AudioError."""
    file = Path(path)
    data, rate_hz = _decode(file, max_seconds)
    if data.shape[1] != 2:
        raise AudioError(f"{file.name}: needs 2 channels, has {data.shape[1]}")
    left, right = (
        resample(np.ascontiguousarray(data[:, k]), rate_hz, SAMPLE_RATE_HZ) for k in range(2)
    )
    return left, right


def _decode(file: Path, max_seconds: float) -> tuple[NDArray[np.float32], int]:
    """Samples as stored, float32 [S, C], and their rate in Hz. Raises AudioError."""
    import soundfile

    _check_file(file)
    try:
        with soundfile.SoundFile(str(file)) as sound:
            _check_header(file, sound, max_seconds)
            limit = math.ceil(max_seconds * sound.samplerate)
            blocks = []
            total = 0
            while len(block := sound.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
                blocks.append(block)
                total += len(block)
                if total > limit:
                    raise AudioError(f"{file.name}: longer than {max_seconds:g} s")
            rate_hz = int(sound.samplerate)
    except (soundfile.SoundFileError, OSError, RuntimeError, ValueError, MemoryError) as error:
        raise AudioError(f"{file.name}: not readable as audio: {_one_line(error)}") from error
    if total == 0:
        raise AudioError(f"{file.name}: holds no samples")
    data = np.concatenate(blocks)
    check_finite(data, file.name)
    return data, rate_hz


def _check_file(file: Path) -> None:
    try:
        status = file.stat()
    except OSError as error:
        raise AudioError(f"{file.name}: {error.strerror or error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise AudioError(f"{file.name}: not a regular file")
    if status.st_size == 0:
        raise AudioError(f"{file.name}: the file is empty (0 bytes)")
    if status.st_size > MAX_FILE_BYTES:
        raise AudioError(f"{file.name}: larger than {MAX_FILE_BYTES >> 30} GiB")


def _check_header(file: Path, sound: Any, max_seconds: float) -> None:
    if not 1 <= sound.channels <= MAX_CHANNELS:
        raise AudioError(f"{file.name}: {sound.channels} channels (1 to {MAX_CHANNELS} allowed)")
    if not MIN_RATE_HZ <= sound.samplerate <= MAX_RATE_HZ:
        raise AudioError(
            f"{file.name}: sample rate {sound.samplerate} Hz "
            f"(between {MIN_RATE_HZ} and {MAX_RATE_HZ} Hz allowed)"
        )
    seconds = sound.frames / sound.samplerate
    if seconds > max_seconds:
        raise AudioError(f"{file.name}: {seconds:.1f} s long, longer than {max_seconds:g} s")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def check_finite(samples: NDArray[np.float32], what: str) -> None:
    """Raise AudioError when there is a NaN or an infinity among the samples."""
    # One NaN or infinity makes the sum non-finite, and a sum is cheaper than an array of flags;
    # the flags decide where large finite values overflowed it.
    if math.isfinite(float(np.sum(samples, dtype=np.float64))):
        return
    bad = int(np.count_nonzero(~np.isfinite(samples)))
    if bad:
        raise AudioError(f"{what}: {bad} samples are NaN or infinite")


def resample(samples: Samples, from_hz: float, to_hz: float) -> Samples:
    """Band-limited resampling (soxr, high quality), float32 [S] -> float32 [S * to / from]."""
    if from_hz <= 0 or to_hz <= 0:
        raise ValueError("sample rates must be positive")
    if from_hz == to_hz or samples.size == 0:
        return samples.astype(np.float32, copy=False)
    import soxr

    return np.asarray(soxr.resample(samples, from_hz, to_hz, quality="HQ"), np.float32)


def write_flac_stereo(path: Path, user: Samples, agent: Samples) -> None:
    """Write two float32 [S] tracks as one 16-bit 24 kHz FLAC (left user, right agent), atomically.

    Samples beyond [-1, 1] are clipped. Raises AudioError for unequal lengths or non-finite samples.
    """
    if user.shape != agent.shape or user.ndim != 1:
        raise AudioError(f"tracks of unequal shape: {user.shape} and {agent.shape}")
    check_finite(user, "user track")
    check_finite(agent, "agent track")

    def write(sound: Any) -> None:
        for start in range(0, len(user), _BLOCK_FRAMES):
            part = slice(start, start + _BLOCK_FRAMES)
            sound.write(np.stack([user[part], agent[part]], axis=1))

    _write_flac(path, 2, write)


def write_flac(path: Path, samples: Samples) -> None:
    """Write one float32 [S] track as 16-bit 24 kHz FLAC, atomically. Raises AudioError."""
    check_finite(samples, path.name)
    _write_flac(path, 1, lambda sound: sound.write(samples))


def _write_flac(path: Path, channels: int, write: Callable[[Any], None]) -> None:
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with soundfile.SoundFile(
            str(temporary),
            "w",
            samplerate=SAMPLE_RATE_HZ,
            channels=channels,
            format="FLAC",
            subtype="PCM_16",
            # Level 0 encodes an hour of two tracks in about 2 s and costs 2 % in size.
            compression_level=0.0,
        ) as sound:
            write(sound)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def audio_hash(samples: Samples) -> str:
    """Hex SHA-256 of the samples as little-endian float32: the key of every score cache."""
    return hashlib.sha256(np.ascontiguousarray(samples, "<f4").tobytes()).hexdigest()


def decibels(rms: float) -> float:
    """20 log10 of an amplitude, not below `SILENCE_DBFS`."""
    return max(SILENCE_DBFS, 20 * math.log10(rms)) if rms > 0 else SILENCE_DBFS


def rms_dbfs(samples: Samples) -> float:
    """Level of the whole clip, dBFS; `SILENCE_DBFS` for silence and for an empty clip."""
    if samples.size == 0:
        return SILENCE_DBFS
    return decibels(math.sqrt(float(np.mean(np.square(samples, dtype=np.float64)))))


def frame_levels_dbfs(samples: Samples, frame_s: float = LEVEL_FRAME_S) -> NDArray[np.float64]:
    """Level of each whole frame, dBFS [S // frame]; a shorter rest at the end is left out."""
    width = round(frame_s * SAMPLE_RATE_HZ)
    frames = samples[: len(samples) // width * width].reshape(-1, width)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    return 10 * np.log10(np.maximum(power, 10 ** (SILENCE_DBFS / 10)))


def active_level_dbfs(samples: Samples) -> float:
    """Level of the active part, dBFS: what signal-to-noise ratios refer to.

    The RMS over those 20 ms frames that are within 30 dB of the loudest twentieth (95th
    percentile), so that silence around or inside an utterance does not lower it (the idea of ITU-T
    P.56 without its hysteresis). `SILENCE_DBFS` for silence.
    """
    levels = frame_levels_dbfs(samples)
    if levels.size == 0:
        return rms_dbfs(samples)
    active = levels[levels >= np.percentile(levels, 95) - ACTIVE_RANGE_DB]
    power = float(np.mean(10 ** (active / 10)))
    return max(SILENCE_DBFS, 10 * math.log10(power))
