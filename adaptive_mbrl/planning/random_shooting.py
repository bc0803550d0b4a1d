"""Random shooting: uniform candidates, take the best one. The baseline of Nagabandi et al. 2018 (arXiv 1708.02596)."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptive_mbrl.planning.base import Planner, PlanState


class RandomShooting(Planner):
    """Uniform samples within the action limits; the plan is the best of them and of the nominal sequence."""

    def sample(self, state: PlanState, iteration: int) -> Tensor:
        shape = (self.config.num_samples - 1, self.config.horizon, self.action_dim)
        uniform = torch.rand(shape, generator=self.generator, device=self.generator.device)
        fresh = (self.low + (self.high - self.low) * uniform).expand(state.mean.shape[0], *shape)
        return torch.cat([state.mean[:, None], fresh], dim=1)

    def update(self, state: PlanState, actions: Tensor, returns: Tensor) -> PlanState:
        best = returns.argmax(1)
        return state._replace(mean=actions[torch.arange(actions.shape[0], device=actions.device), best])
