"""The shortest convex combination of the gradients: MGDA (Sener and Koltun 2018, arXiv 1810.04650).

    w = argmin | sum_i w_i g_i |^2      subject to  w_i >= 0, sum_i w_i = 1

Its negative is a direction in which no group's loss rises, or zero where no such direction exists (Pareto stationarity). The
problem is solved with the Gram matrix of the gradients alone, by Frank-Wolfe with an exact line search. Its steps are pairwise
(Lacoste-Julien and Jaggi 2015, arXiv 1511.05932): they move weight from the gradient that points along the combination most to
the one that does least, which converges linearly; with two groups the first step is the exact solution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.config import bounded
from adaptive_mbrl.meta.balancing.combination import CombinationBalancing

_STEPS = 250
_TOLERANCE = 1e-9  # what is left to gain, relative to the longest gradient's square


@dataclass(frozen=True)
class MGDAConfig:
    """The groups.

    Attributes:
        groups: number of groups of situations; each costs one backward pass per outer step.
    """

    TAG: ClassVar[str] = "mgda"

    groups: int = bounded(4, low=2, high=64)

    def make(self, adapter: Adapter[Any]) -> MGDABalancing:
        """The balancing of an adapter's parameters."""
        return MGDABalancing(adapter, self.groups)


class MGDABalancing(CombinationBalancing):
    """The point of least norm in the convex hull of the gradients; arguments as in `CombinationBalancing`."""

    def weights(self, gram: Tensor, share: Tensor) -> Tensor:
        return least_norm(gram)


def least_norm(gram: Tensor) -> Tensor:
    """Convex weights of the shortest combination of vectors with the inner products `gram`, (G, G); (G,)."""
    weights = torch.full_like(gram[0], 1 / len(gram))
    for _ in range(_STEPS):
        along = gram @ weights
        to = int(along.argmin())
        away = int(along.where(weights > 0, -torch.inf).argmax())
        gain = along[away] - along[to]
        if not gain > _TOLERANCE * gram.diagonal().max():
            break
        distance = gram[to, to] - 2 * gram[to, away] + gram[away, away]
        step = torch.minimum(gain / distance, weights[away])
        weights[away] -= step
        weights[to] += step
    return weights
