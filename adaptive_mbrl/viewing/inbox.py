"""What users of a page did, for the one thread that owns what they act on."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

Event = Callable[[], None]


class Inbox:
    """Events of a page, in order.

    Buttons and sliders call back on threads of their own. They only leave here what is to be done, and the thread that owns the
    simulation or the robot does it between two steps. So no lock is needed, and nothing changes in the middle of a step.
    """

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def post(self, event: Event) -> None:
        """Leave something to be done; for any thread."""
        self._events.put(event)

    def callback(self, event: Event) -> Callable[[Any], None]:
        """What a button's `on_click` or a slider's `on_update` is given: it posts `event`."""

        def post(_: Any) -> None:
            self.post(event)

        return post

    def work_off(self) -> int:
        """Do what has been left, for the owner's thread.

        Returns:
            The number of events.
        """
        done = 0
        while True:
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                return done
            event()
            done += 1
