"""A thread that runs functions one after the other, and does not keep the process from ending."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Like an executor with one thread, but its thread is a daemon: a function that hangs does not keep the process alive.

    Args:
        name: the thread's name.
    """

    def __init__(self, name: str) -> None:
        self._queue: queue.SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Run a function after all that were submitted before it."""
        future: Future[T] = Future()
        self._queue.put((future, function, arguments))
        return future

    def close(self, timeout: float) -> None:
        """End the thread and wait for it, at most for so many seconds."""
        self._queue.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            future, function, arguments = work
            try:
                future.set_result(function(*arguments))
            except BaseException as error:
                future.set_exception(error)
