"""Waveform peaks: what the page draws instead of the samples.

For each 10 ms bin of a track (240 samples; the resolution to which onsets are refined; coarser in
traces of more than a minute) the lowest and the highest sample, as two signed bytes. Both tracks of
a trace share one scale, so that their loudness can be compared by eye: byte b stands for
b / 127 x scale.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

FINEST_BIN_SAMPLES = SAMPLE_RATE_HZ // 100
MOST_BINS = 6000  # more than any screen has columns
QUIETEST_SCALE = 0.02  # a silent trace is drawn as a flat line, not as its amplified noise


@dataclass(frozen=True)
class Peaks:
    """Peaks of both tracks.

    user, agent: base64 of int8 [bins, 2], the second axis (lowest, highest).
    bin_s: width of a bin, seconds. scale: the amplitude that byte 127 stands for.
    """

    user: str
    agent: str
    bin_s: float
    scale: float


def trace_peaks(user: Samples, agent: Samples) -> Peaks:
    """Peaks of two tracks, float32 [S] each."""
    longest = max(len(user), len(agent))
    bin_samples = FINEST_BIN_SAMPLES * max(1, -(-longest // (FINEST_BIN_SAMPLES * MOST_BINS)))
    loudest = max((float(np.max(np.abs(t))) for t in (user, agent) if len(t)), default=0.0)
    scale = max(loudest, QUIETEST_SCALE)
    return Peaks(
        user=_encoded(user, bin_samples, scale),
        agent=_encoded(agent, bin_samples, scale),
        bin_s=bin_samples / SAMPLE_RATE_HZ,
        scale=round(scale, 4),
    )


def bin_extremes(track: Samples, bin_samples: int) -> NDArray[np.float32]:
    """Lowest and highest sample of each bin: float32 [bins, 2]; the last bin may be short."""
    bins = -(-len(track) // bin_samples)
    if bins == 0:
        return np.zeros((0, 2), np.float32)
    padded = np.pad(track, (0, bins * bin_samples - len(track)), mode="edge")
    folded = padded.reshape(bins, bin_samples)  # [bins, bin_samples]
    return np.stack([folded.min(axis=1), folded.max(axis=1)], axis=1)


def _encoded(track: Samples, bin_samples: int, scale: float) -> str:
    scaled = np.clip(np.rint(bin_extremes(track, bin_samples) / scale * 127), -127, 127)
    return base64.b64encode(scaled.astype(np.int8).tobytes()).decode("ascii")
