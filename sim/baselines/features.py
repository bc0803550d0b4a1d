"""What a baseline sees and sends: the same information that our own model gets, in numbers that fit a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.spec import RobotSpec

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """From observation, goal and last action to the input of a policy.

    Angles become their sine and cosine, as in our own model. The last action, in units of -1 to 1, is for policies with a memory:
    the reward, which RL2 (Duan et al. 2016, arXiv 1611.02779) also feeds back, is a function of what they see anyway.

    Attributes:
        spec: the robot's channels.
        goal_dim: number of entries of the goal.
        last_action: whether the last action is part of the input.
    """

    spec: RobotSpec
    goal_dim: int
    last_action: bool

    @property
    def dim(self) -> int:
        """Number of features."""
        own = self.spec.action_dim if self.last_action else 0
        return self.spec.obs_dim + len(self._angles) + self.goal_dim + own

    def __call__(self, obs: Array, goal: Array, last: Array) -> Array:
        """The features, (B, dim).

        Args:
            obs: observations, (B, obs_dim).
            goal: goals, (B, goal_dim).
            last: the last actions in units of -1 to 1, (B, action_dim); zeros at the first step of an episode.
        """
        angles = self._angles
        others = [i for i in range(self.spec.obs_dim) if i not in angles]
        parts = [obs[:, others], np.sin(obs[:, angles]), np.cos(obs[:, angles]), goal]
        return np.concatenate([*parts, last] if self.last_action else parts, axis=1, dtype=np.float32)

    def to_unit(self, action: Array) -> Array:
        """The robot's actions (B, action_dim) in units of -1 to 1."""
        low, high = self._limits
        return ((action - low) / (high - low) * 2 - 1).astype(np.float32)

    def from_unit(self, action: Array) -> Array:
        """Actions of -1 to 1 (B, action_dim) in the robot's units."""
        low, high = self._limits
        return (low + (np.clip(action, -1, 1) + 1) / 2 * (high - low)).astype(np.float32)

    @property
    def _angles(self) -> list[int]:
        return [i for i, channel in enumerate(self.spec.obs) if channel.kind == "angle"]

    @property
    def _limits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array([a.low for a in self.spec.action]), np.array([a.high for a in self.spec.action])
