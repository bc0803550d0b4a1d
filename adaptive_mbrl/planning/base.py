"""Sampling-based model-predictive control.

At every control step, from the present state s_0, find the action sequence that maximises the predicted return

    J(a_0 .. a_{H-1}) = sum_{h<H} r(s_h, a_h, s_{h+1}, g),   s_{h+1} = f(s_h, a_h),   low <= a_h <= high

by sampling N sequences, rolling them out, and moving the sampling distribution towards the good ones; send a_0; shift; repeat.
With an ensemble f_1..f_P every candidate is scored under all members and the returns are averaged: one member per candidate would
pick the most optimistic member. Optionally the std over members is subtracted.

A planner is two short methods, `sample` and `update`. Rollout, clipping, warm start and bookkeeping live here, once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from adaptive_mbrl.config import bounded
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.objective import RewardFunction
from adaptive_mbrl.spec import RobotSpec

Rollout = Callable[[Tensor], Tensor]
"""Candidate actions (B, N, H, action_dim) -> next observations (P, B, N, H, obs_dim), P ensemble members."""

FAILED_RETURN = -1e30
"""Of a rollout that is not finite."""


@dataclass(frozen=True)
class PlannerConfig:
    """Which planner and its settings; a method reads those that it has a use for, but all have to fit together.

    Attributes:
        method: the algorithm.
        horizon: H, control steps.
        num_samples: N, candidates per iteration.
        num_iterations: rounds of sample and update per control step.
        sigma: initial standard deviation, in half ranges of each action.
        noise_beta: exponent of the noise's power spectrum 1/f^beta along the horizon; 0 is white.
        uncertainty_penalty: weight of the members' return std, subtracted from the mean return.
        num_elites: CEM and iCEM: candidates that the distribution is refitted to.
        num_elites_kept: iCEM: elites carried over to the next iteration and control step.
        momentum: CEM and iCEM: share of the old distribution kept in a refit.
        temperature: MPPI: in stds of the candidates' returns.
        sigma_decay: MPPI: factor on the noise from one iteration to the next.
    """

    method: Literal["icem", "mppi", "cem", "random_shooting"] = "icem"
    horizon: int = bounded(15, low=1, high=500)
    num_samples: int = bounded(64, low=2)
    num_iterations: int = bounded(2, low=1)
    sigma: float = bounded(0.5, low=1e-3, high=10.0)
    noise_beta: float = bounded(1.0, low=0.0, high=4.0)
    uncertainty_penalty: float = bounded(0.0, low=0.0)
    num_elites: int = bounded(8, low=1)
    num_elites_kept: int = bounded(3, low=0)
    momentum: float = bounded(0.1, low=0.0, high=0.99)
    temperature: float = bounded(0.3, low=1e-3)
    sigma_decay: float = bounded(0.7, low=0.05, high=1.0)

    def __post_init__(self) -> None:
        if self.num_elites > self.num_samples:
            raise ConfigError(f"num_elites {self.num_elites} must not exceed num_samples {self.num_samples}")
        if self.num_elites_kept > self.num_elites:
            raise ConfigError(f"num_elites_kept {self.num_elites_kept} must not exceed num_elites {self.num_elites}")
        if self.num_elites_kept + 1 >= self.num_samples:
            raise ConfigError(
                f"num_elites_kept {self.num_elites_kept} must leave fresh samples of num_samples {self.num_samples}"
            )


class PlanState(NamedTuple):
    """What a planner carries from one control step to the next, for B robots.

    Attributes:
        mean: nominal action sequence, (B, H, action_dim).
        std: of the sampling distribution, (B, H, action_dim).
        elites: best sequences of the last plan, (B, num_elites_kept, H, action_dim); used by iCEM.
    """

    mean: Tensor
    std: Tensor
    elites: Tensor


class Plan(NamedTuple):
    """The chosen action sequence.

    Attributes:
        actions: within limits, (B, H, action_dim); the first is to be sent.
        predicted_return: of the best-scored candidate of all iterations, (B,).
    """

    actions: Tensor
    predicted_return: Tensor


class Planner(ABC):
    """Base of the sampling planners.

    Noise is drawn once per iteration and shared by all robots, so that a batch of robots plans exactly as each would alone.

    Args:
        spec: gives the action limits.
        config: sizes.
        seed: of the noise.
        device: where plans are made.
    """

    def __init__(self, spec: RobotSpec, config: PlannerConfig, seed: int = 0, device: torch.device | str = "cpu") -> None:
        self.config = config
        self.action_dim = spec.action_dim
        self.low = torch.tensor([a.low for a in spec.action], device=device)
        self.high = torch.tensor([a.high for a in spec.action], device=device)
        self.center = (self.low + self.high) / 2
        self.half_range = (self.high - self.low) / 2
        self.generator = torch.Generator(device).manual_seed(seed)
        self._colour = coloured_noise_matrix(config.horizon, config.noise_beta).to(device)

    def seed(self, seed: int) -> None:
        """Restart the noise."""
        self.generator.manual_seed(seed)

    def init(self, batch_size: int) -> PlanState:
        """State before the first control step of B robots."""
        mean = self.center.repeat(batch_size, self.config.horizon, 1)
        elites = mean[:, None].repeat(1, self.config.num_elites_kept, 1, 1)
        return PlanState(mean, (self.config.sigma * self.half_range).repeat(batch_size, self.config.horizon, 1), elites)

    @property
    def least_samples(self) -> int:
        """The smallest number of candidates that a control step can be made with."""
        return max(2, self.config.num_elites, self.config.num_elites_kept + 2)

    def draw_noise(self, num_samples: int | None = None) -> Tensor:
        """All random numbers of one control step: see `noise`.

        Args:
            num_samples: N for this step, where time does not allow the configured number; at least `least_samples` are drawn.

        Returns:
            (num_iterations, N, H, action_dim).
        """
        iterations = self.config.num_iterations
        samples = max(num_samples or self.config.num_samples, self.least_samples)
        return self.noise(iterations * samples).unflatten(0, (iterations, samples))

    @torch.no_grad()
    def plan(
        self,
        state: PlanState,
        rollout: Rollout,
        reward: RewardFunction,
        goal: Tensor,
        obs: Tensor,
        noise: Tensor | None = None,
    ) -> tuple[PlanState, Plan]:
        """Plan one control step.

        Args:
            state: of the last control step.
            rollout: the model, started at the present state.
            reward: to maximise.
            goal: (B, goal_dim), or (B, H, goal_dim) when it is known to move.
            obs: present observation, (B, obs_dim).
            noise: from `draw_noise`, for a caller that wants a function without hidden state; drawn here if left out.

        Returns:
            The state for the next control step (already shifted by one) and the plan.
        """
        noise = self.draw_noise() if noise is None else noise
        state = state._replace(std=(self.config.sigma * self.half_range).expand_as(state.mean).contiguous())
        best = state.mean.new_full(state.mean.shape[:1], -torch.inf)
        for iteration in range(self.config.num_iterations):
            actions = torch.clamp(self.sample(state, noise[iteration], iteration), self.low, self.high)
            returns = self._returns(rollout(actions), actions, reward, goal, obs)
            state = self.update(state, actions, returns)
            best = torch.maximum(best, returns.amax(1))
        plan = Plan(torch.clamp(state.mean, self.low, self.high), best)
        return self._shifted(state), plan

    @abstractmethod
    def sample(self, state: PlanState, noise: Tensor, iteration: int) -> Tensor:
        """Candidate sequences, (B, N, H, action_dim), from standard normal noise, (N, H, action_dim); clipped by the caller."""

    @abstractmethod
    def update(self, state: PlanState, actions: Tensor, returns: Tensor) -> PlanState:
        """Move the distribution; `actions` (B, N, H, action_dim) are clipped, `returns` (B, N) finite."""

    def noise(self, num: int) -> Tensor:
        """Standard normal noise, coloured along the horizon, (num, H, action_dim)."""
        white = torch.randn(num, self.config.horizon, self.action_dim, generator=self.generator, device=self.generator.device)
        return torch.einsum("hk,nka->nha", self._colour, white)

    def _returns(self, obs_rollout: Tensor, actions: Tensor, reward: RewardFunction, goal: Tensor, obs: Tensor) -> Tensor:
        """(P, B, N, H, obs_dim) and (B, N, H, action_dim) -> (B, N), finite."""
        returns = penalised_return(member_returns(obs_rollout, actions, reward, goal, obs), self.config.uncertainty_penalty)
        # the spread of a failed and a good member may overflow
        return returns.clamp(min=FAILED_RETURN)

    def _shifted(self, state: PlanState) -> PlanState:
        def shift(x: Tensor) -> Tensor:
            return torch.cat([x[..., 1:, :], x[..., -1:, :]], dim=-2)

        return PlanState(shift(state.mean), state.std, shift(state.elites))


def member_returns(obs_rollout: Tensor, actions: Tensor, reward: RewardFunction, goal: Tensor, obs: Tensor) -> Tensor:
    """Return of each candidate under each member.

    Args:
        obs_rollout: next observations, (P, B, N, H, obs_dim).
        actions: (B, N, H, action_dim).
        reward: the objective.
        goal: (B, goal_dim) or (B, H, goal_dim).
        obs: present observation, (B, obs_dim).

    Returns:
        (P, B, N); a rollout that is not finite gets `FAILED_RETURN`.
    """
    returns = step_rewards(obs_rollout, actions, reward, goal, obs).sum(-1)
    return returns.nan_to_num(nan=FAILED_RETURN, posinf=FAILED_RETURN, neginf=FAILED_RETURN)


def failed(returns: Tensor) -> Tensor:
    """Which candidates failed under at least one member; `returns` (B, N) averaged over members -> (B, N) bool."""
    return returns < FAILED_RETURN / 100


def step_rewards(obs_rollout: Tensor, actions: Tensor, reward: RewardFunction, goal: Tensor, obs: Tensor) -> Tensor:
    """Reward of each predicted step, (P, B, N, H); arguments as in `member_returns`."""
    start = obs[None, :, None, None, :].expand(*obs_rollout.shape[:3], 1, -1)
    before = torch.cat([start, obs_rollout[..., :-1, :]], dim=-2)
    along_horizon = goal[:, None] if goal.dim() == 3 else goal[:, None, None]
    return reward(before, actions, obs_rollout, along_horizon)


def penalised_return(returns: Tensor, penalty: float) -> Tensor:
    """Mean over members minus `penalty` times their std, (P, B, N) -> (B, N)."""
    mean = returns.mean(0)
    if penalty == 0 or returns.shape[0] == 1:
        return mean
    return mean - penalty * returns.std(0, unbiased=False)


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
