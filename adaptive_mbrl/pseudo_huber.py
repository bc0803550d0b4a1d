"""An error that counts like its square where it is small, and like its size where it is large."""

from __future__ import annotations

from torch import Tensor


def pseudo_huber(error: Tensor) -> Tensor:
    """sqrt(1 + e^2) - 1 of each entry: a contact that is missed by one step must not outweigh everything else."""
    return (1 + error.square()).sqrt() - 1
