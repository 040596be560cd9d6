"""Copy-synthesis: the same voice, words and channel, only the waveform made by a machine.

    world              WORLD analysis and synthesis (Morise et al., 2016), pyworld, extra [prosody]
    world_coded        the same from 40 numbers of envelope a frame, as vocoders of TTS had
    world_slow         the same from a frame every 10 ms
    griffin_lim        phases from magnitudes by iteration (Griffin and Lim, 1984)
    griffin_lim_long   windows of 64 ms and 60 iterations
    griffin_lim_short  windows of 21 ms and 12 iterations
    griffin_lim_mel    from 80 mel bands, what neural TTS predicts
    codec1..8          the reference codec, from its first 1..8 codebooks
    lpc                linear prediction, pulses and noise through it (Atal and Hanauer, 1971)
    lower, higher      a voice changer: pitch and formants moved by 3 semitones (Signalsmith
                       Stretch, Luff, 2023)
    hifigan, melgan... neural vocoders, where their wheels are installed: see `vocoders`

Copies of genuine recordings are the contrast that matters: a detector that separates a recording
from its copy has heard the vocoder and nothing else.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sts_eval.audit import AuditError
from sts_eval.audit.vocoders import vocode, vocoder_programs
from sts_eval.units import SAMPLE_RATE_HZ

Array = NDArray[np.float32]

GRIFFIN_LIM: Final = {  # samples of the window, iterations, mel bands
    "griffin_lim": (768, 32, 0),
    "griffin_lim_long": (1536, 60, 0),
    "griffin_lim_short": (512, 12, 0),
    "griffin_lim_mel": (1024, 32, 80),
}
WORLD: Final = ("world", "world_coded", "world_slow")
VOCODER_OF: Final = vocoder_programs()
FAMILY_OF: Final = {
    **dict.fromkeys(WORLD, "world"),
    **dict.fromkeys(GRIFFIN_LIM, "griffin_lim"),
    **{f"codec{k}": "codec" for k in range(1, 9)},
    "lpc": "lpc",
    "lower": "voice_changer",
    "higher": "voice_changer",
    **VOCODER_OF,
}
FAMILIES: Final = tuple(dict.fromkeys(f for a, f in FAMILY_OF.items() if a not in VOCODER_OF))


def programs_of(family: str) -> list[str]:
    """The attacks of a family."""
    return [attack for attack, of in FAMILY_OF.items() if of == family]


def copy_synthesis(audio: Array, attack: str) -> Array:
    """float32 [S] at 24 kHz, re-made; same length. Raises AuditError for an unknown attack."""
    if attack in WORLD:
        made = _world(audio, attack)
    elif attack in GRIFFIN_LIM:
        made = _griffin_lim(audio, *GRIFFIN_LIM[attack])
    elif attack == "lpc":
        made = _lpc(audio)
    elif attack in ("lower", "higher"):
        made = _changed(audio, -3.0 if attack == "lower" else 3.0)
    elif attack in VOCODER_OF:
        made = vocode(audio, attack)
    elif attack in FAMILY_OF:
        made = _codec(audio, int(attack.removeprefix("codec")))
    else:
        raise AuditError(f"no attack {attack!r}; known: {', '.join(FAMILY_OF)}")
    padded = np.pad(made, (0, max(0, len(audio) - len(made))))
    return padded[: len(audio)].astype(np.float32)


def load_pyworld() -> Any:
    """The vocoder's module. Raises AuditError where it is not installed."""
    try:
        import pyworld
    except ImportError as error:
        raise AuditError("WORLD is not installed: pip install 'sts-eval[prosody]'") from error
    return pyworld


def _world(audio: Array, attack: str) -> Array:
    pyworld = load_pyworld()
    wave = audio.astype(np.float64)
    period_ms = 10.0 if attack == "world_slow" else 5.0
    coarse, times = pyworld.dio(wave, SAMPLE_RATE_HZ, frame_period=period_ms)
    pitch = pyworld.stonemask(wave, coarse, times, SAMPLE_RATE_HZ)
    envelope = pyworld.cheaptrick(wave, pitch, times, SAMPLE_RATE_HZ)
    aperiodicity = pyworld.d4c(wave, pitch, times, SAMPLE_RATE_HZ)
    if attack == "world_coded":
        size = (envelope.shape[1] - 1) * 2
        few = pyworld.code_spectral_envelope(envelope, SAMPLE_RATE_HZ, 40)
        envelope = pyworld.decode_spectral_envelope(few, SAMPLE_RATE_HZ, size)
        coded = pyworld.code_aperiodicity(aperiodicity, SAMPLE_RATE_HZ)
        aperiodicity = pyworld.decode_aperiodicity(coded, SAMPLE_RATE_HZ, size)
    made = pyworld.synthesize(pitch, envelope, aperiodicity, SAMPLE_RATE_HZ, period_ms)
    return np.asarray(made, np.float32)


def _griffin_lim(audio: Array, size: int, iterations: int, mels: int) -> Array:
    import torch

    hop = size // 4
    window = torch.hann_window(size)
    wave = torch.from_numpy(np.ascontiguousarray(audio))

    def analysis(signal: Any) -> Any:
        return torch.stft(signal, size, hop, window=window, return_complex=True)

    magnitude = analysis(wave).abs()
    if mels:
        from sts_core.codec.features import mel_filters

        bank = mel_filters(mels, size, low_hz=0.0).T
        magnitude = (torch.linalg.pinv(bank) @ (bank @ magnitude)).clamp_min(0)
    generator = torch.Generator().manual_seed(0)
    phase = torch.polar(
        torch.ones_like(magnitude), 6.2832 * torch.rand(magnitude.shape, generator=generator)
    )
    for _ in range(iterations):
        made = torch.istft(magnitude * phase, size, hop, window=window, length=len(audio))
        again = analysis(made)
        phase = again / again.abs().clamp_min(1e-8)
    made = torch.istft(magnitude * phase, size, hop, window=window, length=len(audio))
    return np.asarray(made.numpy(), np.float32)


def _lpc(audio: Array, order: int = 26) -> Array:
    """Frames of 30 ms every 7.5 ms; voiced frames from one pulse a period, others from noise."""
    from scipy.linalg import solve_toeplitz
    from scipy.signal import lfilter

    pyworld = load_pyworld()
    size, hop = 720, 180
    wave = np.pad(audio.astype(np.float64), (size, size))
    coarse, times = pyworld.dio(wave, SAMPLE_RATE_HZ)
    pitch = np.interp(np.arange(len(wave)) / SAMPLE_RATE_HZ, times, coarse)
    voiced = np.interp(np.arange(len(wave)) / SAMPLE_RATE_HZ, times, coarse > 0) > 0.5
    noise = np.random.default_rng(0).standard_normal(len(wave))
    phase = np.cumsum(np.where(voiced, pitch, 0.0)) / SAMPLE_RATE_HZ
    pulses = np.diff(np.floor(phase), prepend=0.0) * np.sqrt(SAMPLE_RATE_HZ / 150)
    excitation = np.where(voiced, pulses, noise)
    window, made = np.hanning(size + 1)[:-1], np.zeros(len(wave))
    for start in range(0, len(wave) - size, hop):
        frame = wave[start : start + size] * window
        lags = np.correlate(frame, frame, "full")[size - 1 : size + order]
        if lags[0] < 1e-7:
            continue
        lags[0] *= 1.0001  # white noise correction: the filter stays stable
        weights = solve_toeplitz(lags[:-1], lags[1:])
        gain = np.sqrt(max(lags[0] - weights @ lags[1:], 0.0) / np.sum(window**2))
        shaped = lfilter([gain], [1.0, *-weights], excitation[start : start + size])
        made[start : start + size] += shaped * window * (2 * hop / size)
    return made[size:-size].astype(np.float32)


def _changed(audio: Array, semitones: float) -> Array:
    from python_stretch import Signalsmith

    stretch = Signalsmith.Stretch()
    stretch.preset(1, float(SAMPLE_RATE_HZ))
    stretch.setTransposeSemitones(semitones)
    return np.asarray(stretch.process(audio[None].astype(np.float32)), np.float32)[0]


def _codec(audio: Array, codebooks: int) -> Array:
    import torch

    with torch.inference_mode():
        codec = _reference_codec()
        codes = codec.encode(torch.from_numpy(np.ascontiguousarray(audio))[None, None])
        return np.asarray(codec.decode(codes[:, :codebooks])[0, 0].numpy(), np.float32)


@lru_cache(maxsize=1)
def _reference_codec() -> Any:
    from sts_eval.targets.core import load_codec

    return load_codec("reference")
