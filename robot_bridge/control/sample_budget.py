"""How many candidate plans fit into a control period: the work is cut to the deadline, never the deadline to the work."""

from __future__ import annotations


class SampleBudget:
    """Number of candidates of the next control step, from how long the last ones took.

    Time is taken to be proportional to the number, which overestimates what fewer candidates take; so it is found in a few steps.

    Args:
        full: the configured number; never exceeded.
        least: the smallest number that the planner can work with.
        seconds: time that there is for a plan [s].
    """

    TARGET = 0.8
    """Share of the time that a cut aims at, so that ordinary jitter stays within the deadline."""
    GROWTH = 1.1
    """Largest growth from one step to the next: too many cost a deadline, too few a little quality."""

    def __init__(self, full: int, least: int, seconds: float) -> None:
        self.full, self.least, self.seconds = full, min(least, full), seconds
        self._exact = float(full)

    @property
    def num_samples(self) -> int:
        """For the next control step."""
        return round(self._exact)

    @property
    def is_cut(self) -> bool:
        """Whether there are fewer than configured."""
        return self.num_samples < self.full

    def took(self, seconds: float) -> None:
        """Learn how long a plan with `num_samples` took [s]."""
        fitting = self._exact * self.TARGET * self.seconds / max(seconds, 1e-6)
        if seconds <= self.seconds:
            # between target and deadline nothing changes
            fitting = min(max(fitting, self._exact), self.GROWTH * self._exact)
        self._exact = min(max(fitting, float(self.least)), float(self.full))
