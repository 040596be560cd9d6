"""The Hugging Face codecs, with small random weights saved to a folder: no network is used."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from sts_core.codec.base import AudioError, Codec, CodecError, CodesError
from sts_core.codec.hf import load_hf_codec
from sts_core.hf import MissingExtraError, import_transformers

pytestmark = pytest.mark.skipif(
    find_spec("transformers") is None, reason="extra [hf] is not installed"
)


def _encodec(transformers: Any) -> Any:
    config = transformers.EncodecConfig(
        num_filters=4, hidden_size=16, codebook_dim=16, codebook_size=64, num_lstm_layers=1
    )
    return transformers.EncodecModel(config)


def _dac(transformers: Any) -> Any:
    config = transformers.DacConfig(
        encoder_hidden_size=4, decoder_hidden_size=32, n_codebooks=5, codebook_size=64,
        downsampling_ratios=[2, 4, 5, 8], upsampling_ratios=[8, 5, 4, 2], hidden_size=64,
        sampling_rate=24_000,
    )  # fmt: skip
    return transformers.DacModel(config)


def _mimi(transformers: Any) -> Any:
    config = transformers.MimiConfig(
        num_filters=4, hidden_size=32, codebook_size=64, codebook_dim=16, num_quantizers=4,
        vector_quantization_hidden_dimension=16, upsample_groups=32, num_hidden_layers=1,
        intermediate_size=32, num_attention_heads=2, num_key_value_heads=2, head_dim=16,
    )  # fmt: skip
    return transformers.MimiModel(config)


BUILDERS = {"encodec": _encodec, "dac": _dac, "mimi": _mimi}


@pytest.fixture(scope="module", params=list(BUILDERS))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    model = BUILDERS[request.param](import_transformers("test"))
    for name, buffer in model.named_buffers():
        if name.endswith(("embed", "embed_sum")):  # fresh codebooks are all zeros
            torch.nn.init.normal_(buffer)
    path = tmp_path_factory.mktemp(request.param)
    model.save_pretrained(path)
    return path


def test_round_trip_has_the_protocol_s_shapes(folder: Path) -> None:
    codec = load_hf_codec(f"hf:{folder}")
    assert isinstance(codec, Codec)
    samples = 3 * codec.frame_samples + 7
    codes = codec.encode(torch.randn(2, 1, samples) * 0.1)
    assert codes.shape == (2, codec.num_codebooks, 4)
    assert codes.dtype == torch.int64
    assert int(codes.min()) >= 0
    assert int(codes.max()) < codec.codebook_size
    assert len(codes.unique()) > 1
    audio = codec.decode(codes)
    assert audio.shape == (2, 1, 4 * codec.frame_samples)
    assert torch.isfinite(audio).all()


def test_codes_have_vectors(folder: Path) -> None:
    codec = load_hf_codec(f"hf:{folder}")
    vectors = codec.code_vectors()
    assert len(vectors) == codec.num_codebooks
    assert all(len(each) == codec.codebook_size and each.std() > 0 for each in vectors)


def test_a_prefix_of_the_codebooks_decodes_to_other_audio(folder: Path) -> None:
    codec = load_hf_codec(f"hf:{folder}")
    codes = codec.encode(torch.randn(1, 1, 5 * codec.frame_samples) * 0.1)
    whole, coarse = codec.decode(codes), codec.decode(codes[:, :1])
    assert coarse.shape == whole.shape
    assert not torch.equal(coarse, whole)


def test_fewer_codebooks_are_the_first_ones(folder: Path) -> None:
    audio = torch.randn(1, 1, 9_600) * 0.1
    few = load_hf_codec(f"hf:{folder}", num_codebooks=2).encode(audio)
    assert torch.equal(few, load_hf_codec(f"hf:{folder}").encode(audio)[:, :2])


def test_bad_input_is_refused(folder: Path) -> None:
    codec = load_hf_codec(f"hf:{folder}")
    with pytest.raises(AudioError, match="mono"):
        codec.encode(torch.zeros(1, 2, 4_000))
    with pytest.raises(AudioError, match="not finite"):
        codec.encode(torch.full((1, 1, 4_000), float("nan")))
    with pytest.raises(CodesError, match="outside"):
        codec.decode(torch.full((1, 1, 3), codec.codebook_size))
    with pytest.raises(CodecError, match="99 codebooks asked for"):
        load_hf_codec(f"hf:{folder}", num_codebooks=99)


def test_another_kind_of_model_is_named(tmp_path: Path) -> None:
    import_transformers("test").BertConfig(hidden_size=8, num_attention_heads=1).save_pretrained(
        tmp_path
    )
    with pytest.raises(CodecError, match=r"'bert' model; expected one of \['encodec'"):
        load_hf_codec(f"hf:{tmp_path}")


def test_truncated_weights_are_an_error(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        data = file.read_bytes()
        cut = len(data) // 2 if file.suffix == ".safetensors" else len(data)
        (tmp_path / file.name).write_bytes(data[:cut])
    with pytest.raises(CodecError, match="cannot be loaded"):
        load_hf_codec(f"hf:{tmp_path}")


def test_missing_folder_and_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(CodecError, match=r"no config\.json"):
        load_hf_codec(f"hf:{tmp_path / 'nothing'}")
    with pytest.raises(CodecError, match="unknown codec 'opus'"):
        load_hf_codec("opus")


def test_without_transformers_the_install_line_is_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sts-eval\[hf\]'"):
        load_hf_codec(f"hf:{folder}")
