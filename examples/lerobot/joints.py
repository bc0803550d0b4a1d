"""LeRobot's numbers and ours: it has degrees by names such as ``elbow_flex.pos``, we have radians in the order of the robot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

SUFFIX = ".pos"
"""What LeRobot appends to a motor's name where its position is meant."""


class JointUnits:
    """Converts positions of joints, in degrees from the middle of their calibration, as LeRobot has them with `use_degrees`.

    Args:
        joints: names of the joints, in our order.
        offsets: by joint, our angle where LeRobot says 0 [rad]; 0 for those that are not named.
        reversed_joints: joints that turn the other way round.
    """

    def __init__(
        self, joints: Sequence[str], offsets: Mapping[str, float] | None = None, reversed_joints: Sequence[str] = ()
    ) -> None:
        self.joints = tuple(joints)
        self._offsets = [(offsets or {}).get(joint, 0.0) for joint in joints]
        self._signs = [-1.0 if joint in reversed_joints else 1.0 for joint in joints]

    def radians(self, observation: Mapping[str, object]) -> list[float]:
        """Angles in our order [rad]; NaN for a joint that the observation does not hold."""
        found = [float(observation.get(f"{joint}{SUFFIX}", math.nan)) for joint in self.joints]  # type: ignore[arg-type]
        return [offset + sign * math.radians(x) for offset, sign, x in zip(self._offsets, self._signs, found, strict=True)]

    def action(self, angles: Sequence[float]) -> dict[str, float]:
        """LeRobot's action for angles in our order [rad]."""
        values = zip(self.joints, self._offsets, self._signs, angles, strict=True)
        return {f"{joint}{SUFFIX}": math.degrees(sign * (angle - offset)) for joint, offset, sign, angle in values}


class Velocities:
    """Velocities as differences of positions, which is all that a bus of servos gives; smoothed over two readings."""

    def __init__(self) -> None:
        self._last: tuple[float, list[float]] | None = None
        self._smooth: list[float] = []

    def __call__(self, now: float, positions: list[float]) -> list[float]:
        """The velocities [rad/s] after a reading.

        Args:
            now: monotonic time of the reading [s].
            positions: angles [rad].
        """
        if self._last is None or now <= self._last[0]:
            self._smooth = [0.0] * len(positions)
        else:
            passed = now - self._last[0]
            raw = [(new - old) / passed for new, old in zip(positions, self._last[1], strict=True)]
            self._smooth = [0.5 * (a + b) for a, b in zip(raw, self._smooth, strict=True)]
        self._last = now, list(positions)
        return self._smooth
