"""When an episode ends, learned from episodes that ended: a classifier of transitions.

It says for predicted futures what the healthy ranges of a robot say where somebody has written them down: after the step in which
an episode ends, nothing counts (`planning.score`). `meta.termination_fit` fits it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adaptive_mbrl.config import bounded
from adaptive_mbrl.planning.transition_network import TransitionNetwork
from adaptive_mbrl.spec import RobotSpec

_NEVER = 1e4  # a limit that no logit exceeds


@dataclass(frozen=True)
class LearnedTerminationConfig:
    """A learned termination and how it is fitted.

    Attributes:
        hidden: width of each hidden layer.
        updates: gradient steps of each round.
        batch_size: transitions per gradient step, half of them ends.
        learning_rate: Adam's rate at the beginning of a fit; it falls to nothing until its end.
    """

    hidden: tuple[int, ...] = bounded((64, 64), low=1)
    updates: int = bounded(1000, low=1)
    batch_size: int = bounded(256, low=2)
    learning_rate: float = bounded(1e-2, low=0.0)


class LearnedTermination(nn.Module):
    """A `Termination`. Before any episode has ended, none ever does.

    Args:
        spec: the robot.
        config: shape of the network.
        seed: fixes the initial weights.
    """

    limit: Tensor

    def __init__(self, spec: RobotSpec, config: LearnedTerminationConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.network = TransitionNetwork(spec, config.hidden, seed)
        self.register_buffer("limit", torch.full((), _NEVER))

    @property
    def knows_ends(self) -> bool:
        """Whether it was fitted to an episode that ended; before, asking it is a waste of time."""
        return bool(self.limit != _NEVER)

    def forward(self, obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
        """See `planning.score.Termination`."""
        return self.logit(obs, action, next_obs) > self.limit

    def logit(self, obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
        """Log odds of an end among transitions half of which are ends, (...)."""
        out: Tensor = self.network(obs, action, next_obs)
        return out
