"""Notices that the wall clock was set, forth or back, by comparing it with the monotonic clock, which nobody sets."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

STEP = 0.1
"""Smallest change that counts as a step [s]. NTP slews a clock by at most half a millisecond in a second."""
REMEMBERED = 60.0
"""How long a step is told [s]."""
_AT_ONCE = 0.005
"""Longest time between two looks at the monotonic clock that count as one look [s]."""
_TRIES = 5


class ClockSteps:
    """Looks at both clocks, at most a second or so apart.

    Args:
        wall: time since the epoch [s].
        monotonic: monotonic time [s].
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._offset = self._measured()
        self._step, self._at = 0.0, -math.inf
        self.steps = 0

    def look(self) -> str:
        """Compare the clocks; what happened in the last `REMEMBERED` seconds in words, empty if nothing did."""
        offset = self._measured()
        if math.isfinite(offset):
            if abs(offset - self._offset) >= STEP:
                self._step, self._at = offset - self._offset, self._monotonic()
                self.steps += 1
            self._offset = offset
        ago = self._monotonic() - self._at
        if ago > REMEMBERED:
            return ""
        way = "forth" if self._step > 0 else "back"
        return f"the wall clock was set {way} by {abs(self._step):.3g} s, {ago:.0f} s ago"

    def _measured(self) -> float:
        """Wall clock minus monotonic clock [s]; NaN if the process was interrupted at each try."""
        for _ in range(_TRIES):
            before = self._monotonic()
            wall = self._wall()
            after = self._monotonic()
            if after - before <= _AT_ONCE:
                return wall - (before + after) / 2
        return math.nan
