"""How good predicted futures are: the objective while the robot's episode goes on, and what may come after the horizon.

    J_p = sum_{h<H} alive_{p,h-1} r(s_h, a_h, s_{h+1}, g)  +  alive_{p,H-1} V(s_H, g)         for each particle p
    J   = risk_p J_p - penalty * std_p J_p                 risk: by default the mean (see `planning.risk`)

Every candidate is scored under all particles: one particle for each candidate would pick the most optimistic one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from adaptive_mbrl.objective import RewardFunction
from adaptive_mbrl.planning.risk import MeanRiskConfig, RiskConfig
from adaptive_mbrl.predictor import Trajectories

TerminalValue = Callable[[Tensor, Tensor], Tensor]
"""Expected return after the horizon: its last obs (P, B, N, obs_dim) and the goal, broadcast against it -> (P, B, N)."""

Termination = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Whether an episode ends with a transition: obs (..., obs_dim), action (..., action_dim), next_obs -> (...) bool.

It is asked about (P, B, N, H) predicted transitions at once; the actions are the same for all P."""

FAILED_RETURN = -1e30
"""The return of a future that is not finite."""


@dataclass(frozen=True)
class Score:
    """The return of candidate plans.

    Attributes:
        reward: the objective.
        uncertainty_penalty: weight of the particles' spread of returns, subtracted from their risk; a negative one draws the
            planner to where the particles disagree, for exploration.
        terminal_value: what is expected after the horizon; None for nothing.
        termination: tells where predicted episodes end, beside what the predictor itself knows of it; None for nowhere.
        risk: how the returns of a candidate under all particles become one.
    """

    reward: RewardFunction
    uncertainty_penalty: float = 0.0
    terminal_value: TerminalValue | None = None
    termination: Termination | None = None
    risk: RiskConfig = MeanRiskConfig()

    def __call__(self, trajectories: Trajectories, actions: Tensor, obs: Tensor, goal: Tensor) -> Tensor:
        """Returns of the candidates, (B, N), finite.

        Args:
            trajectories: the candidates' predicted futures.
            actions: the candidates, (B, N, H, action_dim).
            obs: where the robots are, (B, obs_dim).
            goal: (B, goal_dim), or (B, H, goal_dim) when it is known to move.
        """
        returns = self.particle_returns(trajectories, actions, obs, goal)
        found = self.risk.of(returns)
        if self.uncertainty_penalty != 0 and len(returns) > 1:
            found = found - self.uncertainty_penalty * returns.std(0, unbiased=False)
        # one particle of many would hardly show in a mean, and the spread of a failed and a good one may overflow
        return torch.where((returns == FAILED_RETURN).any(0), FAILED_RETURN, found)

    def particle_returns(self, trajectories: Trajectories, actions: Tensor, obs: Tensor, goal: Tensor) -> Tensor:
        """Return of each candidate under each particle, (P, B, N); `FAILED_RETURN` for a future that is not finite."""
        if self.termination is not None:
            trajectories = ending(self.termination, trajectories, actions, obs)
        next_obs, alive = trajectories
        returns = step_rewards(self.reward, trajectories, actions, obs, goal).sum(-1)
        if self.terminal_value is not None:
            value = self.terminal_value(next_obs[..., -1, :], _along(goal, -1))
            returns = returns + (value if alive is None else torch.where(alive.all(-1), value, 0.0))
        return returns.nan_to_num(nan=FAILED_RETURN, posinf=FAILED_RETURN, neginf=FAILED_RETURN)


def step_rewards(reward: RewardFunction, trajectories: Trajectories, actions: Tensor, obs: Tensor, goal: Tensor) -> Tensor:
    """Reward of each predicted step, (P, B, N, H); 0 after the step in which an episode ends.

    Args:
        reward: the objective.
        trajectories: the predicted futures.
        actions: (B, N, H, action_dim).
        obs: where the robots are, (B, obs_dim).
        goal: (B, goal_dim) or (B, H, goal_dim).
    """
    next_obs, alive = trajectories
    before = _before(trajectories, obs)
    along_horizon = goal[:, None] if goal.dim() == 3 else goal[:, None, None]
    rewards = reward(before, actions, next_obs, along_horizon)
    if alive is None:
        return rewards
    # the step in which an episode ends still counts
    begins = torch.cat([torch.ones_like(alive[..., :1]), alive[..., :-1]], dim=-1).cummin(-1).values
    return torch.where(begins, rewards, 0.0)


def ending(termination: Termination, trajectories: Trajectories, actions: Tensor, obs: Tensor) -> Trajectories:
    """Predicted futures with the ends that a termination sees in them; arguments as of `step_rewards`."""
    next_obs, alive = trajectories
    goes_on = ~termination(_before(trajectories, obs), actions, next_obs)
    return Trajectories(next_obs, goes_on if alive is None else alive & goes_on)


def failed(returns: Tensor) -> Tensor:
    """Which candidates failed under at least one particle, (B, N) bool; `returns` are a score's, (B, N)."""
    return returns <= FAILED_RETURN


def _before(trajectories: Trajectories, obs: Tensor) -> Tensor:
    """The observation that each predicted step begins with, (P, B, N, H, obs_dim)."""
    next_obs = trajectories.next_obs
    start = obs[None, :, None, None, :].expand(*next_obs.shape[:3], 1, -1)
    return torch.cat([start, next_obs[..., :-1, :]], dim=-2)


def _along(goal: Tensor, step: int) -> Tensor:
    """The goal at one step of the horizon, (B, 1, goal_dim)."""
    return goal[:, step, None] if goal.dim() == 3 else goal[:, None]
