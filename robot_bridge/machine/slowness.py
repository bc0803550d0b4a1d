"""Notices that the machine has become slower than it was at configure: a throttled control group, a hot or busy processor."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

SLOWER = 1.5
"""Plans that take so many times as long as at configure say that the machine is slower."""
LOOKS = 10
"""Number of looks that are compared, one plan each."""


class Slowness:
    """Compares plans with those of configure, and counts how often the control group was throttled."""

    def __init__(self) -> None:
        self._ratios: deque[float] = deque(maxlen=LOOKS)
        self._plans = 0
        self._throttled: int | None = None

    @property
    def ratio(self) -> float:
        """How many times as long plans take as at configure, in the median; NaN before there were enough."""
        return median(self._ratios) if len(self._ratios) == LOOKS else math.nan

    def look_at_plan(self, plans: int, seconds: float, expected: float) -> str:
        """Take the newest plan into account.

        Args:
            plans: number of plans so far; the newest one counts only once.
            seconds: how long it took [s].
            expected: how long it should have taken by what was measured at configure [s].

        Returns:
            What is wrong, in words; empty if nothing is.
        """
        if plans > self._plans and expected > 0:
            self._ratios.append(seconds / expected)
        self._plans = plans
        ratio = self.ratio
        return f"the machine is slower than at configure: a plan takes {ratio:.1f} times as long" if ratio > SLOWER else ""

    def look_at_group(self, throttled: int | None) -> str:
        """Take a count of throttled periods into account; returns what is wrong, in words."""
        before, self._throttled = self._throttled, throttled
        if throttled is None or before is None or throttled <= before:
            return ""
        return f"the control group was throttled {throttled - before} times: its cpu.max is too small"
