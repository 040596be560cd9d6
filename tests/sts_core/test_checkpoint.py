"""Files that survive interruption, and weights that refuse what is not theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sts_core.checkpoint import (
    WeightsError,
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
