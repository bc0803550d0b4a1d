"""The dynamics model: normalizer and ensemble together, s' = s + d(s, a; theta)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adaptive_mbrl.config import bounded
from adaptive_mbrl.dynamics.network import Activation, EnsembleMLP
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.spec import RobotSpec

LOG_STD_RANGE = (-4.0, 1.0)
"""The learned log standard deviation of a normalised target is kept in here."""


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the dynamics model.

    Attributes:
        hidden: width of each hidden layer.
        members: size of the ensemble; 1 is a single network.
        activation: function between the layers.
        context_dim: length of the context vector that adaptation may change.
        learned_variance: predict a standard deviation per channel, for users of `Predictor.predict`; otherwise it is `fixed_std`.
            Neither enters adaptation or planning: a planner's `uncertainty_penalty` is about the members' spread.
        fixed_std: standard deviation of a normalised target when the variance is not learned.
    """

    hidden: tuple[int, ...] = bounded((200, 200, 200, 200), low=1)
    members: int = bounded(4, low=1, high=64)
    activation: Activation = "silu"
    context_dim: int = bounded(8, low=0, high=256)
    learned_variance: bool = False
    fixed_std: float = bounded(0.1, low=1e-6)


class DynamicsModel(nn.Module):
    """The weights of an ensemble over a robot's channels; a `NetworkPredictor` evaluates them.

    Args:
        spec: the robot.
        config: shape of the networks.
        seed: fixes the initial weights.
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

    def log_std(self, output: Tensor) -> Tensor:
        """Log standard deviation of a normalised target, (..., obs_dim), from the network's output."""
        obs_dim = self.spec.obs_dim
        if not self.config.learned_variance:
            return self._fixed_log_std.expand_as(output[..., :obs_dim])
        low, high = LOG_STD_RANGE
        return low + (high - low) * torch.sigmoid(output[..., obs_dim:])
