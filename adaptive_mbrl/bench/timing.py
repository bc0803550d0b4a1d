"""How long control steps take: medians and tails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import numpy as np

from adaptive_mbrl.bench.driven import Driven
from adaptive_mbrl.timing import LEAST_STEPS, WARM_UP_STEPS


@dataclass(frozen=True)
class Spread:
    """Times of one part of a control step [ms].

    Attributes:
        median: half of the steps are faster.
        p90: nine steps in ten are faster.
        p99: 99 steps in a hundred are faster; of fewer steps than a hundred, nearly the slowest one.
    """

    median: float
    p90: float
    p99: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Spread:
        """The spread of measured times [s]."""
        return cls(*(float(1e3 * value) for value in np.quantile(list(seconds), (0.5, 0.9, 0.99))))


@dataclass(frozen=True)
class StepTimes:
    """Times of control steps.

    Attributes:
        adapt: from the newest transition to the belief.
        plan: from the belief to the plan.
        total: from the observation in memory to the action in memory.
        steps: number of control steps.
    """

    adapt: Spread
    plan: Spread
    total: Spread
    steps: int

    def as_mapping(self) -> dict[str, object]:
        """The figures by name, as JSON has them."""
        return {f"{part}_ms": asdict(getattr(self, part)) for part in ("adapt", "plan", "total")} | {"steps": self.steps}


def measure(driven: Driven, seconds: float, clock: Callable[[], float] = time.perf_counter) -> StepTimes:
    """Let a controller take control steps, and time them.

    Args:
        driven: the controller.
        seconds: for how long [s]; at least `LEAST_STEPS` steps are taken.
        clock: gives the time [s].
    """
    for number in range(WARM_UP_STEPS):
        driven.step(number)
    adapt: list[float] = []
    plan: list[float] = []
    total: list[float] = []
    end = clock() + seconds
    while len(total) < LEAST_STEPS or clock() < end:
        begun = clock()
        command = driven.step(len(total))
        total.append(clock() - begun)
        adapt.append(command.info.adapt_seconds)
        plan.append(command.info.plan_seconds)
    return StepTimes(Spread.of(adapt), Spread.of(plan), Spread.of(total), len(total))
