"""The clock of the simulated robot; tests replace it with a clock in virtual time."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic time, the same as the transports' times of arrival."""

    def now(self) -> float:
        """The present time, monotonic [s]."""

    def wait_until(self, moment: float) -> bool:
        """Wait until a time on this clock [s], and return True; or return False earlier, when the run is to end."""

    def since_epoch(self, moment: float) -> float:
        """A time on this clock as seconds since the epoch, for message stamps."""


class SteadyClock:
    """The machine's monotonic clock. Setting the machine's wall clock does not change the stamps.

    Args:
        stop: event that is set when the run is to end.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        return time.monotonic()

    def wait_until(self, moment: float) -> bool:
        return not self._stop.wait(max(0.0, moment - time.monotonic()))

    def since_epoch(self, moment: float) -> float:
        return moment + self._offset
