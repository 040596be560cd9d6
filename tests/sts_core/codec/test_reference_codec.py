"""The reference codec: shapes, streaming equals offline, prefixes, and errors for bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sts_core.checkpoint import WeightsError, save_weights
from sts_core.codec.base import AudioError, Codec, CodesError
from sts_core.codec.config import CodecConfig
from sts_core.codec.files import (
    DEFAULT_WEIGHTS,
    decode_file,
    encode_file,
    load_codec,
    read_tokens,
)
from sts_core.codec.model import ReferenceCodec
from sts_core.data.cache import SpeechCache
from sts_core.train.losses import SpectralLoss

FRAME = 1_920


@pytest.fixture(scope="module")
def codec() -> ReferenceCodec:
    """The shipped weights."""
    return load_codec()


@pytest.fixture(scope="module")
def speech(speech_cache: SpeechCache) -> torch.Tensor:
    """Five seconds of speech [1, 1, S] that is no whole number of frames."""
    pieces = [speech_cache.audio(index) for index in range(4)]
    audio = np.concatenate(pieces)[: 60 * FRAME + 700].astype(np.float32) / 32768
    return torch.from_numpy(audio)[None, None]


def test_it_is_a_codec(codec: ReferenceCodec) -> None:
    assert isinstance(codec, Codec)
    assert (codec.sample_rate_hz, codec.frame_samples, codec.num_codebooks) == (24_000, FRAME, 8)
    bits_per_second = 12.5 * codec.num_codebooks * np.log2(codec.codebook_size)
    assert bits_per_second <= 1_100


def test_real_speech_survives(codec: ReferenceCodec, speech: torch.Tensor) -> None:
    codes = codec.encode(speech)
    decoded = codec.decode(codes)
    frames = -(-speech.shape[-1] // FRAME)
    assert codes.shape == (1, 8, frames)
    assert codes.dtype == torch.int64
    assert decoded.shape == (1, 1, frames * FRAME)
    spectral = SpectralLoss(linear_weight=0.0)
    reference = torch.nn.functional.pad(speech, (0, -speech.shape[-1] % FRAME))[:, 0]
    near = float(spectral(reference, decoded[:, 0]))
    other = float(spectral(reference, decoded[:, 0].roll(20 * FRAME, dims=1)))
    assert near < 0.6 * other  # closer to its own recording than to the same voice elsewhere
    levels = [float(x.square().mean().sqrt()) for x in (reference, decoded)]
    assert 0.7 < levels[1] / levels[0] < 1.4


def test_more_codebooks_come_closer(codec: ReferenceCodec, speech: torch.Tensor) -> None:
    codes = codec.encode(speech)
    spectral = SpectralLoss(linear_weight=0.0)
    distance = [
        float(spectral(speech[:, 0], codec.decode(codes[:, :n])[:, 0, : speech.shape[-1]]))
        for n in (1, 2, 4, 8)
    ]
    assert distance == sorted(distance, reverse=True)


@given(splits=st.lists(st.integers(1, 12), min_size=2, max_size=5), rows=st.integers(1, 2))
@settings(max_examples=5, deadline=None)
def test_streaming_equals_offline(
    codec: ReferenceCodec, speech: torch.Tensor, splits: list[int], rows: int
) -> None:
    audio = torch.cat([speech.roll(4_321 * row, dims=-1) for row in range(rows)])
    audio = audio[..., : sum(splits) * FRAME]
    codes, decoded = codec.encode(audio), codec.decode(codec.encode(audio))
    heard, spoken = codec.encoder_state(rows), codec.decoder_state(rows)
    at = 0
    for frames in splits:
        piece = audio[..., at * FRAME : (at + frames) * FRAME]
        got, heard = codec.encode_step(piece, heard)
        assert torch.equal(got, codes[..., at : at + frames])
        said, spoken = codec.decode_step(got, spoken)
        expected = decoded[..., at * FRAME : (at + frames) * FRAME]
        torch.testing.assert_close(said, expected, atol=1e-4, rtol=0)
        at += frames


def test_long_streams_do_not_drift(codec: ReferenceCodec) -> None:
    """Pitch is integrated to phase: after a minute the samples must still agree."""
    torch.manual_seed(0)
    codes = torch.randint(0, codec.codebook_size, (1, 8, 750))
    whole = codec.decode(codes)[..., -FRAME * 20 :]
    state = codec.decoder_state(1)
    for piece in codes.split([650, 1, 2, 3, 74, 20], dim=-1):
        said, state = codec.decode_step(piece, state)
    torch.testing.assert_close(said, whole, atol=1e-4, rtol=0)


def test_a_second_session_equals_the_first(codec: ReferenceCodec, speech: torch.Tensor) -> None:
    first = codec.decode(codec.encode(speech))
    assert torch.equal(codec.decode(codec.encode(speech)), first)


def test_loud_and_silent_input_stay_finite(codec: ReferenceCodec) -> None:
    for level in (0.0, 1.0, 100.0):
        decoded = codec.decode(codec.encode(level * torch.randn(1, 1, 5 * FRAME)))
        assert torch.isfinite(decoded).all()
    silence = codec.decode(codec.encode(torch.zeros(1, 1, 25 * FRAME)))
    assert float(silence.abs().max()) < 0.02


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (torch.zeros(1, 2, FRAME), "mono, got 2 channels"),
        (torch.zeros(1, FRAME), r"\[batch, 1, samples\], got shape \(1, 1920\)"),
        (torch.zeros(1, 1, 0), "empty"),
        (torch.full((1, 1, FRAME), float("nan")), "not finite"),
        (torch.full((1, 1, FRAME), float("inf")), "not finite"),
        (torch.zeros(1, 1, FRAME, dtype=torch.int16), "floating point"),
    ],
)
def test_bad_audio_is_refused(codec: ReferenceCodec, audio: torch.Tensor, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        codec.encode(audio)
    with pytest.raises(AudioError, match=message):
        codec.encode_step(audio, codec.encoder_state(1))


def test_a_step_takes_whole_frames(codec: ReferenceCodec) -> None:
    with pytest.raises(AudioError, match="whole frames of 1920 samples, got 1000"):
        codec.encode_step(torch.zeros(1, 1, 1_000), codec.encoder_state(1))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (torch.zeros(8, 4, dtype=torch.int64), r"\[batch, codebooks, frames\]"),
        (torch.zeros(1, 8, 4), "integers"),
        (torch.zeros(1, 8, 0, dtype=torch.int64), "empty"),
        (torch.zeros(1, 9, 4, dtype=torch.int64), "9 codebooks, this codec has 8"),
        (torch.full((1, 8, 4), 2_048), r"outside \[0, 2047\]"),
        (torch.full((1, 8, 4), -1), r"outside \[0, 2047\]"),
    ],
)
def test_bad_codes_are_refused(codec: ReferenceCodec, codes: torch.Tensor, message: str) -> None:
    with pytest.raises(CodesError, match=message):
        codec.decode(codes)


def test_a_file_goes_there_and_back(
    codec: ReferenceCodec, speech: torch.Tensor, tmp_path: Path
) -> None:
    wav, tokens, out = tmp_path / "in.wav", tmp_path / "codes.npz", tmp_path / "out.wav"
    soundfile.write(wav, speech[0, 0].numpy(), 24_000, subtype="FLOAT")
    encoded = encode_file(wav, tokens, codec)
    assert read_tokens(tokens, codec).samples == speech.shape[-1]
    decoded = decode_file(tokens, out, codec)
    audio, rate_hz = soundfile.read(out)
    assert (rate_hz, audio.size) == (24_000, speech.shape[-1])
    expected = codec.decode(torch.from_numpy(encoded.codes)[None])[0, 0, : audio.size].numpy()
    np.testing.assert_array_equal(decoded, expected)
    with pytest.raises(CodesError, match="9 codebooks asked for"):
        decode_file(tokens, out, codec, codebooks=9)


def test_foreign_files_are_refused(codec: ReferenceCodec, tmp_path: Path) -> None:
    wav, tokens = tmp_path / "in.wav", tmp_path / "codes.npz"
    for audio, rate_hz, message in (
        (np.zeros(800), 16_000, "16000 Hz, the codec needs 24000 Hz"),
        (np.zeros((800, 2)), 24_000, "2 channels"),
        (np.zeros(0), 24_000, "holds no audio"),
        (np.full(800, np.nan), 24_000, "not finite"),
    ):
        soundfile.write(wav, audio, rate_hz, subtype="FLOAT")
        with pytest.raises(AudioError, match=message):
            encode_file(wav, tokens, codec)
    wav.write_bytes(b"RIFF nothing")
    with pytest.raises(AudioError, match="cannot be read as audio"):
        encode_file(wav, tokens, codec)
    tokens.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(CodesError, match="not a token file"):
        decode_file(tokens, wav, codec)
    with tokens.open("wb") as file:
        np.savez(file, codes=np.zeros((8, 3), np.uint16), codec="mimi", samples=100)
    with pytest.raises(CodesError, match="made by codec 'mimi', not 'sts-core'"):
        decode_file(tokens, wav, codec)
    with tokens.open("wb") as file:
        np.savez(file, codes=np.zeros((8, 3), np.uint16), codec="sts-core", samples=10**9)
    with pytest.raises(CodesError, match="cannot come from 3 frames"):
        decode_file(tokens, wav, codec)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    for config in ({"latent_dim": 64}, {"width": 3}, {"latent_dim": 0}):
        save_weights(file, {"a": torch.ones(3)}, "sts-core codec", config)
        with pytest.raises(WeightsError, match="do not fit"):
            load_codec(file)


def test_the_shipped_weights_are_small() -> None:
    assert DEFAULT_WEIGHTS.stat().st_size < 20e6


def test_config_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="codebook_size must be at least 1, got 0"):
        CodecConfig(codebook_size=0)
