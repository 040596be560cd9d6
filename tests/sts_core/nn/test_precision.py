"""Mixed precision is used where it pays and nowhere else."""

from __future__ import annotations

import pytest
import torch

from sts_core.nn.precision import mixed_precision


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"amx_bf16": True}, torch.bfloat16),
        ({"amx_bf16": False, "avx512_bf16": True}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_a_cpu_needs_a_matrix_unit(
    capabilities: dict[str, bool], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    with mixed_precision("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected
