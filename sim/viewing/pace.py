"""Keeps a simulation at the robot's real time, and says how far it lags where the machine is too slow."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_MEMORY = 40
"""Control steps that the real-time factor is taken over."""


class Pace:
    """Waits until the next control step is due.

    A step that is late is made at once, and the ones after it are due one period later each: simulated time then runs slower
    than real time, but no step is left out, and none is hurried to catch up.

    Args:
        dt: control period [s].
        clock: the present time [s], which never runs backwards.
        sleep: waits for so many seconds.
    """

    def __init__(
        self, dt: float, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._dt, self._clock, self._sleep = dt, clock, sleep
        self._starts: deque[float] = deque(maxlen=_MEMORY + 1)
        self._due: float | None = None

    def wait(self) -> None:
        """Return when the next step is due; call it before every step."""
        now = self._clock()
        if self._due is not None and now < self._due:
            self._sleep(self._due - now)
            now = self._due
        self._due = now + self._dt
        self._starts.append(now)

    def pause(self) -> None:
        """The next step is due whenever it is asked for: time in which nothing was to be simulated does not count as a lag."""
        self._due = None
        self._starts.clear()

    @property
    def factor(self) -> float:
        """Simulated seconds per real second over the last steps; 1 is real time, NaN before the second step."""
        if len(self._starts) < 2:
            return float("nan")
        return (len(self._starts) - 1) * self._dt / max(self._starts[-1] - self._starts[0], 1e-9)
