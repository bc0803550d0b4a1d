"""What an episode is worth after the planner's horizon: a small network V(obs), fitted to recorded episodes.

A plan of less than a second does not see that a robot will fall, or that it is about to swing up. V tells the score what follows
(`planning.score`). The idea of planning over a short horizon under a model with a learned value at its end is that of TD-MPC2
(Hansen et al. 2024, arXiv 2310.16828); there the value belongs to a policy network, here to the planner's own episodes
(`meta.value_fit`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adaptive_mbrl.config import bounded
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import RobotSpec


@dataclass(frozen=True)
class ValueConfig:
    """A terminal value and how it is fitted.

    Attributes:
        discount: factor of the reward of each further step; 1 / (1 - discount) is about the number of steps that count.
        trace: lambda of TD(lambda): 0 trusts the value of the next step, 1 the sum of the rewards that came.
        hidden: width of each hidden layer.
        sweeps: how often the targets are computed anew in a fit.
        updates: gradient steps between two computations of the targets.
        batch_size: observations per gradient step.
        learning_rate: Adam's rate.
        weight: factor of the value in the planner's score.
    """

    discount: float = bounded(0.97, low=0.0, high=0.9999)
    trace: float = bounded(0.9, low=0.0, high=1.0)
    hidden: tuple[int, ...] = bounded((64, 64), low=1)
    sweeps: int = bounded(10, low=1)
    updates: int = bounded(100, low=1)
    batch_size: int = bounded(512, low=1)
    learning_rate: float = bounded(1e-3, low=0.0)
    weight: float = bounded(1.0, low=0.0)


class ValueFunction(nn.Module):
    """A `TerminalValue`: the discounted sum of the rewards that are expected after an observation.

    Args:
        spec: the robot.
        config: shape and discount.
        goal_names: entries of the objective's goal; must be empty, since episodes do not record their goals.
        seed: fixes the initial weights.

    Raises:
        ConfigError: the objective has a goal.
    """

    return_mean: Tensor
    return_std: Tensor

    def __init__(self, spec: RobotSpec, config: ValueConfig, goal_names: tuple[str, ...] = (), seed: int = 0) -> None:
        super().__init__()
        if goal_names:
            raise ConfigError(
                f"key 'value': the objective of '{spec.name}' has a goal ({', '.join(goal_names)}), which episodes do not "
                "record; allowed: leave 'value' out"
            )
        self.config, self.normalizer = config, Normalizer(spec)
        sizes = (self.normalizer.encoded_dim, *config.hidden)
        layers: list[nn.Module] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for i in range(len(config.hidden)):
                layers += [nn.Linear(sizes[i], sizes[i + 1]), nn.SiLU()]
            self.net = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))
        self.register_buffer("return_mean", torch.zeros(()))
        self.register_buffer("return_std", torch.ones(()))

    def forward(self, obs: Tensor, goal: Tensor | None = None) -> Tensor:
        """The weighted value in the score's units, (...); `obs` is (..., obs_dim), `goal` is not looked at."""
        return self.config.weight * self.value(obs)

    def value(self, obs: Tensor) -> Tensor:
        """Expected discounted return after each observation, (...); `obs` is (..., obs_dim)."""
        return self.return_mean + self.return_std * self.standardised(obs)

    def standardised(self, obs: Tensor) -> Tensor:
        """The network's output, (...): the value in standard deviations of the returns it was fitted to."""
        affine = self.normalizer.affine()
        out: Tensor = self.net(affine.encode(torch.clamp(obs, affine.low, affine.high)))
        return out.squeeze(-1)
