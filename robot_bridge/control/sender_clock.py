"""When messages were measured, although their sender has a clock of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLOCK_JUMP = 1.0
"""A stamp that is this much older than the last one [s] may mean that the sender's clock was set back.
A smaller step back means that the message was overtaken by a newer one."""


def is_new(stamp: float, last: float) -> bool:
    """Whether a message with this stamp [s] may be used: the stamp is later than the last one, or the clock was set back."""
    return not last - CLOCK_JUMP < stamp <= last


def which_are_new(stamps: Sequence[float], held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of n messages are new by their stamps. Several drivers may share a topic, each with channels of its own.

    Args:
        stamps: stamp of each message in the order of arrival [s], (n,).
        held: which channels each message holds, (n, channels).
    """
    new, last = np.ones(len(stamps), dtype=bool), np.full(held.shape[1], -math.inf)
    for i, stamp in enumerate(stamps):
        new[i] = is_new(stamp, last[held[i]].max(initial=-math.inf))
        if new[i]:
            last[held[i]] = stamp
    return new


@dataclass(frozen=True)
class _Suspect:
    """Messages that do not fit those before.

    Attributes:
        delay: the delay of the first one, clock offset included [s].
        since: its arrival, monotonic [s].
        stamp: the stamp of the newest one [s].
    """

    delay: float
    since: float
    stamp: float


class DelayEstimator:
    """Finds out when the messages of one input were measured.

    A message's stamp and its arrival are read from two clocks. Their difference is the delay of the message plus an unknown
    offset between the clocks. The smallest difference so far belongs to the fastest message. That message counts as measured on
    arrival, and every other one is older by as much as its difference is larger. The smallest difference grows slowly, as much as
    the clocks may drift apart.

    A message that does not fit those before is not used at once:

    - Faster by more than `AGREE`: either the line was slow until now, or the stamp is ahead of the clock that the others have.
      The first case is believed when the next such message agrees. Until then the others count as late; after `PROBATION` the
      second case is believed.
    - Slower by more than `MAX_DELAY`, or stamped more than `CLOCK_JUMP` before the last message: either it was held up or sent
      again, or the sender's clock was set back. That is believed when all messages agree for `PROBATION`, which those in a queue
      that empties do not.

    A fastest message that no other one is like is as good as none: what is slower by more than `AGREE` then does not fit, too.

    Attributes:
        refused: how many times messages were found to be stamped by another clock, or far too late.
    """

    CLOCK_DRIFT = 1e-3
    """How fast the smallest difference may grow [s/s]. NTP adjusts a clock at most half as fast."""
    MAX_DELAY = 3.0
    """No message is delayed by so much [s]."""
    AGREE = 0.05
    """Messages agree if their delays differ by less than this [s]."""
    PROBATION = 0.25
    """How long it takes to believe or to refuse what does not fit [s]."""

    def __init__(self) -> None:
        self.refused = 0
        self._shortest, self._at = math.inf, -math.inf
        self._is_supported = False
        self._suspect: _Suspect | None = None

    def measured(self, stamp: float, received: float, *, is_set_back: bool = False) -> float | None:
        """When a message was measured, in monotonic time [s]; None if it must not be used.

        Args:
            stamp: the message's stamp, on the sender's clock [s].
            received: time of arrival, monotonic [s].
            is_set_back: whether the stamp is before that of the last message.
        """
        delay = received - stamp
        if not math.isfinite(self._shortest):
            self._shortest, self._at = delay, received
            return received
        self._shortest += self.CLOCK_DRIFT * (received - self._at)
        self._at = received
        too_fast = delay < self._shortest - self.AGREE
        slowest = self._shortest + (self.MAX_DELAY if self._is_supported else self.AGREE)
        if too_fast or is_set_back or delay > slowest:
            return self._believed(stamp, delay, received, at_once=too_fast)
        suspect = self._suspect
        if suspect is not None and (suspect.delay > self._shortest or received > suspect.since + self.PROBATION):
            suspect = self._suspect = None
            self.refused += 1
        self._shortest, self._is_supported = min(self._shortest, delay), True
        return stamp + (self._shortest if suspect is None else suspect.delay)

    def _believed(self, stamp: float, delay: float, received: float, *, at_once: bool) -> float | None:
        """When a message that does not fit was measured, if it agrees with the suspect and that is believed now."""
        suspect = self._suspect
        if suspect is not None and stamp == suspect.stamp:
            # the same message once more
            return None
        if suspect is None or abs(delay - suspect.delay) > self.AGREE or stamp < suspect.stamp:
            self.refused += suspect is not None
            self._suspect = _Suspect(delay, received, stamp)
            return None
        if not at_once and received < suspect.since + self.PROBATION:
            self._suspect = _Suspect(suspect.delay, suspect.since, stamp)
            return None
        self._shortest, self._is_supported, self._suspect = min(delay, suspect.delay), True, None
        return stamp + self._shortest
