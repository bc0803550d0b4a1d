"""The mean over the worst situations of a meta-batch: conditional value at risk (Rockafellar and Uryasev 2000).

    F = mean of L_t over the ceil(alpha T) situations t with the largest L_t

With alpha towards 0 it is the worst situation alone, with alpha = 1 the mean. Only whole situations count, where the `cvar` of
`planning.risk` weighs the last particle by what remains of the share. Which situations are the worst can only be told from
several windows of each, so that a meta-batch has few situations with `windows_per_task` windows each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.config import bounded
from adaptive_mbrl.meta.balancing.base import Balancing
from adaptive_mbrl.meta.balancing.groups import group_losses
from adaptive_mbrl.process import Share


@dataclass(frozen=True)
class CVaRConfig:
    """The worst situations.

    Attributes:
        fraction: alpha, the share of the situations of a meta-batch that counts; at least one of them does.
        windows_per_task: windows of each situation in a meta-batch, which has `outer.meta_batch_size` divided by it situations.
    """

    TAG: ClassVar[str] = "cvar"

    fraction: float = bounded(0.25, low=0.0, high=1.0)
    windows_per_task: int = bounded(8, low=1)

    def make(self, adapter: Adapter[Any]) -> CVaRBalancing:
        """The balancing, whatever the adapter."""
        return CVaRBalancing(self)


class CVaRBalancing(Balancing):
    """The gradient of the mean loss of the worst situations.

    Args:
        config: how many are the worst.
    """

    def __init__(self, config: CVaRConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def windows_per_task(self) -> int:
        return self.config.windows_per_task

    def balance(self, losses: Tensor, task: Tensor, share: Share) -> None:
        of_tasks = group_losses(losses, task, share)
        # a product such as 0.1 * 30 may lie a little above the whole number that is meant
        worst = max(1, math.ceil(self.config.fraction * len(of_tasks.value) - 1e-9))
        (of_tasks.loss[of_tasks.value.topk(worst).indices].mean() * share.process.world_size).backward()
