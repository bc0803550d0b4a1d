"""A thread that notices when the control loop stands still, and then has the safe action sent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress


class Watchdog:
    """Calls `answer_stall` several times in every control period until the watchdog is closed.

    Args:
        answer_stall: `ControlLoop.answer_stall`, which sends the safe action if the loop is late.
        dt: control period [s].
    """

    LOOKS_PER_PERIOD = 4
    """Calls in each control period."""

    def __init__(self, answer_stall: Callable[[], bool], dt: float) -> None:
        self._answer_stall, self._pause = answer_stall, dt / self.LOOKS_PER_PERIOD
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    @property
    def native_id(self) -> int:
        """The thread's number, by which the operating system knows it."""
        return self._thread.native_id or 0

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(self._pause):
            # sending may fail; the watchdog must try again all the same
            with suppress(Exception):
                self._answer_stall()
