"""What is sent instead of the plan: hold, return to a posture, damping, zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.spec import RobotSpec
from robot_bridge.safety.config import SafetyConfig
from robot_bridge.safety.reactions import Reaction

Array = NDArray[np.float64]


class SafeActions:
    """The command of each reaction that stops the robot, before the limits of rates.

    Args:
        spec: the robot's channels.
        config: the posture and the dampers.
        low: smallest command, (action_dim,).
        high: largest command, (action_dim,).

    Attributes:
        zero: zero, or the limit nearest to it, (action_dim,).
        posture: where `return` leads to, (action_dim,); `zero` where a robot's file has no posture.
    """

    def __init__(self, spec: RobotSpec, config: SafetyConfig, low: Array, high: Array) -> None:
        self._spec, self._config, self._low, self._high = spec, config, low, high
        self.zero = np.clip(np.zeros(spec.action_dim), low, high)
        self.posture = np.array([config.posture.get(name, zero) for name, zero in zip(spec.action_names, self.zero, strict=True)])
        self._way: tuple[Array, float] | None = None

    def begin(self, command: Array) -> None:
        """A stop begins with the last command, (action_dim,), from which the way to the posture leads."""
        self._way = command, 0.0

    def command(self, reaction: Reaction, last: Array, values: Array, passed: float) -> Array:
        """The command of a reaction, (action_dim,).

        Args:
            reaction: hold, return, damping or zero.
            last: the last command, (action_dim,).
            values: the observation, (obs_dim,), in which unknown values are 0.
            passed: time since the last command [s].
        """
        if reaction == "hold":
            return last
        if reaction == "return":
            return self._on_the_way(last, passed)
        if reaction == "damping":
            return np.clip(self._damping(values), self._low, self._high)
        return self.zero

    def _damping(self, values: Array) -> Array:
        braking = np.zeros(self._spec.action_dim)
        for name, damper in self._config.dampers.items():
            braking[self._spec.action_names.index(name)] = -damper.gain * values[self._spec.obs_index(damper.velocity)]
        return braking

    def _on_the_way(self, last: Array, passed: float) -> Array:
        """The straight way from the start to the posture with the least jerk (Flash and Hogan 1985): slow, fast, slow.

        The allowed commands are a box, so every point of the way is allowed if both ends are.
        """
        start, seconds = self._way or (last, 0.0)
        seconds += passed
        self._way = start, seconds
        part = min(1.0, seconds / self._config.posture_seconds)
        done = part**3 * (10 - 15 * part + 6 * part**2)
        return start + done * (self.posture - start)
