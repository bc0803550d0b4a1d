"""A node that stands by: it watches the owner's claims and commands, and takes over when both are silent."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

LONGEST_WAIT = 0.1
"""Longest time between two looks whether the owner has been heard [s]."""


class Standby:
    """Waits on its own thread for the owner to fall silent.

    Args:
        heard: when the owner was last heard, monotonic [s]; -inf if it never was, or has given the robot back.
        patience: how long it may be silent at present [s].
        dt: control period [s].
        take_over: called when it has been silent for longer.
        clock: monotonic time [s].
        failed: called with an exception that one of the others has raised; the watching goes on.
    """

    def __init__(
        self,
        heard: Callable[[], float],
        patience: Callable[[], float],
        dt: float,
        take_over: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        failed: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        self._failed = failed
        self._heard, self._patience, self._dt, self._take_over, self._clock = heard, patience, dt, take_over, clock
        self._not_before = -math.inf
        self._expected = math.inf

    def look(self) -> float:
        """Take over if the owner has been silent for too long; returns how long to wait until the next look [s]."""
        now = self._clock()
        if now > self._expected + self._dt / 2:
            # this process itself stood still: what the owner said meanwhile may still have to be received
            self._not_before = now + self._dt
        wait = self._wait(now)
        self._expected = now + wait
        return wait

    def _wait(self, now: float) -> float:
        heard = self._heard()
        if heard == -math.inf:
            return LONGEST_WAIT
        due = max(heard + self._patience(), self._not_before)
        if now < due:
            return min(LONGEST_WAIT, due - now)
        self._take_over()
        return LONGEST_WAIT

    def run(self, stop: threading.Event) -> None:
        """Look until `stop` is set."""
        wait = 0.0
        while not stop.wait(wait):
            try:
                wait = max(1e-4, self.look())
            except Exception as error:
                self._failed(error)
                wait = LONGEST_WAIT
