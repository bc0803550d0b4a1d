"""Channels that stand still while the model predicts that they move: a stuck encoder, a driver that repeats its last values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robot_bridge.safety.faults import Fault

Array = NDArray[np.float64]
LEAST_CHANGE = 0.25
"""A predicted change from which a channel is expected to show another value [target stds]. No sensor measures exactly the same
number twice while it moves so far, unless it is stuck."""


class FrozenChannels:
    """Counts for each channel in how many control periods it kept its value although it should have changed.

    Args:
        channels: names of all observation channels.
        steps: number of such control periods that is allowed, without another value in between; 0 for no limit.
    """

    def __init__(self, channels: tuple[str, ...], steps: int) -> None:
        self._channels, self._steps = channels, steps
        self._count = np.zeros(len(channels), dtype=np.int64)

    def look(self, change: Array, innovation: Array) -> list[Fault]:
        """Take over one control period.

        Args:
            change: how each channel changed [target stds], (obs_dim,); NaN where that is not known.
            innovation: what of this the model had not predicted, (obs_dim,).

        Returns:
            A fault for each channel that is frozen.
        """
        if not self._steps:
            return []
        is_still = change == 0.0
        should_move = np.abs(change - innovation) >= LEAST_CHANGE
        # after a gap nothing is known, and the count goes on
        is_moving = np.isfinite(change) & ~is_still
        self._count = np.where(is_moving, 0, self._count + (is_still & should_move))
        return [
            Fault(
                "frozen",
                f"'{self._channels[i]}' kept its value in {self._count[i]} control periods in which it should move",
                self._channels[i],
            )
            for i in np.flatnonzero(self._count > self._steps)
        ]
