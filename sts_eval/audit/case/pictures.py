"""What a person looks at and listens to: a spectrogram and a small copy of a recording.

Both cover its first five minutes. The recording itself stays the evidence; its hash is in the log.
Both are made cheaply: an audit of thousands of files spends its time on the questions. Vorbis takes
an eighth of the time of Opus (20 ms against 160 for 6 s) and half as many bytes again.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

MOST_SECONDS: Final = 300
WIDTH_PX: Final = 900
HEIGHT_PX: Final = 160
_RANGE_DB: Final = 70.0
_FFT: Final = 512
_VORBIS_LEVEL: Final = 0.9  # of libsndfile, 1 is the smallest: 37 kbit/s for speech


def spectrogram(samples: Samples) -> bytes:
    """A WebP picture of 0 to 12 kHz over time, 70 dB deep, of float32 [S] at 24 kHz."""
    from PIL import Image
    from scipy.fft import rfft

    samples = samples[: MOST_SECONDS * SAMPLE_RATE_HZ]
    hop = max(_FFT // 4, -(-len(samples) // WIDTH_PX))
    padded = np.pad(samples, (_FFT // 2, _FFT))
    # Long hops would skip sound, so each column is the mean of up to four frames in it.
    parts = min(4, -(-hop // (_FFT // 2)))
    count = max(1, len(samples) // hop)
    window = np.hanning(_FFT).astype(np.float32)
    power = np.zeros((count, _FFT // 2 + 1), np.float32)
    for part in range(parts):
        starts = np.arange(count) * hop + part * hop // parts
        frames = padded[starts[:, None] + np.arange(_FFT)] * window  # [count, FFT]
        spectrum = rfft(frames, axis=1)  # float32, where numpy would take double precision
        power += np.square(spectrum.real) + np.square(spectrum.imag)
    level = 10 * np.log10(power + 1e-10)
    top = max(float(level.max()), -20.0)
    shade = np.clip((level - top + _RANGE_DB) / _RANGE_DB, 0, 1)
    image = Image.fromarray((shade.T[::-1] * 255).astype(np.uint8))
    image = image.resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.BILINEAR)
    coloured = Image.fromarray(_colours()[np.asarray(image)])
    buffer = io.BytesIO()
    coloured.save(buffer, "WEBP", quality=55, method=0)
    return buffer.getvalue()


def listening_copy(samples: Samples) -> bytes:
    """Mono Ogg/Vorbis of float32 [S] at 24 kHz. Equal sound, equal bytes."""
    import soundfile

    from sts_eval.report.opus import with_fixed_serial

    samples = samples[: MOST_SECONDS * SAMPLE_RATE_HZ]
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer,
        "w",
        samplerate=SAMPLE_RATE_HZ,
        channels=1,
        format="OGG",
        subtype="VORBIS",
        compression_level=_VORBIS_LEVEL,
    ) as file:
        # One second at a time: libsndfile's Ogg writers keep a whole call on the stack.
        for start in range(0, len(samples), SAMPLE_RATE_HZ):
            file.write(samples[start : start + SAMPLE_RATE_HZ])
    return with_fixed_serial(buffer.getvalue())


@lru_cache(maxsize=1)
def _colours() -> NDArray[np.uint8]:
    """Black, violet, orange, pale yellow: [256, 3], rising in lightness throughout."""
    stops = np.array([[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]])
    places = np.linspace(0, 255, len(stops))
    channels = [np.interp(np.arange(256), places, stops[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).astype(np.uint8)
