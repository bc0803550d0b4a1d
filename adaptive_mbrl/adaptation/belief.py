"""A belief is a value: tensors with the batch axis first, nested in tuples.

What has to be done with a belief of any rule is written here once: choose between two, join, repeat, apply a function, list its
tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Belief = Any
"""A tensor (B, ...), or a tuple or NamedTuple of beliefs."""


def map_belief(function: Callable[..., Tensor], *beliefs: Belief) -> Belief:
    """Apply a function to each tensor of a belief, or to the corresponding tensors of several of the same rule."""
    first = beliefs[0]
    if isinstance(first, Tensor):
        return function(*beliefs)
    parts = [map_belief(function, *corresponding) for corresponding in zip(*beliefs, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)


def select(use_first: Tensor, first: Belief, second: Belief) -> Belief:
    """Robot by robot one of two beliefs; `use_first` is (B,) bool."""

    def choose(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(use_first.reshape(-1, *(1,) * (a.dim() - 1)), a, b)

    return map_belief(choose, first, second)


def joined(*beliefs: Belief) -> Belief:
    """The robots of several beliefs one after the other."""
    return map_belief(lambda *parts: torch.cat(parts), *beliefs)


def repeated(belief: Belief, times: int) -> Belief:
    """Each robot `times` times, one after the other."""
    return map_belief(lambda tensor: tensor.repeat_interleave(times, 0), belief)


def one_of(belief: Belief, number: int, position: Tensor) -> Belief:
    """Of `number` beliefs about each of B robots, all about one robot after the other, those at `position`, (B,) int64."""
    rows = torch.arange(len(position), device=position.device) * number + position
    return map_belief(lambda tensor: tensor.index_select(0, rows), belief)


def tensors_of(belief: Belief) -> list[Tensor]:
    """All tensors of a belief, in a fixed order; for storing and comparing."""
    if isinstance(belief, Tensor):
        return [belief]
    return [tensor for part in belief for tensor in tensors_of(part)]
