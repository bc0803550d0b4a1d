"""Channels whose values the model cannot explain: at once (a jump), or by a little again and again (a drift)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robot_bridge.safety.faults import Fault

Array = NDArray[np.float64]
DRIFT_STEPS = 50
"""Number of control periods over which a drift is averaged, with exponential forgetting."""


class Innovations:
    """Watches what the model had not predicted, the innovations of a filter.

    Args:
        channels: names of all observation channels.
        max_jump: largest innovation in one control period [target stds]; 0 for no limit.
        max_drift: largest mean innovation [target stds]; 0 for no limit.
    """

    def __init__(self, channels: tuple[str, ...], max_jump: float, max_drift: float) -> None:
        self._channels, self._max_jump, self._max_drift = channels, max_jump, max_drift
        self._mean = np.zeros(len(channels))

    def look(self, innovation: Array) -> list[Fault]:
        """Take over the innovations of one control period [target stds], (obs_dim,); NaN where they are not known."""
        known = np.nan_to_num(innovation, nan=0.0)
        # a jump says nothing about a drift, and would be remembered for long
        limit = self._max_jump or np.inf
        self._mean += (np.clip(known, -limit, limit) - self._mean) / DRIFT_STEPS
        faults = []
        if self._max_jump and (np.abs(known) > self._max_jump).any():
            i = int(np.argmax(np.abs(known)))
            words = f"'{self._channels[i]}' jumped by {abs(known[i]):.3g} target stds; allowed: {self._max_jump:g}"
            faults.append(Fault("jump", words, self._channels[i]))
        if self._max_drift and (np.abs(self._mean) > self._max_drift).any():
            i = int(np.argmax(np.abs(self._mean)))
            words = f"'{self._channels[i]}' drifts by {self._mean[i]:.3g} target stds a period; allowed: {self._max_drift:g}"
            faults.append(Fault("drift", words, self._channels[i]))
        return faults
