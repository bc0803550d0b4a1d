"""Model-predictive path integral control (Williams et al. 2017; with smoothed noise as in PDDM, Nagabandi et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from adaptive_mbrl.config import bounded
from adaptive_mbrl.planning.base import PlanState
from adaptive_mbrl.planning.sampling import SamplingConfig, SamplingPlanner
from adaptive_mbrl.planning.score import failed
from adaptive_mbrl.spec import RobotSpec


@dataclass(frozen=True)
class MPPIConfig(SamplingConfig):
    """Settings of MPPI.

    Attributes:
        temperature: in stds of the candidates' returns; smaller is greedier.
        sigma_decay: factor on the noise from one iteration to the next.
    """

    TAG: ClassVar[str] = "mppi"

    temperature: float = bounded(0.3, low=1e-3)
    sigma_decay: float = bounded(0.7, low=0.05, high=1.0)

    def make(self, spec: RobotSpec, seed: int, device: torch.device | str) -> MPPI:
        """The planner for a robot."""
        return MPPI(spec, self, seed, device)


class MPPI(SamplingPlanner):
    """Softmax-weighted mean of all candidates; the temperature is relative, so that one value fits every robot's rewards."""

    def __init__(self, spec: RobotSpec, config: MPPIConfig, seed: int = 0, device: torch.device | str = "cpu") -> None:
        super().__init__(spec, config, seed, device)
        self._temperature, self._sigma_decay = config.temperature, config.sigma_decay

    def sample(self, state: PlanState, noise: Tensor, iteration: int) -> Tensor:
        std = self.sigma * self._sigma_decay**iteration * self.half_range
        return torch.cat([state.mean[:, None], state.mean[:, None] + std * noise[:, 1:]], dim=1)

    def update(self, state: PlanState, actions: Tensor, returns: Tensor) -> PlanState:
        return state._replace(mean=softmax_mean(actions, returns, self._temperature))


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
