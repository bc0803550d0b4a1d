"""Situations in a bounded number of groups, and the gradient of each group's loss.

A gradient per situation would cost one backward pass per situation, and there may be hundreds. Situation t belongs to group t mod
G in every meta-batch: a group is every G-th situation, in the order in which situations first appear in the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.process import Share


class GroupLosses(NamedTuple):
    """Losses of the groups that a meta-batch has windows of.

    Attributes:
        group: numbers of the groups, (G,).
        loss: what this process's windows contribute to `value`, with their gradient, (G,).
        value: mean over the windows of each group, (G,).
        share: share of the windows that each group has, (G,).
    """

    group: Tensor
    loss: Tensor
    value: Tensor
    share: Tensor


def group_losses(losses: Tensor, group: Tensor, share: Share) -> GroupLosses:
    """Mean loss of each group.

    Args:
        losses: of each window of this process, (W,).
        group: the number of each window's group, (W,).
        share: which windows of the meta-batch these are.
    """
    present, of_window, count = share.whole(group).unique(return_inverse=True, return_counts=True)
    loss = losses.new_zeros(len(present)).index_add(0, of_window[share.slice], losses) / count
    value = loss.detach().clone()
    share.sum([value])
    return GroupLosses(present, loss, value, count / share.total)


def gradients_of(losses: Tensor, parameters: Sequence[nn.Parameter], share: Share) -> list[tuple[Tensor | None, ...]]:
    """The gradient of each loss, summed over the processes; keeps the graph.

    Args:
        losses: what this process contributes to each loss, (G,).
        parameters: what the gradients are with respect to.
        share: whose contributions these are.

    Returns:
        For each loss one entry per parameter, None where no loss depends on it.
    """
    gradients: list[tuple[Tensor | None, ...]] = [
        torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True) for loss in losses.unbind()
    ]
    share.sum(part for gradient in gradients for part in gradient if part is not None)
    return gradients


def gram_matrix(gradients: Sequence[Sequence[Tensor | None]]) -> Tensor:
    """Inner products of the gradients with each other, (G, G), in float64 on the CPU."""
    flat = torch.stack([torch.cat([g.flatten() for g in gradient if g is not None]) for gradient in gradients])
    # on a GPU float64 products are slow, and small systems are solved faster on the host anyway
    return (flat @ flat.mT).double().cpu()
