"""The codec on files: load weights, encode a recording to an .npz of tokens, decode it again.

An .npz of tokens holds `codes` uint16 [K, T], and `codec`, `sample_rate_hz`, `frame_samples`,
`codebook_size` and `samples` (length of the recording), so that it says by itself what made it.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sts_core.checkpoint import WeightsError, load_weights
from sts_core.codec.base import AudioError, Codec, CodesError
from sts_core.codec.config import CodecConfig
from sts_core.codec.model import ReferenceCodec

WEIGHTS_KIND = "sts-core codec"
DEFAULT_WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "codec" / "codec.safetensors"
MAX_TOKENS = 1 << 26  # refuses absurd token files before they are expanded


class Tokens(NamedTuple):
    """A recording as tokens."""

    codes: NDArray[np.int64]  # [K, T]
    samples: int


def load_codec(path: Path | str | None = None, device: str = "cpu") -> ReferenceCodec:
    """The reference codec with its weights (None: those in the package); needs no network.

    Raises:
        WeightsError: missing, truncated, foreign, or not fitting its own configuration.
    """
    file = DEFAULT_WEIGHTS if path is None else Path(path)
    tensors, config = load_weights(file, WEIGHTS_KIND)
    try:
        codec = ReferenceCodec(CodecConfig(**config))
        codec.load_state_dict(tensors)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{file}: tensors and configuration do not fit: {error}") from error
    return codec.to(device).for_inference()


def read_wav(path: Path, sample_rate_hz: int) -> NDArray[np.float32]:
    """Mono audio float32 [S] of a file that already has the codec's rate.

    Raises:
        AudioError: unreadable, another rate, more than one channel, empty, or not finite.
    """
    import soundfile

    try:
        audio, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)  # [S, C]
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioError(f"{path}: cannot be read as audio: {error}") from error
    if rate_hz != sample_rate_hz:
        raise AudioError(
            f"{path}: {rate_hz} Hz, the codec needs {sample_rate_hz} Hz; resample it first"
        )
    if audio.shape[1] != 1:
        raise AudioError(f"{path}: {audio.shape[1]} channels, the codec needs one; mix down first")
    if not len(audio):
        raise AudioError(f"{path}: holds no audio")
    if not np.isfinite(audio).all():
        raise AudioError(f"{path}: holds samples that are not finite")
    return audio[:, 0]


def encode_file(source: Path, target: Path, codec: Codec | None = None) -> Tokens:
    """Encode a recording to an .npz of tokens.

    Raises:
        AudioError: see `read_wav`.
        WeightsError: see `load_codec`.
    """
    codec = codec or load_codec()
    audio = read_wav(source, codec.sample_rate_hz)
    codes = codec.encode(torch.from_numpy(audio)[None, None])[0].cpu().numpy()  # [K, T]
    with target.open("wb") as file:  # savez would append ".npz" to a path
        np.savez_compressed(
            file,
            codes=codes.astype(np.uint16),
            codec=np.array(codec.name),
            sample_rate_hz=np.array(codec.sample_rate_hz),
            frame_samples=np.array(codec.frame_samples),
            codebook_size=np.array(codec.codebook_size),
            samples=np.array(audio.size),
        )
    return Tokens(codes, audio.size)


def read_tokens(path: Path, codec: Codec) -> Tokens:
    """Tokens of an .npz written by `encode_file` with the same codec.

    Raises:
        CodesError: unreadable, incomplete, of another codec, or of impossible shape or range.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            codes, name = file["codes"], str(file["codec"])
            samples = int(file["samples"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CodesError(f"{path}: not a token file: {error}") from error
    if name != codec.name:
        raise CodesError(f"{path}: made by codec {name!r}, not {codec.name!r}")
    if codes.ndim != 2 or codes.size > MAX_TOKENS or codes.dtype.kind not in "iu":
        raise CodesError(f"{path}: codes of shape {codes.shape} and type {codes.dtype}")
    if not 0 <= samples <= codes.shape[1] * codec.frame_samples:
        raise CodesError(f"{path}: {samples} samples cannot come from {codes.shape[1]} frames")
    return Tokens(codes.astype(np.int64), samples)


def decode_file(
    source: Path, target: Path, codec: Codec | None = None, codebooks: int | None = None
) -> NDArray[np.float32]:
    """Decode an .npz of tokens to a 16-bit wav of the original length.

    Args:
        codebooks: use the first so many (None: all).

    Raises:
        CodesError: see `read_tokens`; or `codebooks` is not between 1 and what the file holds.
        WeightsError: see `load_codec`.
    """
    import soundfile

    codec = codec or load_codec()
    tokens = read_tokens(source, codec)
    if codebooks is not None and not 1 <= codebooks <= len(tokens.codes):
        raise CodesError(f"{codebooks} codebooks asked for, {source} holds {len(tokens.codes)}")
    codes = torch.from_numpy(tokens.codes[:codebooks])[None]
    audio = codec.decode(codes)[0, 0, : tokens.samples].cpu().numpy()
    soundfile.write(target, np.clip(audio, -1.0, 1.0), codec.sample_rate_hz, subtype="PCM_16")
    return audio
