"""Time for what runs in real time; a test brings its own."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic time, as transports stamp what they receive."""

    def now(self) -> float:
        """Monotonic [s]."""

    def wait_until(self, moment: float) -> bool:
        """Return at a moment on this clock, True; or earlier and False, when the run is to end."""

    def since_epoch(self, moment: float) -> float:
        """A moment on this clock as seconds since the epoch, for message stamps."""


class SteadyClock:
    """The machine's monotonic clock; steps of its wall clock do not reach the stamps.

    Args:
        stop: set when the run is to end.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def wait_until(self, moment: float) -> bool:
        """See `Clock`."""
        return not self._stop.wait(max(0.0, moment - time.monotonic()))

    def since_epoch(self, moment: float) -> float:
        """See `Clock`."""
        return moment + self._offset
