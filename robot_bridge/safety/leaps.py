"""Values that leap in a control period for which there is no prediction, because a plan was late or the belief began anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.spec import RobotSpec
from robot_bridge.safety.circle import on_circle
from robot_bridge.safety.derivatives import LONGEST_GAP
from robot_bridge.safety.faults import Fault
from robot_bridge.safety.observation_checks import Observed

Array = NDArray[np.float64]


class Leaps:
    """Compares how far each channel moves with how far it would have moved at its last speed.

    Args:
        spec: the robot's channels.
        max_jump: largest difference of the two [target stds]; 0 for no limit.
        change_std: std of the change of each channel in a control period, (obs_dim,); also an attribute.
    """

    def __init__(self, spec: RobotSpec, max_jump: float, change_std: Array) -> None:
        self._names, self._dt = spec.obs_names, spec.dt
        self._max_jump, self.change_std = max_jump, change_std
        self._is_angle = np.array([channel.kind == "angle" for channel in spec.obs], dtype=bool)
        self._values, self._received, self._speed = (np.full(spec.obs_dim, np.nan) for _ in range(3))

    def look(self, observed: Observed) -> list[Fault]:
        """Take over the observation of one control period."""
        if not self._max_jump:
            return []
        with np.errstate(all="ignore"):
            passed = observed.received - self._received
            moved = observed.values - self._values
            moved = np.where(self._is_angle, on_circle(moved), moved)
            speed = np.where(passed <= LONGEST_GAP * self._dt, moved / passed, np.nan)
            leap = np.abs(moved - self._speed * passed) / self.change_std
        # a value that is not new, or none, says nothing, and counts with the next one
        is_new = np.isfinite(observed.values) & ~(passed < 0.5 * self._dt)
        leap = np.where(is_new & np.isfinite(speed) & np.isfinite(leap), leap, 0.0)
        has_leapt = leap > self._max_jump
        # nobody moves on at the speed of a leap
        self._speed = np.where(is_new, np.where(has_leapt, np.nan, speed), self._speed)
        self._values = np.where(is_new, observed.values, self._values)
        self._received = np.where(is_new, observed.received, self._received)
        if not has_leapt.any():
            return []
        i = int(np.argmax(leap))
        words = f"'{self._names[i]}' jumped by {leap[i]:.3g} target stds without a prediction; allowed: {self._max_jump:g}"
        return [Fault("jump", words, self._names[i])]
