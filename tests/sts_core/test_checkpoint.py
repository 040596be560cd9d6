"""Files that survive interruption, and weights that refuse what is not theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sts_core.checkpoint import (
    WeightsError,
    average_weights,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)


def test_weights_come_back_with_their_configuration(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "w.safetensors"
    save_weights(file, {"a": torch.ones(2, 3) / 3, "n": torch.arange(4)}, "toy", {"width": 3})
    tensors, config = load_weights(file, "toy")
    assert config == {"width": 3}
    assert tensors["a"].dtype == torch.float32
    torch.testing.assert_close(tensors["a"], torch.ones(2, 3) / 3, atol=2e-4, rtol=0)
    assert tensors["n"].tolist() == [0, 1, 2, 3]
    assert [f.name for f in file.parent.iterdir()] == ["w.safetensors"]


def test_damaged_and_foreign_weights_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    with pytest.raises(WeightsError, match="no such weights file"):
        load_weights(file, "toy")
    save_weights(file, {"a": torch.ones(100)}, "toy", {})
    with pytest.raises(WeightsError, match="holds 'toy', expected 'codec'"):
        load_weights(file, "codec")
    whole = file.read_bytes()
    for damaged in (whole[:-7], whole[:5], b"", b"\x80\x04pickle", b"\xff" * 64):
        file.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"w\.safetensors: truncated or not"):
            load_weights(file, "toy")


def test_a_checkpoint_never_runs_code(tmp_path: Path) -> None:
    file = tmp_path / "last.pt"
    save_checkpoint(file, {"step": 3, "w": torch.ones(2), "config": "text"})
    assert load_checkpoint(file)["step"] == 3
    torch.save({"evil": Path}, file)  # a pickled class
    with pytest.raises(WeightsError, match="not a readable checkpoint"):
        load_checkpoint(file)
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(WeightsError, match="not a readable checkpoint"):
        load_checkpoint(file)


def test_average_is_the_weighted_mean(tmp_path: Path) -> None:
    one, other, out = (tmp_path / f"{name}.safetensors" for name in ("one", "other", "out"))
    steps = torch.arange(2)
    save_weights(one, {"a": torch.tensor([1.0, 2.0]), "n": steps}, "toy", {"width": 2})
    save_weights(other, {"a": torch.tensor([5.0, -2.0]), "n": steps}, "toy", {"width": 2})
    average_weights(one, other, 0.75, out)
    tensors, config = load_weights(out, "toy")
    assert tensors["a"].tolist() == [2.0, 1.0]
    assert tensors["n"].tolist() == [0, 1]
    assert config == {"width": 2}


def test_averages_of_what_does_not_fit_are_refused(tmp_path: Path) -> None:
    one, other, out = (tmp_path / f"{name}.safetensors" for name in ("one", "other", "out"))
    tensors = {"a": torch.ones(2), "n": torch.arange(2)}
    save_weights(one, tensors, "toy", {"width": 2})
    for content, kind, config, message in (
        (tensors, "codec", {"width": 2}, "holds 'codec', expected 'toy'"),
        (tensors, "toy", {"width": 3}, "different configurations"),
        ({"a": torch.ones(3), "n": torch.arange(2)}, "toy", {"width": 2}, "different tensors"),
        ({"a": torch.ones(2)}, "toy", {"width": 2}, "different tensors"),
        ({**tensors, "n": torch.arange(2) + 1}, "toy", {"width": 2}, "n differs .* no mean"),
    ):
        save_weights(other, content, kind, config)
        with pytest.raises(WeightsError, match=message):
            average_weights(one, other, 0.5, out)
    with pytest.raises(WeightsError, match=r"in \[0, 1\], not 1.5"):
        average_weights(one, one, 1.5, out)
    assert not out.exists()
