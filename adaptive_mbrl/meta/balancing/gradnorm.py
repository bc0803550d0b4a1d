"""Weights that let all groups train at similar rates: GradNorm (Chen et al. 2018, arXiv 1711.02257).

    minimise over w   sum_i | G_i - mean_j(G_j) r_i^alpha |
    G_i = |grad_W w_i L_i|,     r_i = (L_i / L_i(0)) / mean_j(L_j / L_j(0))

W are the last weights that all situations share, L_i(0) is the group's loss when it was first seen, and the target of G_i is a
constant for the derivative. A group that has come less far than the others gets a larger gradient. The weights are positive and
sum to the number of groups. They are trained by the trainer's optimiser, with a rate of their own. Losses must be positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.base import Adapter, ParameterGroup
from adaptive_mbrl.config import bounded
from adaptive_mbrl.meta.balancing.base import Balancing
from adaptive_mbrl.meta.balancing.groups import gradients_of, group_losses
from adaptive_mbrl.process import Share

_SMALLEST_WEIGHT = 1e-2


@dataclass(frozen=True)
class GradNormConfig:
    """The groups and how their weights are trained.

    Attributes:
        groups: number of groups of situations; each costs one more backward pass per outer step.
        alpha: how strongly groups that have come less far are preferred; 0 makes all gradients equally long.
        learning_rate: the outer loop's rate for the weights.
    """

    TAG: ClassVar[str] = "gradnorm"

    groups: int = bounded(4, low=2, high=64)
    alpha: float = bounded(1.5, low=0.0, high=10.0)
    learning_rate: float = bounded(0.025, low=0.0)

    def make(self, adapter: Adapter[Any]) -> GradNormBalancing:
        """The balancing of an adapter's parameters."""
        return GradNormBalancing(adapter, self)


class GradNormBalancing(Balancing):
    """The gradient of the weighted losses, and that of the weights.

    Args:
        adapter: says which weights are the last ones that are shared.
        config: the groups.
    """

    initial: Tensor

    def __init__(self, adapter: Adapter[Any], config: GradNormConfig) -> None:
        super().__init__()
        self.config = config
        self._last = adapter.last_weights()
        self.weight = nn.Parameter(torch.ones(config.groups))
        # infinite until a group is seen
        self.register_buffer("initial", torch.full((config.groups,), torch.inf))

    def balance(self, losses: Tensor, task: Tensor, share: Share) -> None:
        group, part, loss, _ = group_losses(losses, task % self.config.groups, share)
        with torch.no_grad():
            self.weight.clamp_(min=_SMALLEST_WEIGHT)
            self.weight.mul_(len(self.weight) / self.weight.sum())
            known = self.initial[group]
            self.initial[group] = torch.where(known.isinf() & loss.isfinite(), loss, known).to(known.dtype)
        weight = self.weight.detach()[group]
        length = torch.stack([_norm(gradient) for gradient in gradients_of(part, self._last, share)])
        ((weight * part).mean() * share.process.world_size).backward()
        rate = loss / self.initial[group]
        target = (weight * length).mean() * (rate / rate.mean()) ** self.config.alpha
        # the derivative of |w_i l_i - target_i|
        self.weight.grad = torch.zeros_like(self.weight)
        self.weight.grad[group] = (torch.sign(weight * length - target) * length).to(self.weight.dtype)

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup([self.weight], learning_rate=self.config.learning_rate)]


def _norm(gradient: tuple[Tensor | None, ...]) -> Tensor:
    return torch.stack([part.norm() for part in gradient if part is not None]).norm()
