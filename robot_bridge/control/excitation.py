"""How much a robot has moved lately: where hardly anything changes, transitions say nothing about the dynamics."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.spec import RobotSpec

Array = NDArray[np.float64]
EVEN_STD = 1 / math.sqrt(12)
"""Standard deviation of numbers that fill a range of 1 evenly."""


class Excitation:
    """The standard deviations of states and commands over the last control periods.

    States count in standard deviations of the training data, commands in those of commands that fill their range evenly.

    Args:
        spec: the robot's channels.
        obs_std: standard deviation of each observation channel in the training data, (obs_dim,).
        steps: number of control periods to look at.
    """

    def __init__(self, spec: RobotSpec, obs_std: Array, steps: int) -> None:
        self._is_angle = np.array([channel.kind == "angle" for channel in spec.obs])
        self.trained_on(obs_std)
        self._action_scale = EVEN_STD * np.array([channel.high - channel.low for channel in spec.action])
        self._obs: deque[Array] = deque(maxlen=steps)
        self._actions: deque[Array] = deque(maxlen=steps)

    def trained_on(self, obs_std: Array) -> None:
        """From now on states count in these standard deviations, (obs_dim,)."""
        self._obs_scale = np.where(obs_std > 0, obs_std, np.inf)

    def add(self, obs: Array, action: Array) -> None:
        """Take over an observation, (obs_dim,), and the command that acts, (action_dim,); one that is not finite begins anew."""
        if not (np.isfinite(obs).all() and np.isfinite(action).all()):
            self._obs.clear()
            self._actions.clear()
            return
        self._obs.append(obs)
        self._actions.append(action)

    @property
    def value(self) -> float:
        """The larger one of both, each the root mean square over channels; NaN until the window is full."""
        if len(self._obs) < (self._obs.maxlen or 0):
            return math.nan
        obs = np.array(self._obs)
        obs[:, self._is_angle] = np.unwrap(obs[:, self._is_angle], axis=0)
        return max(_rms(obs.std(0) / self._obs_scale), _rms(np.array(self._actions).std(0) / self._action_scale))


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))
