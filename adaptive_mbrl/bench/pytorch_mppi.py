"""Planning with the library pytorch_mppi (https://github.com/UM-ARM-Lab/pytorch_mppi), for a comparison.

Its users bring dynamics and a cost. Here they get the same network as ours, with the same weights, written as such a user would:
plain matrix products of float32 tensors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adaptive_mbrl.bench.cases import Case
from adaptive_mbrl.bench.driven import random_model
from adaptive_mbrl.checkpoint import Checkpoint
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.objective import RewardFunction


class PlainDynamics(nn.Module):
    """One network as a function from states and actions to next states.

    Args:
        model: a model with one member, whose weights are taken.
    """

    low: Tensor
    high: Tensor

    def __init__(self, model: DynamicsModel) -> None:
        super().__init__()
        self.normalizer, self.activation = model.normalizer, model.net.activation
        parameters = {name: value.detach()[0] for name, value in model.net.parameters_by_name().items()}
        self.layers = [(parameters[f"weight_{i}"], parameters[f"bias_{i}"]) for i in range(model.net.num_layers)]
        self.context = parameters["context"]
        is_angle = torch.tensor([channel.kind == "angle" for channel in model.spec.obs])
        self.angles, self.others = is_angle.nonzero()[:, 0], (~is_angle).nonzero()[:, 0]

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        """The next states, (N, obs_dim), of states (N, obs_dim) and actions (N, action_dim)."""
        normalizer = self.normalizer
        scaled = ((obs - normalizer.obs_mean) / normalizer.obs_std)[:, self.others]
        angles = obs[:, self.angles]
        context = self.context.expand(len(obs), -1)
        h = torch.cat([scaled, angles.sin(), angles.cos(), normalizer.encode_action(action), context], dim=-1)
        for number, (weight, bias) in enumerate(self.layers):
            h = torch.addmm(bias, self.activation(h) if number else h, weight)
        change = normalizer.target_mean + normalizer.target_std * h
        is_direct = torch.tensor([channel.target == "direct" for channel in normalizer.spec.obs])
        return torch.clamp(torch.where(is_direct, change, obs + change), normalizer.obs_low, normalizer.obs_high)


class PytorchMppi:
    """Plans of pytorch_mppi under the model of a case, on the CPU.

    Args:
        case: shapes of network and planner; one member, one robot.
        checkpoint: the robot, its objective, and the ranges of its data.

    Raises:
        ConfigError: the package is not installed.
    """

    def __init__(self, case: Case, checkpoint: Checkpoint) -> None:
        spec = checkpoint.description.spec
        self.dynamics = PlainDynamics(random_model(case, checkpoint))
        low, high = (torch.tensor([getattr(action, end) for action in spec.action]) for end in ("low", "high"))
        self._mppi = extra_package("pytorch_mppi", "peers").MPPI(
            self.dynamics,
            _cost_of(checkpoint.reward),
            spec.obs_dim,
            torch.diag((0.25 * (high - low)).square()),
            num_samples=case.samples,
            horizon=case.horizon,
            u_min=low,
            u_max=high,
        )

    @torch.no_grad()
    def plan(self, obs: Tensor) -> Tensor:
        """The next action, (action_dim,), at an observation, (obs_dim,)."""
        return self._mppi.command(obs)


def _cost_of(reward: RewardFunction) -> object:
    goal = torch.zeros(reward.goal_dim)
    # the library shows the cost the next state only; as the terms read single channels of it, the work is the same
    return lambda obs, action: -reward(obs, action, obs, goal)
