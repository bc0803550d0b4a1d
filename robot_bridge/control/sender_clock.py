"""When the messages of a sender were measured, although the sender has a clock of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

CLOCK_JUMP = 1.0
"""A stamp that is this much older than the last one [s] means that the sender's clock was set back.
A smaller step back means that the message was overtaken by a newer one."""


def is_new(stamp: float, last: float) -> bool:
    """Whether a message with this stamp [s] is used: the stamp is later than the last one, or the clock was set back."""
    return not last - CLOCK_JUMP < stamp <= last


@dataclass(frozen=True)
class _Fastest:
    """The message that was fastest so far: its delay, clock offset included, and its arrival, monotonic, both in [s]."""

    delay: float
    received: float


class DelayEstimator:
    """Finds out when the messages of one sender were measured.

    A message's stamp and its arrival are read from two clocks. Their difference is the delay of the message plus an unknown
    offset between the clocks. The smallest difference so far belongs to the fastest message. That message counts as measured on
    arrival, and every other one is older by as much as its difference is larger.

    A message that is faster than all before by more than `AHEAD` is not believed at once: either the line has been slow until
    now, or the message's stamp is ahead of the clock that the others were stamped by. Until another one is as fast, it is not
    used, and the others count as old, as they are in the first case. After `PROBATION` without another one the second case is
    assumed.

    The smallest difference grows slowly, as much as the clocks may drift apart. When the sender's clock is set back by less than
    `MAX_DELAY`, observations therefore count as old until the clock is right again or somebody activates the robot anew.

    Attributes:
        stamped_ahead: number of messages whose stamps were found to be ahead.
    """

    CLOCK_DRIFT = 1e-3
    """How fast the smallest difference may grow [s/s]. NTP adjusts a clock at most half as fast."""
    MAX_DELAY = 3.0
    """No message is delayed by so much [s]; a larger difference means that one of the clocks was set."""
    AHEAD = 0.05
    """By how much a message may be faster than all before and is still believed at once [s]."""
    PROBATION = 0.25
    """How long a message that is faster than that waits for another one [s]."""

    def __init__(self) -> None:
        self.stamped_ahead = 0
        self._shortest, self._at = math.inf, -math.inf
        self._suspect: _Fastest | None = None

    def measured(self, stamp: float, received: float) -> float | None:
        """When a message was measured, in monotonic time [s]; None if it must not be used.

        Args:
            stamp: the message's stamp, on the sender's clock [s].
            received: time of arrival, monotonic [s].
        """
        delay = received - stamp
        if math.isfinite(self._at):
            self._shortest += self.CLOCK_DRIFT * (received - self._at)
        self._at = received
        if self._suspect is not None:
            self._try(self._suspect, delay, received)
        if delay - self._believed > self.MAX_DELAY:
            self.stamped_ahead += self._suspect is not None
            self._shortest, self._suspect = delay, None
        if delay < self._shortest - self.AHEAD and math.isfinite(self._shortest):
            self._suspect = _Fastest(delay, received)
            return None
        self._shortest = min(self._shortest, delay)
        return stamp + self._believed

    @property
    def _believed(self) -> float:
        return self._shortest if self._suspect is None else min(self._shortest, self._suspect.delay)

    def _try(self, suspect: _Fastest, delay: float, received: float) -> None:
        """Believe the suspect if this message is about as fast, and drop it when its time is over."""
        if received - suspect.received > self.PROBATION:
            self._suspect = None
            self.stamped_ahead += 1
        elif delay <= suspect.delay + self.AHEAD:
            self._shortest, self._suspect = suspect.delay, None
