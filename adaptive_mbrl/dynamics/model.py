"""The dynamics model: normalizer and ensemble together, s' = s + d(s, a; theta).

Functional in its parameters, so that an adapter can evaluate it with parameters that differ from robot to robot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.config import bounded
from adaptive_mbrl.dynamics.ensemble import MODULATION, Activation, EnsembleMLP
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.dynamics.rollout import roll_out
from adaptive_mbrl.spec import RobotSpec

Parameters = Mapping[str, Tensor]
LOG_STD_RANGE = (-4.0, 1.0)
"""Learned log standard deviation of a normalised target is kept in here."""


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the dynamics model.

    Attributes:
        hidden: width of each hidden layer.
        members: size of the ensemble; 1 is a single network.
        activation: of the hidden layers.
        context_dim: length of the context vector that adaptation may change.
        learned_variance: predict a standard deviation per channel, for users of `Adapter.predict`; otherwise it is `fixed_std`.
            Neither enters adaptation or planning: a planner's `uncertainty_penalty` is about the members' spread.
        fixed_std: standard deviation of a normalised target when the variance is not learned.
    """

    hidden: tuple[int, ...] = bounded((200, 200, 200, 200), low=1)
    members: int = bounded(4, low=1, high=64)
    activation: Activation = "silu"
    context_dim: int = bounded(8, low=0, high=256)
    learned_variance: bool = False
    fixed_std: float = bounded(0.1, low=1e-6)


class TargetPrediction(NamedTuple):
    """Normalised target of every member: mean and log std, both (E, T, n, obs_dim)."""

    mean: Tensor
    log_std: Tensor


class DynamicsModel(nn.Module):
    """Ensemble dynamics over a robot's channels.

    Args:
        spec: the robot.
        config: shape of the networks.
        seed: of the initial weights.
    """

    _fixed_log_std: Tensor

    def __init__(self, spec: RobotSpec, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        self.spec = spec
        self.config = config
        self.normalizer = Normalizer(spec)
        outputs = spec.obs_dim * (2 if config.learned_variance else 1)
        self.net = EnsembleMLP(
            self.normalizer.input_dim,
            spec.action_dim,
            outputs,
            config.hidden,
            config.members,
            config.context_dim,
            config.activation,
            torch.Generator().manual_seed(seed),
        )
        self.register_buffer("_fixed_log_std", torch.tensor(config.fixed_std).log(), persistent=False)

    @property
    def members(self) -> int:
        return self.config.members

    def parameter_names(self, which: str) -> tuple[str, ...]:
        """Names of the network's parameters: `modulation` for the input modulation, `all` for every one."""
        return MODULATION if which == "modulation" else tuple(name for name, _ in self.net.named_parameters())

    def shared_parameters(self) -> dict[str, Tensor]:
        """The network's own parameters, one value per member."""
        return dict(self.net.named_parameters())

    def predict_target(self, parameters: Parameters, obs: Tensor, action: Tensor) -> TargetPrediction:
        """Normalised target.

        Args:
            parameters: of the network, per member or per member and task.
            obs: (T, n, obs_dim), or (E, T, n, obs_dim) when every member is at a state of its own.
            action: (T, n, action_dim).
        """
        x = _for_members(self.normalizer.encode(obs), self.members)
        u = _for_members(self.normalizer.encode_action(action), self.members)
        output: Tensor = self.net(parameters, x, u)
        if not self.config.learned_variance:
            return TargetPrediction(output, self._fixed_log_std.expand_as(output))
        mean, log_std = output.chunk(2, dim=-1)
        low, high = LOG_STD_RANGE
        return TargetPrediction(mean, low + (high - low) * torch.sigmoid(log_std))

    def predict_members(self, parameters: Parameters, obs: Tensor, action: Tensor) -> Tensor:
        """Mean next_obs of every member, (E, T, n, obs_dim); arguments as in `predict_target`."""
        return self.normalizer.decode(obs, self.predict_target(parameters, obs, action).mean)

    def roll_out(self, parameters: Parameters, obs: Tensor, actions: Tensor) -> Tensor:
        """Open-loop rollout, each member on its own trajectory.

        Args:
            parameters: per member, or per member and task.
            obs: first observation, (T, n, obs_dim).
            actions: (T, n, H, action_dim).

        Returns:
            Next observations, (E, T, n, H, obs_dim).
        """
        return roll_out(self, parameters, obs, actions)


def _for_members(x: Tensor, members: int) -> Tensor:
    return x if x.dim() == 4 else x.expand(members, *x.shape)
