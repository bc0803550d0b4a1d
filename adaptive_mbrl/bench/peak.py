"""The largest rate of matrix products that this machine reaches, which planning is compared with."""

from __future__ import annotations

import time

import torch

SIZE = {"cpu": 1024, "cuda": 8192}
"""Rows and columns of the matrices, by the kind of device."""
SECONDS = 0.5


@torch.no_grad()
def matrix_peak(dtype: torch.dtype, device: torch.device) -> float:
    """The best rate of square matrix products in a number format [floating-point operations per second].

    Args:
        dtype: number format of the matrices.
        device: where they are multiplied, with the threads that torch has.
    """
    size = SIZE.get(device.type, 1024)
    a, b = (torch.rand(size, size, device=device).to(dtype) for _ in range(2))
    best, end = float("inf"), time.perf_counter() + SECONDS
    while best == float("inf") or time.perf_counter() < end:
        begun = time.perf_counter()
        torch.mm(a, b)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - begun)
    return 2 * size**3 / best
