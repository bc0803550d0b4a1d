"""A reward that was learned from the rewards of episodes, for a robot whose reward nobody has written down as terms.

The network r(obs, action, next_obs) takes the place of an `Objective` in the score (`planning.score`); `meta.reward_fit` fits it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adaptive_mbrl.config import bounded
from adaptive_mbrl.planning.transition_network import TransitionNetwork
from adaptive_mbrl.spec import RobotSpec


@dataclass(frozen=True)
class LearnedRewardConfig:
    """A learned reward and how it is fitted.

    Attributes:
        hidden: width of each hidden layer.
        updates: gradient steps of each round.
        batch_size: transitions per gradient step.
        learning_rate: Adam's rate at the beginning of a fit; it falls to nothing until its end.
    """

    hidden: tuple[int, ...] = bounded((64, 64), low=1)
    updates: int = bounded(1000, low=1)
    batch_size: int = bounded(256, low=1)
    learning_rate: float = bounded(1e-2, low=0.0)


class LearnedReward(nn.Module):
    """A `RewardFunction` that has no goal.

    Args:
        spec: the robot.
        config: shape of the network.
        seed: fixes the initial weights.
    """

    reward_mean: Tensor
    reward_std: Tensor
    goal_dim = 0

    def __init__(self, spec: RobotSpec, config: LearnedRewardConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.network = TransitionNetwork(spec, config.hidden, seed)
        self.register_buffer("reward_mean", torch.zeros(()))
        self.register_buffer("reward_std", torch.ones(()))

    def forward(self, obs: Tensor, action: Tensor, next_obs: Tensor, goal: Tensor) -> Tensor:
        """See `RewardFunction`; `goal` is not looked at."""
        return self.reward_mean + self.reward_std * self.standardised(obs, action, next_obs)

    def standardised(self, obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
        """The network's output, (...): the reward in standard deviations of those that it was fitted to."""
        # a future that is not finite must not pass as one that is merely clamped
        broken = 0.0 * next_obs.sum(-1)
        return self.network(obs, action, next_obs) + broken
