"""Situations in a bounded number of groups, and the gradient of each group's loss.

A gradient per situation would cost one backward pass per situation, and there may be hundreds. Situation t belongs to group t mod
G in every meta-batch: a group is every G-th situation, in the order in which situations first appear in the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class GroupLosses(NamedTuple):
    """Losses of the groups that a meta-batch has windows of.

    Attributes:
        group: numbers of the groups, (G,).
        loss: mean over the windows of each group, (G,).
        share: share of the windows that each group has, (G,).
    """

    group: Tensor
    loss: Tensor
    share: Tensor


def group_losses(losses: Tensor, group: Tensor) -> GroupLosses:
    """Mean loss of each group.

    Args:
        losses: of each window, (W,).
        group: the number of each window's group, (W,).
    """
    present, of_window, count = group.unique(return_inverse=True, return_counts=True)
    total = losses.new_zeros(len(present)).index_add(0, of_window, losses)
    return GroupLosses(present, total / count, count / len(losses))


def gradients_of(losses: Tensor, parameters: Sequence[nn.Parameter]) -> list[tuple[Tensor | None, ...]]:
    """The gradient of each loss, one entry per parameter, None where no loss depends on it; keeps the graph."""
    return [torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True) for loss in losses.unbind()]


def gram_matrix(gradients: Sequence[Sequence[Tensor | None]]) -> Tensor:
    """Inner products of the gradients with each other, (G, G), in float64 on the CPU."""
    flat = torch.stack([torch.cat([g.flatten() for g in gradient if g is not None]) for gradient in gradients])
    # on a GPU float64 products are slow, and small systems are solved faster on the host anyway
    return (flat @ flat.mT).double().cpu()
