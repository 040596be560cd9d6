"""Whether mixed precision pays: on GPUs always, on CPUs where they multiply bfloat16 faster."""

from __future__ import annotations

import time
from functools import lru_cache

import torch

SIZE, REPEATS = 512, 5  # some milliseconds in all


def mixed_precision(device_type: str) -> torch.autocast:
    """Autocast to bfloat16 where that is faster than float32; elsewhere a context without effect.

    On a CPU it is measured once a process, for the instructions it has do not tell: with AVX-512
    BF16 and oneDNN 3.12 one core did 85 GFLOP/s in bfloat16 and 160 in float32 on one machine, 206
    and 78 on another; with AMX bfloat16 is two to three times as fast.
    """
    pays = device_type != "cpu" or _bfloat16_is_faster()
    return torch.autocast(device_type, dtype=torch.bfloat16, enabled=pays)


@lru_cache(maxsize=1)
def _bfloat16_is_faster() -> bool:
    return _product_s(torch.bfloat16) < _product_s(torch.float32)


def _product_s(dtype: torch.dtype) -> float:
    """The shortest time of a product of square matrices, seconds."""
    matrix = torch.ones(SIZE, SIZE, dtype=dtype)
    matrix @ matrix  # the first call prepares its kernel
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        matrix @ matrix
        times.append(time.perf_counter() - start)
    return min(times)
