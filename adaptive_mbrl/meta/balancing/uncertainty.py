"""Every situation has a learned noise level: homoscedastic uncertainty (Kendall et al. 2018, arXiv 1705.07115).

    F = mean over windows of   exp(-s_t) L / 2 + s_t / 2,      s_t = log sigma_t^2 of the window's situation t

At the best s_t, which is log L_t, the gradient of a situation is that of log L_t / 2: situations count by what they lose of their
own loss, and one that cannot be predicted well does not drown the others. A noise level is a property of one situation, so there
is one for each; they cost nothing, because no gradient per situation is needed. Groups that mix situations would all have about
the same noise level, and the mean would be left. Losses must be positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.base import Adapter, ParameterGroup
from adaptive_mbrl.config import bounded
from adaptive_mbrl.meta.balancing.base import Balancing
from adaptive_mbrl.process import Share


@dataclass(frozen=True)
class UncertaintyConfig:
    """The noise levels.

    Attributes:
        count: number of noise levels; beyond so many situations, situation t shares that of situation t modulo `count`.
        learning_rate: the outer loop's rate for the logarithms of the variances.
    """

    TAG: ClassVar[str] = "uncertainty"

    count: int = bounded(1024, low=2, high=2**20)
    learning_rate: float = bounded(1e-2, low=0.0)

    def make(self, adapter: Adapter[Any]) -> UncertaintyBalancing:
        """The balancing, whatever the adapter."""
        return UncertaintyBalancing(self)


class UncertaintyBalancing(Balancing):
    """The gradient of the likelihood with learned noise levels.

    Args:
        config: the noise levels.
    """

    def __init__(self, config: UncertaintyConfig) -> None:
        super().__init__()
        self.config = config
        self.log_variance = nn.Parameter(torch.zeros(config.count))

    def balance(self, losses: Tensor, task: Tensor, share: Share) -> None:
        log_variance = self.log_variance[task % self.config.count]
        share.mean(0.5 * (-log_variance).exp() * losses + 0.5 * log_variance).backward()

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup([self.log_variance], learning_rate=self.config.learning_rate)]
