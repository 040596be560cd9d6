"""Audio copies: a landmark fingerprint tells whether two tracks hold the same recording.

After Wang (An industrial-strength audio search algorithm, ISMIR 2003), as Moshi uses it to look for
regurgitated audio (Defossez et al. 2024, section 6.2 and appendix B): the peaks of a spectrogram
are paired; a pair's two frequencies and their distance in time are one hash; hashes that two tracks
share vote for the offset between them (Hough), and a heap of votes at one offset is a common
recording. Level, band limits and noise leave it; another pitch or speed does not.

The spectrogram has 8 kHz audio, windows of 64 ms every 16 ms. A peak is the largest magnitude in
+-`PEAK_BINS` bins and +-`PEAK_FRAMES` frames and at most 50 dB below the track's largest. Each peak
is paired with the next `FAN_OUT` peaks that follow within 1 s. An offset is counted in bins of two
frames and its votes with those of the next bin, so that a shift by a fraction of a frame still
falls into one heap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

RATE_HZ = 8_000
WINDOW, HOP = 512, 128
HOP_S = HOP / RATE_HZ
PEAK_BINS, PEAK_FRAMES = 6, 5
RANGE_DB = 50.0
FAN_OUT = 8
MIN_FRAMES, MAX_FRAMES = 1, 63
OFFSET_FRAMES = 2


@dataclass(frozen=True)
class Landmarks:
    """Hashes int64 [n] of a track and the frame (16 ms) of the first peak of each, int64 [n]."""

    hashes: NDArray[np.int64]
    frames: NDArray[np.int64]


@dataclass(frozen=True)
class AudioMatch:
    """A recording that the query seems to hold.

    recording: its number in the index. votes: hashes that agree on the offset. offset_s: where the
    recording's start lies on the query's clock. start_s, end_s: the query's first and last hash
    that agrees.
    """

    recording: int
    votes: int
    offset_s: float
    start_s: float
    end_s: float


def landmarks(audio: Samples) -> Landmarks:
    """float32 [S] at 24 kHz -> its landmarks; none for silence and for less than 64 ms."""
    from scipy.ndimage import maximum_filter

    from sts_eval.audio import resample

    none = np.zeros(0, np.int64)
    low = resample(audio, SAMPLE_RATE_HZ, RATE_HZ)
    if low.size < WINDOW or not np.any(low):
        return Landmarks(none, none)
    windows = np.lib.stride_tricks.sliding_window_view(low, WINDOW)[::HOP]  # [T, WINDOW]
    tapered = windows * np.hanning(WINDOW).astype(np.float32)
    magnitude = np.abs(np.fft.rfft(tapered, axis=1))  # [T, WINDOW / 2 + 1]
    level = 20 * np.log10(magnitude + 1e-9)
    around = maximum_filter(level, size=(2 * PEAK_FRAMES + 1, 2 * PEAK_BINS + 1))
    frames, bins = np.nonzero((level == around) & (level > level.max() - RANGE_DB))
    hashes, times = [none], [none]
    for ahead in range(1, 4 * FAN_OUT):  # the peaks are in order of time
        if ahead >= frames.size:
            break
        apart = frames[ahead:] - frames[:-ahead]
        fits = (apart >= MIN_FRAMES) & (apart <= MAX_FRAMES)
        hashes.append(((bins[:-ahead] << 14) | (bins[ahead:] << 6) | apart)[fits])
        times.append(frames[:-ahead][fits])
    hashed, timed = np.concatenate(hashes), np.concatenate(times)
    # the nearest FAN_OUT partners of each peak: those found first
    order = np.argsort(timed, kind="stable")
    return _nearest_partners(hashed[order], timed[order])


def _nearest_partners(hashes: NDArray[np.int64], frames: NDArray[np.int64]) -> Landmarks:
    """Keep, of each frame's pairs, FAN_OUT for each of its peaks (a peak is a first frequency)."""
    peak = (frames << 9) | (hashes >> 14)
    order = np.argsort(peak, kind="stable")
    grouped = peak[order]
    first = np.searchsorted(grouped, grouped, "left")
    keep = np.sort(order[np.arange(grouped.size) - first < FAN_OUT])
    return Landmarks(hashes[keep], frames[keep])


class FingerprintIndex:
    """The landmarks of many recordings, sorted by hash. Nothing in it changes."""

    def __init__(self, recordings: Iterable[Landmarks]) -> None:
        made = list(recordings)
        hashes = [item.hashes for item in made]
        joined = np.concatenate(hashes) if hashes else np.zeros(0, np.int64)
        order = np.argsort(joined, kind="stable")
        numbers = np.repeat(np.arange(len(made)), [item.hashes.size for item in made])
        frames = [item.frames for item in made]
        self._hashes = joined[order]
        self._recording = numbers[order]
        self._frame = (np.concatenate(frames) if frames else np.zeros(0, np.int64))[order]

    def find(self, query: Landmarks, most: int = 8) -> list[AudioMatch]:
        """The recordings with most votes for one offset, best first."""
        low = np.searchsorted(self._hashes, query.hashes, "left")
        count = np.searchsorted(self._hashes, query.hashes, "right") - low
        asked = np.repeat(np.arange(count.size), count)
        if not asked.size:
            return []
        first = np.repeat(np.cumsum(count) - count, count)
        rows = np.repeat(low, count) + np.arange(asked.size) - first
        recording, at = self._recording[rows], query.frames[asked]
        offset = at - self._frame[rows]
        bins = offset // OFFSET_FRAMES
        span = np.int64(1) << 32
        keys, votes = np.unique(recording * span + bins + (span >> 1), return_counts=True)
        # a heap may lie across two bins: count each bin with the next one
        follows = np.concatenate([np.diff(keys) == 1, [False]])
        heaps = votes + np.where(follows, np.concatenate([votes[1:], [0]]), 0)
        best: dict[int, tuple[int, int]] = {}
        for key, heap in zip(keys[np.argsort(-heaps)], np.sort(heaps)[::-1], strict=True):
            best.setdefault(int(key // span), (int(heap), int(key % span - (span >> 1))))
            if len(best) >= most:
                break
        return [
            self._match(number, heap, place, recording, bins, at)
            for number, (heap, place) in best.items()
        ]

    @staticmethod
    def _match(
        number: int,
        votes: int,
        place: int,
        recording: NDArray[np.int64],
        bins: NDArray[np.int64],
        at: NDArray[np.int64],
    ) -> AudioMatch:
        agree = at[(recording == number) & ((bins == place) | (bins == place + 1))]
        return AudioMatch(
            recording=number,
            votes=votes,
            offset_s=(place + 1) * OFFSET_FRAMES * HOP_S,
            start_s=float(agree.min()) * HOP_S,
            end_s=float(agree.max()) * HOP_S,
        )
