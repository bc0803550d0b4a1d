"""What happens to the robot, as lines in ROS 2's log (`/rosout`): who looks there must not miss a hold or an emergency stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from robot_bridge.control.loop import ControlLoop
from robot_bridge.middleware.messages import LogLevel
from robot_bridge.node.growth import Growth, in_words
from robot_bridge.safety.states import State

Write = Callable[[LogLevel, str], None]
EVERY = 1.0
"""Shortest time between two lines [s]; what happens meanwhile is in the next one. An emergency stop is written at once."""
_COUNTS = ("missed_deadlines", "stalls", "failures")
"""Counts of the loop's statistics whose growth is a warning."""


class StateLog:
    """Looks at a control loop from outside, so that it also tells of a loop that fails or stands still.

    Args:
        write: writes a line into the log.
        loop: the control loop.
        reversed_motors: the actions whose motors are taken to be wired backwards.
        clock: monotonic time [s].
    """

    def __init__(
        self,
        write: Write,
        loop: ControlLoop,
        reversed_motors: Callable[[], tuple[str, ...]] = tuple,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._loop, self._reversed_motors, self._clock = write, loop, reversed_motors, clock
        self._reversed: tuple[str, ...] = ()
        self._state = self._seen = State.INACTIVE
        self._written = -math.inf
        self._growth = Growth()

    def look(self) -> None:
        """Write a line if something has happened since the last one; to be called several times a second."""
        now, supervisor = self._clock(), self._loop.supervisor
        state = supervisor.state
        is_stopped = state is State.ESTOP and self._seen is not State.ESTOP
        self._seen = state
        if now < self._written + EVERY and not is_stopped:
            return
        grown = self._growth({"holds": supervisor.holds, **{n: getattr(self._loop.statistics, n) for n in _COUNTS}})
        parts = [state.value] if is_stopped or state is not self._state else []
        holds = grown.pop("holds", 0)
        if holds:
            often = "held" if holds == 1 else f"held {holds} times, at last"
            parts.append(f"{often} because {'; '.join(supervisor.hold_reasons)}")
        parts += in_words(grown)
        reversed_motors = self._reversed_motors()
        has_turned = reversed_motors != self._reversed
        if has_turned:
            parts.append(f"motors that are taken to be wired backwards: {', '.join(reversed_motors) or 'none'}")
            self._reversed = reversed_motors
        if parts:
            level = LogLevel.ERROR if is_stopped else LogLevel.WARN if holds or grown or has_turned else LogLevel.INFO
            self._write(level, ", ".join(parts))
            self._written = now
        self._state = state
