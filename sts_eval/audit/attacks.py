"""Copy-synthesis: the same voice, words and channel, only the waveform made by a machine.

    world         WORLD analysis and synthesis (Morise et al., 2016), pyworld, extra [eval]
    griffin_lim   phases from magnitudes by iteration (Griffin and Lim, 1984)
    codec1..8     the reference codec, from its first 1..8 codebooks

Copies of genuine recordings are the contrast that matters: a detector that separates a recording
from its copy has heard the vocoder and nothing else.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sts_eval.audit import AuditError
from sts_eval.units import SAMPLE_RATE_HZ

Array = NDArray[np.float32]

FAMILY_OF: Final = {
    "world": "world",
    "griffin_lim": "griffin_lim",
    **{f"codec{k}": "codec" for k in range(1, 9)},
}


def copy_synthesis(audio: Array, attack: str) -> Array:
    """float32 [S] at 24 kHz, re-made; same length. Raises AuditError for an unknown attack."""
    if attack == "world":
        made = _world(audio)
    elif attack == "griffin_lim":
        made = _griffin_lim(audio)
    elif attack in FAMILY_OF:
        made = _codec(audio, int(attack.removeprefix("codec")))
    else:
        raise AuditError(f"no attack {attack!r}; known: {', '.join(FAMILY_OF)}")
    padded = np.pad(made, (0, max(0, len(audio) - len(made))))
    return padded[: len(audio)].astype(np.float32)


def _world(audio: Array) -> Array:
    try:
        import pyworld
    except ImportError as error:
        raise AuditError("WORLD is not installed: pip install 'sts-eval[eval]'") from error
    wave = audio.astype(np.float64)
    coarse, times = pyworld.dio(wave, SAMPLE_RATE_HZ)
    pitch = pyworld.stonemask(wave, coarse, times, SAMPLE_RATE_HZ)
    envelope = pyworld.cheaptrick(wave, pitch, times, SAMPLE_RATE_HZ)
    aperiodicity = pyworld.d4c(wave, pitch, times, SAMPLE_RATE_HZ)
    made = pyworld.synthesize(pitch, envelope, aperiodicity, SAMPLE_RATE_HZ)
    return np.asarray(made, np.float32)


def _griffin_lim(audio: Array, iterations: int = 32) -> Array:
    import torch

    size, hop = 768, 192
    window = torch.hann_window(size)
    wave = torch.from_numpy(np.ascontiguousarray(audio))

    def analysis(signal: Any) -> Any:
        return torch.stft(signal, size, hop, window=window, return_complex=True)

    magnitude = analysis(wave).abs()
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
