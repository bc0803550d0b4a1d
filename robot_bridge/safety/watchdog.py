"""A thread that looks whether the control loop is alive, and stands in for it."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Watchdog:
    """Calls `answer_stall` several times in every control period until it is closed.

    Args:
        answer_stall: sends the safe action if the loop is late; see `ControlLoop.answer_stall`.
        dt: control period [s].
    """

    LOOKS_PER_PERIOD = 4

    def __init__(self, answer_stall: Callable[[], bool], dt: float) -> None:
        self._answer_stall, self._pause = answer_stall, dt / self.LOOKS_PER_PERIOD
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
                self._answer_stall()
            except Exception:
                # sending may fail; the next look comes all the same
                self.failures += 1
