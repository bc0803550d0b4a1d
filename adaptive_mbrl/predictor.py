"""What planners, losses, preflight checks and diagnostics see of a belief: dynamics that can be asked.

    s_{h+1} ~ f_p(s_h, a_h),   p = 1..P particles      (ensemble members times samples of the belief)

Learned weights, a posterior over them, a simulator with estimated parameters and the true dynamics (the oracle) are all kinds of
`Predictor`. Nobody needs to know which one it is.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor


class Prediction(NamedTuple):
    """Mean and standard deviation of next_obs, both (B, N, obs_dim) in SI units."""

    mean: Tensor
    std: Tensor


class Trajectories(NamedTuple):
    """Predicted futures of candidate action sequences.

    Attributes:
        next_obs: the observations after each action, (P, B, N, H, obs_dim) in SI units.
        alive: whether the robot's episode still goes on after each action, (P, B, N, H) bool; None if it always does.
    """

    next_obs: Tensor
    alive: Tensor | None = None


class Predictor(Protocol):
    """The dynamics of B robots under one belief."""

    def predict(self, obs: Tensor, action: Tensor) -> Prediction:
        """Predict one control step.

        Args:
            obs: N observations of each robot, (B, N, obs_dim).
            action: what is sent at each of them, (B, N, action_dim).
        """

    def roll_out(self, obs: Tensor, actions: Tensor) -> Trajectories:
        """Predict the futures of candidate action sequences, open loop, each particle on a trajectory of its own.

        Args:
            obs: where each robot is, (B, obs_dim).
            actions: N candidates for each robot, (B, N, H, action_dim).
        """

    def features(self, obs: Tensor, action: Tensor) -> Tensor:
        """Learned features of one control step, (P, B, N, F); arguments as in `predict`."""

    def error(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """Difference of two next observations, (..., obs_dim), in stds of the one-step target, angles on their circle."""

    def shift(self, obs: Tensor, error: Tensor) -> Tensor:
        """The observation that differs from `obs` by `error`; the inverse of `error`."""

    def to(self, dtype: torch.dtype) -> Self:
        """The same dynamics with matrix products in another precision, where there are any."""
