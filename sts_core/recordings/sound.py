"""Untrusted recordings in, block by block: checked, resampled to 24 kHz, clipped samples counted.

A sample counts as clipped when it belongs to

    two or more samples in a row at 0.999 of full scale or above, or
    four or more equal samples in a row within 1 % of the channel's largest value (from 0.1 on):
    a clipped recording that was turned down later

Both are looked for at the recording's own rate: resampling rounds flat tops off. A pure tone below
some 60 Hz in 16 bits has flat tops, too; speech has none.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sts_core.data.manifest import MAX_RATE_HZ, MIN_RATE_HZ
from sts_core.units import HOP_RATE_HZ, HOP_SAMPLES, SAMPLE_RATE_HZ

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".oga", ".aif", ".aiff", ".mp3", ".w64", ".caf")
MAX_FILE_BYTES = 4 << 30
BLOCK_SAMPLES = 1 << 19
FULL_SCALE, FULL_RUN = 0.999, 2
FLAT_RUN, NEAR_PEAK, LEAST_PEAK = 4, 0.99, 0.1

Audio = NDArray[np.float32]


class RecordingError(ValueError):
    """A recording cannot be used; the message says why, without the path of its folder."""


class Recording(NamedTuple):
    """One file, decoded.

    channels: float32 [S] each, 24 kHz. clipped: clipped samples in each 10 ms of each channel,
    int64 [ceil(S / 240)]; they are samples at `rate_hz`. seconds: by its own clock.
    """

    channels: list[Audio]
    clipped: list[NDArray[np.int64]]
    rate_hz: int
    seconds: float


def check_file(path: Path) -> None:
    """Raises RecordingError for what is no regular file, empty, or too large."""
    try:
        status = path.stat()
    except OSError as error:
        raise RecordingError(error.strerror or str(error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise RecordingError("not a regular file")
    if status.st_size == 0:
        raise RecordingError("the file is empty (0 bytes)")
    if status.st_size > MAX_FILE_BYTES:
        raise RecordingError(f"larger than {MAX_FILE_BYTES >> 30} GiB: split it")


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises RecordingError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RecordingError(error.strerror or str(error)) from error


def read_recording(path: Path, *, longest_s: float) -> Recording:
    """Decode a file of one or two channels.

    Raises:
        RecordingError: unreadable, corrupt, empty, not finite, more than two channels, a rate
            outside 4 to 384 kHz, or longer than `longest_s`.
    """
    import soundfile

    check_file(path)
    try:
        # libsndfile itself opens no name that is not UTF-8
        with path.open("rb") as raw, soundfile.SoundFile(raw) as file:
            peaks = _peaks(file, longest_s)  # [C]
            file.seek(0)
            return _decoded(file, peaks)
    except (soundfile.SoundFileError, OSError, RuntimeError, MemoryError) as error:
        reason = getattr(error, "error_string", None) or getattr(error, "strerror", None)
        reason = reason or str(error) or "not enough memory"
        raise RecordingError(f"cannot be read as audio: {reason}") from error


def _peaks(file: Any, longest_s: float) -> Audio:
    """Largest absolute value of each channel [C], after every check that needs all samples."""
    if not 1 <= file.channels <= 2:
        raise RecordingError(f"{file.channels} channels: one or two are expected")
    if not MIN_RATE_HZ <= file.samplerate <= MAX_RATE_HZ:
        raise RecordingError(f"a rate of {file.samplerate} Hz is not supported")
    limit = longest_s * file.samplerate
    too_long = f"longer than {longest_s:g} s: split it, or raise the limit"
    if file.frames > limit:
        raise RecordingError(too_long)
    peaks, total = np.zeros(file.channels, np.float32), 0
    for block in _blocks(file):  # the header may lie: lengths are counted
        total += len(block)
        if total > limit:
            raise RecordingError(too_long)
        if not np.isfinite(block).all():
            raise RecordingError("holds samples that are not finite numbers")
        peaks = np.maximum(peaks, np.abs(block).max(axis=0))
    if total == 0:
        raise RecordingError("holds no samples")
    return peaks


def _decoded(file: Any, peaks: Audio) -> Recording:
    import soxr

    rate_hz, channels = int(file.samplerate), int(file.channels)
    resampler = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, channels, dtype="float32")
    parts: list[list[Audio]] = [[] for _ in range(channels)]
    clipped: list[list[NDArray[np.int64]]] = [[] for _ in range(channels)]
    total = 0
    for block in _blocks(file):
        for found, column, peak in zip(clipped, block.T, peaks, strict=True):
            found.append(total + np.flatnonzero(clipped_samples(column, float(peak))))
        total += len(block)
        _add(parts, resampler.resample_chunk(block))
    _add(parts, resampler.resample_chunk(np.zeros((0, channels), np.float32), last=True))
    sound = [np.concatenate(part) for part in parts]
    hops = -(-sound[0].size // HOP_SAMPLES)
    return Recording(
        channels=sound,
        clipped=[_by_hop(np.concatenate(found), rate_hz, hops) for found in clipped],
        rate_hz=rate_hz,
        seconds=total / rate_hz,
    )


def _add(parts: list[list[Audio]], block: Audio) -> None:
    """A block [n, C] to the parts of each channel: kept apart, so that a long file fits."""
    for own, column in zip(parts, block.reshape(-1, len(parts)).T, strict=True):
        own.append(np.ascontiguousarray(column))


def _blocks(file: Any) -> Iterator[Audio]:
    """float32 [n, C] until the end."""
    while len(block := file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)):
        yield block


def clipped_samples(samples: Audio, peak: float) -> NDArray[np.bool_]:
    """bool [S]: which samples are clipped; `peak` is the largest value of the whole channel."""
    size = np.abs(samples)
    found = _long_runs(size >= FULL_SCALE, FULL_RUN)
    if peak >= LEAST_PEAK:
        equal = np.diff(samples) == 0
        near = size >= NEAR_PEAK * peak
        pairs = _long_runs(equal & near[1:], FLAT_RUN - 1)
        found[1:] |= pairs
        found[:-1] |= pairs
    return found


def _long_runs(flags: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """Only those runs of True that have `least` members."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    kept = np.zeros_like(flags)
    for start, end in edges.reshape(-1, 2):
        if end - start >= least:
            kept[start:end] = True
    return kept


def _by_hop(positions: NDArray[np.int64], rate_hz: int, hops: int) -> NDArray[np.int64]:
    at = np.minimum(positions * HOP_RATE_HZ // rate_hz, max(hops - 1, 0))
    return np.bincount(at, minlength=hops)
