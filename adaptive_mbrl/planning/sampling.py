"""Sampling-based planning: sample N sequences, score them, move the sampling distribution towards the good ones.

A sampling planner is two short methods, `sample` and `update`. Clipping, warm start and bookkeeping live here, once.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from adaptive_mbrl.config import bounded
from adaptive_mbrl.planning.base import HorizonConfig, IsLate, Plan, Planner, PlanState, Returns
from adaptive_mbrl.spec import RobotSpec

TIMED_BLOCK = 64
"""Candidates that are scored at once where there is a deadline; fewer at once would take more time for each."""


@dataclass(frozen=True)
class SamplingConfig(HorizonConfig):
    """What every sampling planner has.

    Attributes:
        num_samples: N, candidates per iteration.
        num_iterations: rounds of sample and update per control step.
        sigma: initial standard deviation, in half ranges of each action.
        noise_beta: exponent of the noise's power spectrum 1/f^beta along the horizon; 0 is white.
    """

    num_samples: int = bounded(64, low=2)
    num_iterations: int = bounded(2, low=1)
    sigma: float = bounded(0.5, low=1e-3, high=10.0)
    noise_beta: float = bounded(1.0, low=0.0, high=4.0)


class SamplingPlanner(Planner):
    """Base of the sampling planners.

    Args:
        spec: gives the action limits.
        config: the settings.
        seed: fixes the noise.
        device: where plans are made.
    """

    def __init__(self, spec: RobotSpec, config: SamplingConfig, seed: int = 0, device: torch.device | str = "cpu") -> None:
        super().__init__(spec, config, seed, device)
        self.num_iterations, self.sigma = config.num_iterations, config.sigma
        self._num_samples = config.num_samples
        self._colour = coloured_noise_matrix(config.horizon, config.noise_beta).to(device)

    @property
    def num_samples(self) -> int:
        return self._num_samples

    @property
    def least_samples(self) -> int:
        return 2

    @property
    def num_kept(self) -> int:
        """Number of sequences that are kept from one iteration, and from one control step, to the next."""
        return 0

    def init(self, batch_size: int) -> PlanState:
        mean = self.center.repeat(batch_size, self.horizon, 1)
        elites = mean[:, None].repeat(1, self.num_kept, 1, 1)
        return PlanState(mean, (self.sigma * self.half_range).repeat(batch_size, self.horizon, 1), elites)

    def draw_from(self, generator: torch.Generator, num_samples: int) -> Tensor:
        """Standard normal noise, coloured along the horizon, (num_iterations, N, H, action_dim)."""
        return self.noise(self.num_iterations * num_samples, generator).unflatten(0, (self.num_iterations, num_samples))

    @torch.no_grad()
    def improve(self, state: PlanState, returns: Returns, noise: Tensor, is_late: IsLate | None = None) -> tuple[PlanState, Plan]:
        state = state._replace(std=(self.sigma * self.half_range).expand_as(state.mean).contiguous())
        best = state.mean.new_full(state.mean.shape[:1], -torch.inf)
        by_robot = noise if noise.dim() == 5 else noise[:, None]
        for iteration in range(self.num_iterations):
            actions = self.clip(self.sample(state, by_robot[iteration], iteration))
            scores, late = (returns(actions), False) if is_late is None else self._scored_in_time(returns, actions, is_late)
            state = self.update(state, actions[:, : scores.shape[1]], scores)
            best = torch.maximum(best, scores.amax(1))
            if late:
                break
        return self.shifted(state), Plan(self.clip(state.mean), best)

    def _scored_in_time(self, returns: Returns, actions: Tensor, is_late: IsLate) -> tuple[Tensor, bool]:
        """The returns of the first candidates, (B, at least `least_samples`), and whether there is no time for more."""
        scores: list[Tensor] = []
        late = False
        for block in actions.split(max(TIMED_BLOCK, self.least_samples), dim=1):
            # a last block may hold fewer candidates than can be planned with, but it never comes first
            scores.append(returns(block))
            late = is_late()
            if late:
                break
        return torch.cat(scores, dim=1), late

    @abstractmethod
    def sample(self, state: PlanState, noise: Tensor, iteration: int) -> Tensor:
        """Candidate sequences, (B, N, H, action_dim), which the caller clips.

        Args:
            state: the sampling distribution so far.
            noise: standard normal, (B, N, H, action_dim), or (1, N, H, action_dim) where all robots share it.
            iteration: the number of the iteration, from 0 on.
        """

    @abstractmethod
    def update(self, state: PlanState, actions: Tensor, returns: Tensor) -> PlanState:
        """Move the distribution; `actions` (B, N, H, action_dim) are clipped, `returns` (B, N) finite."""

    def perturbations(self, num: int, generator: torch.Generator) -> Tensor:
        return self.noise(num, generator) * self.sigma * self.half_range

    def noise(self, num: int, generator: torch.Generator) -> Tensor:
        """Standard normal noise, coloured along the horizon, (num, H, action_dim)."""
        return self.coloured(torch.randn(num, self.horizon, self.action_dim, generator=generator, device=generator.device))

    def coloured(self, white: Tensor) -> Tensor:
        """Noise that is coloured along the horizon, of white noise (num, H, action_dim)."""
        return torch.einsum("hk,nka->nha", self._colour, white)


def coloured_noise_matrix(horizon: int, beta: float) -> Tensor:
    """Matrix C such that C @ white has unit variance at every step and a power spectrum ~ 1/f^beta (Pinneri et al. 2020).

    The spectrum is shaped over twice the horizon and cut, so that the ends of the sequence are not tied together.
    """
    length = 2 * horizon
    frequency = torch.fft.rfftfreq(length, dtype=torch.float64)
    frequency[0] = frequency[1]
    kernel = torch.fft.irfft(frequency ** (-beta), n=length)[:horizon]
    lag = (torch.arange(horizon)[:, None] - torch.arange(horizon)[None]).abs()
    # tiny jitter: the spectrum's high frequencies may vanish to rounding
    covariance = (kernel / kernel[0])[lag] + 1e-9 * torch.eye(horizon, dtype=torch.float64)
    return torch.linalg.cholesky(covariance).to(torch.get_default_dtype())
