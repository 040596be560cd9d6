"""Mixed precision is used where it pays and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from sts_core.nn import precision


@pytest.fixture(autouse=True)
def nothing_is_known() -> Iterator[None]:
    precision._bfloat16_is_faster.cache_clear()
    yield
    precision._bfloat16_is_faster.cache_clear()


@pytest.mark.parametrize(
    ("bfloat16_s", "expected"), [(0.001, torch.bfloat16), (0.003, torch.float32)]
)
def test_a_cpu_uses_what_it_is_faster_in(
    bfloat16_s: float, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {torch.bfloat16: bfloat16_s, torch.float32: 0.002}
    monkeypatch.setattr(precision, "_product_s", lambda dtype: seconds[dtype])
    with precision.mixed_precision("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


def test_the_measurement_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.dtype] = []
    monkeypatch.setattr(precision, "_product_s", lambda dtype: (asked.append(dtype), 1.0)[1])
    for _ in range(3):
        precision.mixed_precision("cpu")
    assert len(asked) == 2


def test_products_take_time() -> None:
    assert precision._product_s(torch.float32) > 0
