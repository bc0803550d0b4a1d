"""Random shooting: uniform candidates, take the best one. The baseline of Nagabandi et al. 2018 (arXiv 1708.02596)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from adaptive_mbrl.planning.base import PlanState
from adaptive_mbrl.planning.sampling import SamplingConfig, SamplingPlanner
from adaptive_mbrl.spec import RobotSpec


@dataclass(frozen=True)
class RandomShootingConfig(SamplingConfig):
    """Settings of random shooting; `sigma` has no meaning for it."""

    TAG: ClassVar[str] = "random_shooting"

    def make(self, spec: RobotSpec, seed: int, device: torch.device | str) -> RandomShooting:
        """The planner for a robot."""
        return RandomShooting(spec, self, seed, device)


class RandomShooting(SamplingPlanner):
    """Uniform samples within the action limits; the plan is the best of them and of the nominal sequence."""

    def sample(self, state: PlanState, noise: Tensor, iteration: int) -> Tensor:
        uniform = torch.special.ndtr(noise[:, 1:])
        fresh = (self.low + (self.high - self.low) * uniform).expand(len(state.mean), *uniform.shape[1:])
        return torch.cat([state.mean[:, None], fresh], dim=1)

    def update(self, state: PlanState, actions: Tensor, returns: Tensor) -> PlanState:
        best = returns.argmax(1)
        return state._replace(mean=actions[torch.arange(actions.shape[0], device=actions.device), best])
