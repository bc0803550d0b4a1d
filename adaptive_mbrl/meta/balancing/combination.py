"""What PCGrad and MGDA share: the group gradients are combined with weights that follow from their inner products."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.meta.balancing.base import Balancing
from adaptive_mbrl.meta.balancing.groups import gradients_of, gram_matrix, group_losses
from adaptive_mbrl.process import Share


class CombinationBalancing(Balancing):
    """A linear combination of the gradients of G groups of situations.

    Args:
        adapter: owns the meta-parameters.
        groups: G; each costs one backward pass per outer step.
    """

    def __init__(self, adapter: Adapter[Any], groups: int) -> None:
        super().__init__()
        self.groups = groups
        self._trained = [p for p in adapter.parameters() if p.requires_grad]

    @abstractmethod
    def weights(self, gram: Tensor, share: Tensor) -> Tensor:
        """The weight of each gradient.

        Args:
            gram: inner products of the gradients with each other, (G, G), float64 on the CPU.
            share: share of the windows that each group has, (G,), likewise.

        Returns:
            (G,).
        """

    def balance(self, losses: Tensor, task: Tensor, share: Share) -> None:
        of_groups = group_losses(losses, task % self.groups, share)
        gradients = gradients_of(of_groups.loss, self._trained, share)
        weights = self.weights(gram_matrix(gradients), of_groups.share.double().cpu()).tolist()
        for parameter, *parts in zip(self._trained, *gradients, strict=True):
            used = [weight * part for weight, part in zip(weights, parts, strict=True) if part is not None]
            parameter.grad = sum(used[1:], start=used[0]) if used else None
