"""What happens to the robot, as lines in ROS 2's log (`/rosout`): who looks there must not miss a hold or an emergency stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from robot_bridge.middleware.messages import LogLevel
from robot_bridge.safety.states import State
from robot_bridge.safety.supervisor import Decision

Write = Callable[[LogLevel, str], None]
EVERY = 1.0
"""Shortest time between two lines about changes of the state, and between two about missed deadlines [s]."""
_LEVELS = {State.HOLD: LogLevel.WARN, State.ESTOP: LogLevel.ERROR}


class StateLog:
    """Writes a line when the supervisor's state changes, and when deadlines are missed.

    Changes that follow one another within `EVERY` are one line, which names how many there were; an emergency stop is never
    held back.

    Args:
        write: writes a line into the log.
        clock: monotonic time [s].
    """

    def __init__(self, write: Write, clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._state = State.INACTIVE
        self._changes: list[str] = []
        self._written = self._missed_written = -math.inf
        self._missed = 0

    def __call__(self, decision: Decision, missed_deadlines: int) -> None:
        """Take note of the decision of a control period, and of the number of deadlines missed so far."""
        now = self._clock()
        if decision.state is not self._state:
            self._changes.append("; ".join((decision.state.value, *decision.faults)))
            self._state = decision.state
        if self._changes and (now >= self._written + EVERY or self._state is State.ESTOP):
            more = f" (after {len(self._changes) - 1} other changes)" if len(self._changes) > 1 else ""
            self._write(_LEVELS.get(self._state, LogLevel.INFO), self._changes[-1] + more)
            self._changes, self._written = [], now
        missed = missed_deadlines - self._missed
        if missed and now >= self._missed_written + EVERY:
            self._write(LogLevel.WARN, f"{missed} missed deadline{'s' if missed > 1 else ''}")
            self._missed, self._missed_written = missed_deadlines, now
