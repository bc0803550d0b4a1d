"""Gradient descent with Adam, whose learning rate falls along half a cosine to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


def descend(parameters: Iterable[nn.Parameter], loss: Callable[[], Tensor], updates: int, learning_rate: float) -> None:
    """Change parameters in place so that a loss falls.

    Args:
        parameters: what is changed.
        loss: the loss of a new batch, a scalar; it is asked once for each step.
        updates: number of steps.
        learning_rate: Adam's rate at the beginning.
    """
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    for _ in range(updates):
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()
        schedule.step()
