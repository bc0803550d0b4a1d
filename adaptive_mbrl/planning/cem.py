"""Cross-entropy method: refit a Gaussian to the elites (Rubinstein 1999; as in PETS, Chua et al. 2018, arXiv 1805.12114)."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptive_mbrl.planning.base import Planner, PlanState, failed


def elite_sequences(actions: Tensor, returns: Tensor, num_elites: int) -> Tensor:
    """The best candidates, best first: (B, N, H, action_dim), (B, N) -> (B, num_elites, H, action_dim).

    Where too few candidates have a finite return, the best one fills the remaining places.
    """
    best, index = returns.topk(num_elites, dim=1)
    index = torch.where(failed(best), index[:, :1], index)
    return torch.gather(actions, 1, index[:, :, None, None].expand(-1, -1, *actions.shape[2:]))


class CEM(Planner):
    """Gaussian over sequences, refitted to the elites of each robot separately; the plan is their mean."""

    def sample(self, state: PlanState, noise: Tensor, iteration: int) -> Tensor:
        return state.mean[:, None] + state.std[:, None] * noise

    def update(self, state: PlanState, actions: Tensor, returns: Tensor) -> PlanState:
        momentum = self.config.momentum
        elites = elite_sequences(actions, returns, self.config.num_elites)
        mean = momentum * state.mean + (1 - momentum) * elites.mean(1)
        std = momentum * state.std + (1 - momentum) * elites.std(1, unbiased=False)
        return state._replace(mean=mean, std=std)
