"""One file as sound: what it is, its two hashes, and its samples at 24 kHz. Bounded memory.

The file is opened once, without following a link and without waiting on a pipe; both hashes and the
samples come from that one open file. It is decoded in blocks: each block is hashed, counted and
brought to 24 kHz mono (soxr, streaming) before the next is read, so an hour of 48 kHz stereo never
lies in memory as a whole.

- `sha256_bytes`: of the file as it lies on the disk.
- `sha256_pcm`: of "<rate> <channels>\\n" and then the decoded samples as little-endian float32,
  interleaved: equal for a WAV and a FLAC of the same samples.
- clipped share: samples in runs of three or more at the greatest magnitude of the channel, where
  that is 0.98 or more: a limiter or an overflow flattens peaks, a full-scale sine does not.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sts_eval.audio import (
    MAX_CHANNELS,
    MAX_FILE_BYTES,
    MAX_RATE_HZ,
    MIN_RATE_HZ,
    AudioError,
    decibels,
)
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

CLIPPING_FROM: Final = 0.98
CLIPPING_RUN: Final = 3
_BLOCK_FRAMES: Final = 1 << 18
_HASH_BYTES: Final = 1 << 20

_MAGIC: Final = (
    (b"RIFF", "WAV"), (b"RF64", "WAV"), (b"fLaC", "FLAC"), (b"OggS", "Ogg"), (b"FORM", "AIFF"),
    (b"ID3", "MP3"), (b"\xff\xfb", "MP3"), (b"\xff\xf3", "MP3"), (b"caff", "CAF"),
    (b".snd", "AU"), (b"#!AMR", "AMR"), (b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (b"\x89PNG", "a PNG picture"), (b"\xff\xd8\xff", "a JPEG picture"), (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"), (b"\x1f\x8b", "a gzip archive"), (b"\x7fELF", "a program"),
)  # fmt: skip


@dataclass(frozen=True)
class Sound:
    """What a file holds.

    samples: float32 [S], mono (mean of the channels), 24 kHz. seconds: by the decoded samples at
    the file's own rate. peak: greatest magnitude. clipped_share: of all samples, 0 to 1.
    """

    samples: Samples
    container: str
    codec: str
    sample_rate_hz: int
    channels: int
    seconds: float
    peak_dbfs: float
    clipped_share: float
    dc_offset: float
    sha256_bytes: str
    sha256_pcm: str


class UnusableFile(AudioError):
    """A file that is no usable sound; `sha256_bytes` is known where it could be read at all."""

    def __init__(self, message: str, sha256_bytes: str = "", is_audio: bool = True) -> None:
        super().__init__(message)
        self.sha256_bytes, self.is_audio = sha256_bytes, is_audio


def read_sound(path: Path, max_seconds: float) -> Sound:
    """Open, hash and decode one file. Raises UnusableFile with the reason."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise UnusableFile(f"cannot be opened: {getattr(error, 'strerror', error)}") from error
    try:
        digest, first = _hash_file(handle)
        if not first:
            raise UnusableFile("the file is empty (0 bytes)", digest)
        return _decode(handle, digest, first, max_seconds)
    finally:
        os.close(handle)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises UnusableFile."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise UnusableFile(f"cannot be opened: {getattr(error, 'strerror', error)}") from error
    try:
        return _hash_file(handle)[0]
    finally:
        os.close(handle)


def _hash_file(handle: int) -> tuple[str, bytes]:
    """SHA-256 of the whole file, and its first bytes."""
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        raise UnusableFile("not a regular file")
    if status.st_size > MAX_FILE_BYTES:
        raise UnusableFile(f"larger than {MAX_FILE_BYTES >> 30} GiB ({status.st_size} bytes)")
    digest, first = hashlib.sha256(), b""
    try:
        while block := os.read(handle, _HASH_BYTES):
            first = first or block[:64]
            digest.update(block)
        os.lseek(handle, 0, os.SEEK_SET)
    except OSError as error:
        raise UnusableFile(f"cannot be read: {error.strerror}") from error
    return digest.hexdigest(), first


def kind_of(first: bytes) -> str:
    """What the first bytes say a file is; "" when they say nothing known."""
    if first[4:8] == b"ftyp":
        return "MP4 or M4A"
    return next((name for magic, name in _MAGIC if first.startswith(magic)), "")


def _decode(handle: int, digest: str, first: bytes, max_seconds: float) -> Sound:
    import soundfile

    try:
        with soundfile.SoundFile(os.dup(handle), closefd=True) as file:
            _check_header(file, digest, max_seconds)
            return _read_blocks(file, digest, max_seconds)
    except (soundfile.SoundFileError, OSError, RuntimeError, ValueError, MemoryError) as error:
        said = kind_of(first)
        is_audio = said in ("WAV", "FLAC", "Ogg", "AIFF", "MP3", "CAF", "AU", "AMR") or (
            said.startswith(("MP4", "Matroska"))
        )
        what = " ".join(str(error).split()) or type(error).__name__
        what = what.split(": ", 1)[-1] if what.startswith("Error opening") else what
        hint = f"; it begins like {said}" if said else ""
        if said in ("AMR", "MP4 or M4A", "Matroska or WebM"):
            hint += ", which libsndfile does not read: convert a copy to FLAC"
        raise UnusableFile(f"not readable as audio: {what}{hint}", digest, is_audio) from error


def _check_header(file: Any, digest: str, max_seconds: float) -> None:
    if not 1 <= file.channels <= MAX_CHANNELS:
        raise UnusableFile(f"{file.channels} channels (1 to {MAX_CHANNELS} allowed)", digest)
    if not MIN_RATE_HZ <= file.samplerate <= MAX_RATE_HZ:
        raise UnusableFile(f"a sample rate of {file.samplerate} Hz is not usable", digest)
    if file.frames / file.samplerate > max_seconds:
        seconds = file.frames / file.samplerate
        raise UnusableFile(f"{seconds:.0f} s long, longer than {max_seconds:g} s", digest)


def _read_blocks(file: Any, digest: str, max_seconds: float) -> Sound:
    import soxr

    rate, channels = int(file.samplerate), int(file.channels)
    stream = soxr.ResampleStream(rate, SAMPLE_RATE_HZ, 1, dtype="float32", quality="HQ")
    pcm = hashlib.sha256(f"{rate} {channels}\n".encode())
    parts: list[Samples] = []
    frames, peak, total = 0, 0.0, 0.0
    clipping = _Clipping(channels)
    while len(block := file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):  # [F, C]
        frames += len(block)
        if frames > max_seconds * rate + 1:
            raise UnusableFile(f"longer than {max_seconds:g} s", digest)
        part_sum = float(np.sum(block, dtype=np.float64))
        if not np.isfinite(part_sum):
            raise UnusableFile("holds samples that are NaN or infinite", digest)
        pcm.update(np.ascontiguousarray(block, "<f4").tobytes())
        peak = max(peak, float(np.max(np.abs(block))))
        total += part_sum
        clipping.add(block)
        mono = np.ascontiguousarray(block.mean(axis=1), np.float32)
        parts.append(mono if rate == SAMPLE_RATE_HZ else stream.resample_chunk(mono))
    if frames == 0:
        raise UnusableFile("holds no samples", digest)
    if rate != SAMPLE_RATE_HZ:
        parts.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    return Sound(
        samples=np.concatenate(parts),
        container=str(file.format),
        codec=str(file.subtype),
        sample_rate_hz=rate,
        channels=channels,
        seconds=frames / rate,
        peak_dbfs=decibels(peak),
        clipped_share=clipping.share(peak),
        dc_offset=total / (frames * channels),
        sha256_bytes=digest,
        sha256_pcm=pcm.hexdigest(),
    )


class _Clipping:
    """Counts samples in flat runs at high magnitude, by magnitude, while blocks pass by."""

    def __init__(self, channels: int) -> None:
        self._counts: dict[float, int] = {}
        self._samples = 0
        self._channels = channels

    def add(self, block: NDArray[np.float32]) -> None:
        """One block, float32 [F, C]; runs across block borders count as two."""
        self._samples += block.size
        loud = np.abs(block) >= CLIPPING_FROM
        if not loud.any():
            return
        for channel in range(self._channels):
            if loud[:, channel].any():
                self._count(block[:, channel])

    def _count(self, track: NDArray[np.float32]) -> None:
        # A run is a stretch of equal samples; its ends are where the value changes.
        starts = np.concatenate([[0], np.flatnonzero(np.diff(track)) + 1])
        lengths = np.diff(np.concatenate([starts, [len(track)]]))
        values = np.abs(track[starts])
        flat = (lengths >= CLIPPING_RUN) & (values >= CLIPPING_FROM)
        for value, length in zip(values[flat], lengths[flat], strict=True):
            self._counts[float(value)] = self._counts.get(float(value), 0) + int(length)

    def share(self, peak: float) -> float:
        """Share of samples in flat runs within 2 % of the peak."""
        flat = sum(count for value, count in self._counts.items() if value >= 0.98 * peak)
        return flat / self._samples if self._samples else 0.0
