"""Random shooting: uniform candidates, take the best one. The baseline of Nagabandi et al. 2018 (arXiv 1708.02596)."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptive_mbrl.planning.base import Planner, PlanState


class RandomShooting(Planner):
    """Uniform samples within the action limits; the plan is the best of them and of the nominal sequence."""

    def sample(self, state: PlanState, noise: Tensor, iteration: int) -> Tensor:
        uniform = torch.special.ndtr(noise[1:])
        fresh = (self.low + (self.high - self.low) * uniform).expand(len(state.mean), *uniform.shape)
        return torch.cat([state.mean[:, None], fresh], dim=1)

    def update(self, state: PlanState, actions: Tensor, returns: Tensor) -> PlanState:
        best = returns.argmax(1)
        return state._replace(mean=actions[torch.arange(actions.shape[0], device=actions.device), best])
