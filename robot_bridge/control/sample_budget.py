"""How many candidate plans fit into a control period: the work is cut to the deadline, never the deadline to the work."""

from __future__ import annotations

from collections import deque


class SampleBudget:
    """Number of candidates of the next control step, from how long the last ones took.

    Fewer candidates cost more of a controller's quality than a plan that is late now and then, so that single slow plans cut
    nothing. Time is taken to be affine in the number: `overhead` of it is there whatever the number.

    Args:
        full: the configured number; never exceeded.
        least: the smallest number that the planner can work with.
        seconds: time that there is for a plan [s].
        plan_seconds: how long a plan with the full number takes on this machine, to begin with [s].
        overhead: share of that time that does not depend on the number, below 1.

    Attributes:
        num_samples: for the next control step.
    """

    PLANS_REMEMBERED = 10
    """Plans that are looked back on."""
    SLOW_PLANS_IGNORED = 2
    """How many of them may take longer than there is time."""

    def __init__(self, full: int, least: int, seconds: float, plan_seconds: float = 0.0, overhead: float = 0.0) -> None:
        if not 0 <= overhead < 1:
            raise ValueError(f"overhead: got {overhead}; allowed: from 0 to below 1")
        self.full, self.least, self.seconds, self.overhead = full, min(least, full), seconds, overhead
        self.num_samples = full
        self._full_plan_seconds = deque([plan_seconds] * self.PLANS_REMEMBERED, maxlen=self.PLANS_REMEMBERED)
        self._update()

    @property
    def is_cut(self) -> bool:
        """Whether there are fewer than configured."""
        return self.num_samples < self.full

    def add_duration(self, seconds: float) -> None:
        """Learn how long a plan with `num_samples` took [s]."""
        self._full_plan_seconds.append(seconds / (self.overhead + (1 - self.overhead) * self.num_samples / self.full))
        self._update()

    def _update(self) -> None:
        # of the full number, with all but the slowest plans
        pace = max(sorted(self._full_plan_seconds)[-1 - self.SLOW_PLANS_IGNORED], 1e-9)
        fitting = self.full * (self.seconds / pace - self.overhead) / (1 - self.overhead)
        self.num_samples = int(min(max(fitting, self.least), self.full))
