"""The gradient that an inner update descends, taken in the cheapest way that serves, and kept from being too long."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def inner_gradient(
    loss: Callable[[tuple[Tensor, ...]], Tensor], values: tuple[Tensor, ...], *, differentiable: bool = False
) -> tuple[Tensor, ...]:
    """The gradient of a loss with respect to some values, at these values.

    Args:
        loss: maps the values to a scalar.
        values: where the gradient is taken, of any shapes.
        differentiable: whether it will be differentiated again, with respect to the values and to what else the loss depends on.

    Returns:
        As `values`.
    """
    if not differentiable:
        values = tuple(value.detach() for value in values)
    # a compiler can follow torch.func only; without one, and without a second derivative, autograd takes a fraction of the time
    if torch.compiler.is_compiling() or differentiable:
        gradient: tuple[Tensor, ...] = torch.func.grad(loss)(values)
        return gradient
    with torch.enable_grad():
        leaves = tuple(value.requires_grad_() for value in values)
        return torch.autograd.grad(loss(leaves), leaves)


def clipped(gradient: tuple[Tensor, ...], clip: float, *, axes: int) -> tuple[Tensor, ...]:
    """The gradient with a norm of at most `clip` for each model; 0 does not clip.

    Args:
        gradient: parts of it, whose first `axes` axes number the models alike, while the others belong to one model.
        clip: largest norm of one model's gradient over all parts.
        axes: how many.
    """
    if clip == 0:
        return gradient
    squared = torch.stack([part.square().flatten(axes).sum(-1) for part in gradient]).sum(0)
    scale = (clip / (squared + 1e-12).sqrt()).clamp(max=1)
    return tuple(part * scale.reshape(*scale.shape, *(1,) * (part.dim() - axes)) for part in gradient)
