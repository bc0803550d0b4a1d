"""How many candidate plans a control step may use, so that it keeps its deadline."""

from __future__ import annotations

from collections import deque


class SampleBudget:
    """Number of candidates of the next control step, from the durations of the last ones.

    Fewer candidates cost more return than a plan that is late now and then. So a single slow plan does not cut the number. The
    model of the duration is affine in the number n of candidates:

        duration(n) = duration(full) * (overhead + (1 - overhead) * n / full)

    Args:
        full: the configured number of candidates, which is never exceeded.
        least: the smallest number of candidates that the planner can work with.
        seconds: time that a plan may take [s].
        plan_seconds: first guess of how long a plan with the full number takes on this machine [s].
        overhead: share of that time that does not depend on the number of candidates, from 0 to below 1.

    Attributes:
        num_samples: number of candidates of the next control step.
    """

    PLANS_REMEMBERED = 10
    """Number of latest plans whose durations count."""
    SLOW_PLANS_IGNORED = 2
    """Number of these plans that may take too long before the number of candidates is cut."""

    def __init__(self, full: int, least: int, seconds: float, plan_seconds: float = 0.0, overhead: float = 0.0) -> None:
        if not 0 <= overhead < 1:
            raise ValueError(f"overhead: got {overhead}; allowed: from 0 to below 1")
        self.full, self.least, self.seconds, self.overhead = full, min(least, full), seconds, overhead
        self.num_samples = full
        self._full_plan_seconds = deque([plan_seconds] * self.PLANS_REMEMBERED, maxlen=self.PLANS_REMEMBERED)
        self._update()

    @property
    def is_cut(self) -> bool:
        """Whether the next control step uses fewer candidates than configured."""
        return self.num_samples < self.full

    def add_duration(self, seconds: float) -> None:
        """Take note of how long a plan with `num_samples` candidates took [s]."""
        self._full_plan_seconds.append(seconds / (self.overhead + (1 - self.overhead) * self.num_samples / self.full))
        self._update()

    def _update(self) -> None:
        # duration of a plan with the full number, after the slowest ones are set aside
        pace = max(sorted(self._full_plan_seconds)[-1 - self.SLOW_PLANS_IGNORED], 1e-9)
        fitting = self.full * (self.seconds / pace - self.overhead) / (1 - self.overhead)
        self.num_samples = int(min(max(fitting, self.least), self.full))
