"""When messages were measured, although their sender has a clock of its own."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from adaptive_mbrl.stamp_order import is_new


@dataclass
class _Suspect:
    """A message that was faster than all before.

    Attributes:
        delay: its delay, clock offset included [s].
        stamp: its stamp [s].
        since: its arrival, monotonic [s].
        others: number of messages since then that fit those before it.
    """

    delay: float
    stamp: float
    since: float
    others: int = 0


class DelayEstimator:
    """Finds out when the messages of one input were measured.

    A message's stamp and its arrival are read from two clocks. Their difference is the delay of the message plus an unknown
    offset between the clocks. The smallest difference so far belongs to the fastest message. That message counts as measured on
    arrival, and every other one is older by as much as its difference is larger. The smallest difference grows slowly, as much as
    the clocks may drift apart.

    A message that does not fit those before is not used at once:

    - Faster by more than `AGREE`: either the line was slow until now, or the stamp is ahead of the clock that the others have.
      The first case is believed when the next such message agrees. Until then the others count as late; after `PROBATION` and
      some of them the second case is believed.
    - Slower by more than `MAX_DELAY`, or stamped more than `CLOCK_JUMP` before the last message: either it was held up or sent
      again, or the sender's clock was set back. That is believed when no message has fitted for `SETTLE`, and the delays have no
      trend; they fall while a queue empties. A queue that empties by less than about a tenth faster than it filled is not told
      from a clock that was set back.

    A fastest message that no other one is like is as good as none: what is slower than that by more than `AGREE` does not fit.
    One that fewer than `WELL_SUPPORTED` others are like is given up when all messages of a `SETTLE` have been slower, by the same
    delay: it came from another sender whose clock is ahead. A line that gets slow after that many good messages stays slow.

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
    """Shortest time until a message that was too fast is refused [s]."""
    ENOUGH = 3
    """Least number of messages that refuse it."""
    WELL_SUPPORTED = 10
    """Number of messages like the fastest one from which on it is not given up."""
    SETTLE = 1.0
    """Shortest time until a clock that was set back is believed [s]."""

    def __init__(self) -> None:
        self.refused = 0
        self.forget()

    def forget(self) -> None:
        """Begin anew with the next message; what was refused stays counted."""
        self._shortest, self._at = math.inf, -math.inf
        self._is_supported = False
        self._support = 0
        self._suspect: _Suspect | None = None
        # arrival and delay of the messages that were slower than a fastest one which few are like
        self._slower: deque[tuple[float, float]] = deque()
        # arrival and delay of the messages that were too slow, since one fitted
        self._late: deque[tuple[float, float]] = deque()

    def measured(self, stamp: float, received: float, *, is_set_back: bool = False) -> float | None:
        """When a message was measured, in monotonic time [s]; None if it must not be used.

        Args:
            stamp: the message's stamp, on the sender's clock [s].
            received: time of arrival, monotonic [s].
            is_set_back: whether the stamp is before that of the last message.
        """
        delay = received - stamp
        if math.isfinite(self._at):
            self._shortest += self.CLOCK_DRIFT * (received - self._at)
        self._at = received
        slowest = self._shortest + (self.MAX_DELAY if self._is_supported else self.AGREE)
        if is_set_back or delay > slowest:
            return self._measured_by_a_clock_set_back(stamp, received)
        if delay < self._shortest - self.AGREE and math.isfinite(self._shortest):
            return self._measured_by_a_faster_line(stamp, received)
        self.refused += len(self._late) > 0
        self._late.clear()
        self._is_supported = math.isfinite(self._shortest)
        if self._is_out_of_line(delay, received):
            return self._start_anew(stamp, min(slower for _, slower in self._slower))
        self._shortest = min(self._shortest, delay)
        self._speak_against_the_suspect(received)
        return stamp + (self._shortest if self._suspect is None else min(self._shortest, self._suspect.delay))

    def _is_out_of_line(self, delay: float, received: float) -> bool:
        """Whether the fastest message, which few are like, is given up for this one and all others of the last `SETTLE`."""
        slower = self._slower
        if delay <= self._shortest + self.AGREE:
            self._support += 1
            slower.clear()
            return False
        if self._support >= self.WELL_SUPPORTED:
            return False
        slower.append((received, delay))
        return len(slower) > self.WELL_SUPPORTED and self._have_settled(slower) is not None

    def _speak_against_the_suspect(self, received: float) -> None:
        suspect = self._suspect
        if suspect is None:
            return
        suspect.others += 1
        if suspect.others >= self.ENOUGH and received > suspect.since + self.PROBATION:
            self._suspect, self.refused = None, self.refused + 1

    def _measured_by_a_faster_line(self, stamp: float, received: float) -> float | None:
        delay, suspect = received - stamp, self._suspect
        if suspect is not None and not is_new(stamp, suspect.stamp):
            return None
        if suspect is None or abs(delay - suspect.delay) > self.AGREE:
            self.refused += suspect is not None
            self._suspect = _Suspect(delay, stamp, received)
            return None
        return self._start_anew(stamp, min(delay, suspect.delay))

    def _measured_by_a_clock_set_back(self, stamp: float, received: float) -> float | None:
        late = self._late
        late.append((received, received - stamp))
        settled = self._have_settled(late)
        return None if settled is None else self._start_anew(stamp, settled)

    def _have_settled(self, slow: deque[tuple[float, float]]) -> float | None:
        """The shortest of these delays if they cover a `SETTLE` and have no trend; if they have one, the oldest are forgotten."""
        received = slow[-1][0]
        span = received - slow[0][0]
        if span < self.SETTLE or len(slow) <= self.ENOUGH:
            return None
        middle = slow[0][0] + span / 2
        earlier, later = min(d for at, d in slow if at < middle), min(d for at, d in slow if at >= middle)
        if abs(earlier - later) <= self.AGREE:
            return min(earlier, later)
        while received - slow[0][0] > self.SETTLE and len(slow) > self.ENOUGH:
            slow.popleft()
        return None

    def _start_anew(self, stamp: float, shortest: float) -> float:
        self._shortest, self._is_supported, self._suspect = shortest, True, None
        self._support = self.ENOUGH - 1
        self._late.clear()
        self._slower.clear()
        return stamp + shortest
