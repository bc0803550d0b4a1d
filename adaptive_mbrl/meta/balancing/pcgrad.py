"""Conflicting gradients are projected onto each other's normal planes: PCGrad (Yu et al. 2020, arXiv 2001.06782).

    g_i <- g_i - (g_i . g_j) / |g_j|^2 g_j      for each j != i in random order, where g_i . g_j < 0

g_j is the gradient of group j as it was, g_i what the projections have left of that of group i. The outer gradient is their sum.
Each g_i is that of the group's part of the mean loss, so that without a conflict the outer gradient is that of the mean. All
projections stay in the span of the g_j, so that they are done on coefficients, with the inner products alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.config import bounded
from adaptive_mbrl.meta.balancing.combination import CombinationBalancing


@dataclass(frozen=True)
class PCGradConfig:
    """The groups.

    Attributes:
        groups: number of groups of situations; each costs one backward pass per outer step.
    """

    TAG: ClassVar[str] = "pcgrad"

    groups: int = bounded(4, low=2, high=64)

    def make(self, adapter: Adapter[Any]) -> PCGradBalancing:
        """The balancing of an adapter's parameters."""
        return PCGradBalancing(adapter, self.groups)


class PCGradBalancing(CombinationBalancing):
    """The sum of the projected gradients; arguments as in `CombinationBalancing`."""

    steps: Tensor

    def __init__(self, adapter: Adapter[Any], groups: int) -> None:
        super().__init__(adapter, groups)
        # the order of the projections depends on it alone, so that a resumed training goes on as it would have
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def weights(self, gram: Tensor, share: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(int(self.steps))
        self.steps += 1
        return projected(gram, share, generator).sum(0)


def projected(gram: Tensor, share: Tensor, generator: torch.Generator) -> Tensor:
    """The projected gradients as combinations of the original ones.

    Args:
        gram: inner products of the original gradients, (G, G).
        share: factor of each gradient, (G,).
        generator: draws the order of the projections.

    Returns:
        Coefficients: row i are those of the projected gradient of group i, (G, G).
    """
    coefficients = share.diag()
    for i, row in enumerate(coefficients):
        for j in torch.randperm(len(gram), generator=generator).tolist():
            along = row @ gram[:, j]
            if j != i and along < 0:
                row[j] -= along / gram[j, j]
    return coefficients
