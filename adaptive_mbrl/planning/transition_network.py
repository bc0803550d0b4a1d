"""A small network that reads one number off a transition: what a learned reward and a learned termination are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.spec import RobotSpec

_MOST = 10.0  # stds of a one-step change; beyond that a prediction has failed anyway


class TransitionNetwork(nn.Module):
    """A function of (obs, action, next_obs), in normalised units with angles as sine and cosine.

    The change from obs to next_obs is an input of its own, since it is small against the range of the observations.

    Args:
        spec: the robot.
        hidden: width of each hidden layer.
        seed: fixes the initial weights.
    """

    def __init__(self, spec: RobotSpec, hidden: Sequence[int], seed: int = 0) -> None:
        super().__init__()
        self.normalizer = Normalizer(spec)
        sizes = (2 * self.normalizer.encoded_dim + spec.obs_dim + spec.action_dim, *hidden)
        layers: list[nn.Module] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for i in range(len(hidden)):
                layers += [nn.Linear(sizes[i], sizes[i + 1]), nn.SiLU()]
            self.net = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))

    def forward(self, obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
        """The network's output, (...).

        Args:
            obs: observations before the step, (..., obs_dim).
            action: actions of the step, (..., action_dim).
            next_obs: observations after the step, (..., obs_dim); its leading axes are those of the result.
        """
        affine, lead = self.normalizer.affine(), next_obs.shape[:-1]
        before, after = (affine.encode(torch.clamp(x, affine.low, affine.high)) for x in (obs, next_obs))
        change = self.normalizer.target(obs, next_obs).clamp(-_MOST, _MOST)
        parts = (before, self.normalizer.encode_action(action), after, change)
        out: Tensor = self.net(torch.cat([x.expand(*lead, x.shape[-1]) for x in parts], dim=-1))
        return out.squeeze(-1)
