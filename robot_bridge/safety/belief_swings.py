"""A belief that swings to and fro: it says one thing, then the opposite, then the first again, and the plans follow it.

On each of a few directions a turn is counted when the belief has come back from its farthest point by more than some belief stds,
as load cycles are counted in the study of fatigue. A belief that settles after a change turns once or twice.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from robot_bridge.safety.config import BeliefSwingsConfig
from robot_bridge.safety.faults import Fault

Array = NDArray[np.float64]


class BeliefSwings:
    """Counts the turns of the belief; for one thread.

    Args:
        config: what a swing is.
        dt: control period [s].
    """

    def __init__(self, config: BeliefSwingsConfig, dt: float) -> None:
        self._config = config
        self._steps = max(1, round(config.seconds / dt))
        self._turned: deque[NDArray[np.bool_]] = deque(maxlen=self._steps)
        self._low: Array | None = None
        self._high: Array | None = None
        self._direction = np.zeros(0, dtype=np.int64)

    @property
    def turns(self) -> int:
        """Turns within the time that is looked at, in the median over the directions."""
        return int(np.median(np.sum(self._turned, axis=0))) if self._turned else 0

    def look(self, position: Array) -> list[Fault]:
        """Take over where the belief lies in a control period [belief stds], (directions,); the fault if it swings."""
        if not np.isfinite(position).all():
            return []
        self._turned.append(self._turns_at(position))
        if self.turns < self._config.turns:
            return []
        words = (
            f"the belief has turned {self.turns} times by more than {self._config.stds:g} belief stds within "
            f"{self._config.seconds:g} s"
        )
        return [Fault("belief_oscillates", words)]

    def forget(self) -> None:
        """The belief begins anew."""
        self._turned.clear()
        self._low = self._high = None

    def _turns_at(self, position: Array) -> NDArray[np.bool_]:
        """On which directions the belief turns at this position."""
        if self._low is None or self._high is None:
            self._low, self._high = position.copy(), position.copy()
            self._direction = np.zeros(len(position), dtype=np.int64)
        self._low, self._high = np.minimum(self._low, position), np.maximum(self._high, position)
        falls = (self._high - position > self._config.stds) & (self._direction >= 0)
        rises = (position - self._low > self._config.stds) & (self._direction <= 0) & ~falls
        turned = (falls | rises) & (self._direction != 0)
        self._direction = np.where(falls, -1, np.where(rises, 1, self._direction))
        # from here on the farthest points are looked for anew
        self._high = np.where(falls | rises, position, self._high)
        self._low = np.where(falls | rises, position, self._low)
        return turned
