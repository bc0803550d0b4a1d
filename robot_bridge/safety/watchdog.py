"""A thread that looks whether the control loop is alive, and stands in for it."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Watchdog:
    """Calls `stand_in` several times in every control period until it is closed.

    Args:
        stand_in: sends the safe action if the loop is late; see `ControlLoop.stand_in`.
        dt: control period [s].
    """

    LOOKS_PER_PERIOD = 4

    def __init__(self, stand_in: Callable[[], bool], dt: float) -> None:
        self._stand_in, self._pause = stand_in, dt / self.LOOKS_PER_PERIOD
        self.failures = 0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(self._pause):
            try:
                self._stand_in()
            except Exception:
                # sending may fail; the next look comes all the same
                self.failures += 1
