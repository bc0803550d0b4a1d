"""Cross-entropy method: refit a Gaussian to the elites (Rubinstein 1999; as in PETS, Chua et al. 2018, arXiv 1805.12114)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from adaptive_mbrl.config import bounded
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.planning.base import PlanState
from adaptive_mbrl.planning.sampling import SamplingConfig, SamplingPlanner
from adaptive_mbrl.planning.score import failed
from adaptive_mbrl.spec import RobotSpec


@dataclass(frozen=True)
class CEMConfig(SamplingConfig):
    """Settings of CEM.

    Attributes:
        num_elites: candidates that the distribution is refitted to.
        momentum: share of the old distribution kept in a refit.
    """

    TAG: ClassVar[str] = "cem"

    num_elites: int = bounded(8, low=1)
    momentum: float = bounded(0.1, low=0.0, high=0.99)

    def __post_init__(self) -> None:
        if self.num_elites > self.num_samples:
            raise ConfigError(f"num_elites {self.num_elites} must not exceed num_samples {self.num_samples}")

    def make(self, spec: RobotSpec, seed: int, device: torch.device | str) -> CEM:
        """The planner for a robot."""
        return CEM(spec, self, seed, device)


class CEM(SamplingPlanner):
    """Gaussian over sequences, refitted to the elites of each robot separately; the plan is their mean."""

    def __init__(self, spec: RobotSpec, config: CEMConfig, seed: int = 0, device: torch.device | str = "cpu") -> None:
        super().__init__(spec, config, seed, device)
        self._num_elites, self._momentum = config.num_elites, config.momentum

    @property
    def least_samples(self) -> int:
        return max(2, self._num_elites)

    def sample(self, state: PlanState, noise: Tensor, iteration: int) -> Tensor:
        return state.mean[:, None] + state.std[:, None] * noise

    def update(self, state: PlanState, actions: Tensor, returns: Tensor) -> PlanState:
        momentum = self._momentum
        elites = elite_sequences(actions, returns, self._num_elites)
        mean = momentum * state.mean + (1 - momentum) * elites.mean(1)
        std = momentum * state.std + (1 - momentum) * elites.std(1, unbiased=False)
        return state._replace(mean=mean, std=std)


def elite_sequences(actions: Tensor, returns: Tensor, num_elites: int) -> Tensor:
    """The best candidates, best first: (B, N, H, action_dim), (B, N) -> (B, num_elites, H, action_dim).

    Where too few candidates have a finite return, the best one fills the remaining places.
    """
    best, index = returns.topk(num_elites, dim=1)
    index = torch.where(failed(best), index[:, :1], index)
    return torch.gather(actions, 1, index[:, :, None, None].expand(-1, -1, *actions.shape[2:]))
