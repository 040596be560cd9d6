"""How much a change of the acoustic latent is heard.

A latent learns directions that carry most of its variance and hardly change the sound, and quiet
ones that decide between two vowels: an error of 0.6 % of the variance can cost half of the words.
Distances are therefore taken as the decoder passes them on, in the log-mel spectrum m:

    G = E[J' J],  J = dm / dx        |M e|^2 = e' (G + floor) e, for an error e of the latent

J' v for random v is one backward pass through the decoder (Hutchinson, 1990), for all frames at
once. M is the symmetric root, scaled so that latents have unit variance on average.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sts_core.codec.features import mel_filters
from sts_core.codec.model import ReferenceCodec
from sts_core.codec.network import Latents

BANDS, FFT, HOP = 64, 1024, 240
QUIET = 1e-3  # power under which a band's changes are no longer heard
FLOOR = 1e-3  # of the mean eigenvalue: what is hardly heard still has a place


def hearing(codec: ReferenceCodec, codes: Tensor, draws: int = 12, seed: int = 0) -> Tensor:
    """The matrix M [D, D] for speech like this: heard distances of latents x are those of x M.

    Args:
        codes: int64 [B, T, K], frames in which somebody speaks.
    """
    generator = torch.Generator().manual_seed(seed)
    latents = codec.latents(codes)
    filters, window = mel_filters(BANDS, FFT).t(), torch.hann_window(FFT)
    total = torch.zeros(latents.acoustic.shape[-1], latents.acoustic.shape[-1])
    for _ in range(draws):
        acoustic = latents.acoustic.clone().requires_grad_(True)
        state = codec.decoder_state(len(codes))
        audio, _ = codec.decoder.step(Latents(latents.semantic, acoustic, latents.octaves), state)
        spectrum = torch.stft(audio, FFT, HOP, window=window, return_complex=True).abs().square()
        mel = torch.log(filters @ spectrum + QUIET)  # [B, bands, F]
        (mel * torch.randn(mel.shape, generator=generator)).sum().backward()
        assert acoustic.grad is not None
        told = acoustic.grad.flatten(0, 1)
        total += told.t() @ told
    values, vectors = torch.linalg.eigh(total)
    root = vectors * (values.clamp(min=0) + FLOOR * values.mean()).sqrt() @ vectors.t()
    heard = latents.acoustic.flatten(0, 1) @ root
    return root / heard.std(dim=0).square().mean().sqrt()
