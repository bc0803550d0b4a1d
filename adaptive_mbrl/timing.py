"""Times of things that take turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

WARM_UP_STEPS = 5
"""So often a work is done before it is timed, because memory is allocated and algorithms are chosen at first."""
LEAST_STEPS = 10


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


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """A work as a contestant of `in_turn`."""

    def run() -> float:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    return run
