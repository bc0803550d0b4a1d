"""How long control steps take: medians and tails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from adaptive_mbrl.bench.driven import Driven

WARM_UP_STEPS = 5
LEAST_STEPS = 10


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


def in_turn(
    contestants: Mapping[str, Callable[[], float]], seconds: float, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Let contestants work in turn, so that whatever else the machine does slows all of them alike.

    Args:
        contestants: functions by name; each does its work once and returns how long that took [s].
        seconds: for how long all of them are measured [s]; at least `LEAST_STEPS` rounds.
        clock: gives the time [s].

    Returns:
        The times of each [s], in rounds.
    """
    for work in contestants.values():
        for _ in range(WARM_UP_STEPS):
            work()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    end, rounds = clock() + seconds, 0
    while rounds < LEAST_STEPS or clock() < end:
        rounds += 1
        for name, work in contestants.items():
            times[name].append(work())
    return times
