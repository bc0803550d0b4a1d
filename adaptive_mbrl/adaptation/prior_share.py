"""Which windows of a meta-batch train the prior, for rules that are told in training what they have to find out online."""

from __future__ import annotations

import torch
from torch import Tensor


def rows_under_prior(num: int, share: float, device: torch.device) -> Tensor:
    """A share of the rows of a meta-batch, rounded up, (num,) bool.

    Among n rows that follow one another the rows are n share, rounded up or down. So each situation has its part of them also
    where its windows lie one after another, as a balancing may ask for; otherwise windows come in random order.
    """
    # a product may lie a little above the whole number that is meant
    edges = (torch.arange(num + 1, dtype=torch.float64, device=device) * share - 1e-9).ceil()
    return edges.diff() > 0
