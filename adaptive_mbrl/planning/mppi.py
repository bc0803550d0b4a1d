"""Model-predictive path integral control (Williams et al. 2017; with smoothed noise as in PDDM, Nagabandi et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptive_mbrl.planning.base import Planner, PlanState, failed


def softmax_mean(actions: Tensor, returns: Tensor, temperature: float) -> Tensor:
    """Average the candidates, weighted by how good each one was.

    Args:
        actions: candidate sequences, (B, N, H, action_dim).
        returns: predicted return of each candidate, (B, N).
        temperature: in stds of the candidates' returns, failed ones left out; smaller is greedier.

    Returns:
        The new nominal sequence, (B, H, action_dim).
    """
    counted = ~failed(returns)
    num = counted.sum(1, keepdim=True).clamp(min=1)
    mean = torch.where(counted, returns, 0.0).sum(1, keepdim=True) / num
    variance = torch.where(counted, returns - mean, 0.0).square().sum(1, keepdim=True) / num
    spread = variance.sqrt().clamp(min=1e-6)
    weights = torch.softmax((returns - returns.amax(1, keepdim=True)) / (temperature * spread), dim=1)
    return torch.einsum("bn,bnha->bha", weights, actions)


class MPPI(Planner):
    """Softmax-weighted mean of all candidates; the temperature is relative, so that one value fits every robot's rewards."""

    def sample(self, state: PlanState, noise: Tensor, iteration: int) -> Tensor:
        std = self.config.sigma * self.config.sigma_decay**iteration * self.half_range
        return torch.cat([state.mean[:, None], state.mean[:, None] + std * noise[1:]], dim=1)

    def update(self, state: PlanState, actions: Tensor, returns: Tensor) -> PlanState:
        return state._replace(mean=softmax_mean(actions, returns, self.config.temperature))
