"""The one tuple that flows from a robot to the adapter: a window of recent transitions."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Transitions(NamedTuple):
    """The last K transitions of B robots, time-ordered, newest last.

    Attributes:
        obs: SI units, (B, K, obs_dim).
        action: as sent, (B, K, action_dim).
        next_obs: SI units, (B, K, obs_dim).
        valid: False before the first step and across resets, (B, K) bool.
    """

    obs: Tensor
    action: Tensor
    next_obs: Tensor
    valid: Tensor


class Prediction(NamedTuple):
    """Mean and standard deviation of next_obs, both (B, N, obs_dim) in SI units."""

    mean: Tensor
    std: Tensor
