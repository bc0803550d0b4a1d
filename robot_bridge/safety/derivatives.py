"""Velocities that are measured beside positions must be their derivatives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from adaptive_mbrl.spec import RobotSpec
from robot_bridge.safety.circle import on_circle
from robot_bridge.safety.config import Derivative
from robot_bridge.safety.faults import Fault
from robot_bridge.safety.observation_checks import Observed

AVERAGED_STEPS = 10
"""Number of control periods over which a difference is averaged, with exponential forgetting."""
LONGEST_GAP = 3
"""After so many control periods without a new value a difference quotient says nothing about the velocity at its ends."""


class Derivatives:
    """Compares difference quotients of positions with the mean of the velocities at their ends.

    Args:
        spec: the robot's channels.
        pairs: the velocity of each position, by the position's channel.
    """

    def __init__(self, spec: RobotSpec, pairs: Mapping[str, Derivative]) -> None:
        self._names, self._dt = list(pairs), spec.dt
        self._position = np.array([spec.obs_index(name) for name in pairs], dtype=np.int64)
        self._velocity = np.array([spec.obs_index(pair.velocity) for pair in pairs.values()], dtype=np.int64)
        self._tolerance = np.array([pair.tolerance for pair in pairs.values()])
        self._is_angle = np.array([spec.obs[i].kind == "angle" for i in self._position], dtype=bool)
        self._mean = np.zeros(len(pairs))
        self._last: Observed | None = None

    def look(self, observed: Observed) -> list[Fault]:
        """Take over the observation of one control period."""
        last, self._last = self._last, observed
        if last is None or not self._names:
            return []
        with np.errstate(all="ignore"):
            passed = (observed.received - last.received)[self._position]
            moved = (observed.values - last.values)[self._position]
            moved = np.where(self._is_angle, on_circle(moved), moved)
            velocity = 0.5 * (observed.values + last.values)[self._velocity]
            difference = moved / passed - velocity
        is_known = np.isfinite(difference) & (passed >= 0.5 * self._dt) & (passed <= LONGEST_GAP * self._dt)
        self._mean = np.where(is_known, self._mean + (difference - self._mean) / AVERAGED_STEPS, self._mean)
        return [
            Fault("derivative", f"'{name}' moves by {mean:+.3g} per second more than its velocity says", name)
            for name, mean, tolerance in zip(self._names, self._mean, self._tolerance, strict=True)
            if abs(mean) > tolerance
        ]
