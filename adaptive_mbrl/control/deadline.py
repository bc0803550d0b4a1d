"""Whether there is time for one more round of work before a deadline, judged by the round before."""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadline:
    """Says after each round whether the next one, if it takes as long, would end too late.

    Args:
        moment: the deadline, by the clock [s].
        clock: gives the time [s].
    """

    def __init__(self, moment: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._moment, self._clock, self._begun = moment, clock, clock()

    def begin(self) -> None:
        """The first round begins now."""
        self._begun = self._clock()

    def __call__(self) -> bool:
        now = self._clock()
        took, self._begun = now - self._begun, now
        return now + took > self._moment
