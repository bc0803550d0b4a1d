"""Progress as plain lines, for output that goes into a file, where a bar that is drawn anew shows nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS_BETWEEN_LINES = 30.0


class PlainProgress:
    """A line when an arm begins, one every `SECONDS_BETWEEN_LINES`, and one when it has ended.

    Args:
        say: prints one line.
        clock: the time [s].
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._running: tuple[str, float] | None = None

    def begin(self, name: str, steps: int) -> Callable[[], None]:
        """Begin an arm of so many control steps; the arm before it has ended. What it returns is called at each step."""
        self.end()
        begun = last = self._clock()
        done = 0
        self._running = name, begun
        self._say(f"{name}: started, {steps} steps")

        def advance() -> None:
            nonlocal done, last
            done += 1
            now = self._clock()
            if now - last >= SECONDS_BETWEEN_LINES:
                last = now
                self._say(f"{name}: {done} of {steps} steps after {now - begun:.0f} s")

        return advance

    def end(self) -> None:
        """Say that the arm that is running has ended."""
        if self._running is not None:
            name, begun = self._running
            self._say(f"{name}: done after {self._clock() - begun:.0f} s")
            self._running = None
