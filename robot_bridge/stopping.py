"""Signals that ask the bridge's processes to end."""

from __future__ import annotations

import atexit
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop_on_signals() -> threading.Event:
    """An event that SIGINT and SIGTERM set, instead of ending the process at once; further signals change nothing."""
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in SIGNALS:
        signal.signal(number, end)
    # while the interpreter ends, it restores the default handlers, and a second signal would kill the process
    atexit.register(_ignore)
    return stop


@contextmanager
def interruptible() -> Iterator[None]:
    """A stretch, after `stop_on_signals`, that the first SIGINT or SIGTERM also ends at once, with `KeyboardInterrupt`.

    It is for what may be left at any moment, such as loading, before anything moves.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def end(number: int, frame: FrameType | None) -> None:
        restore()
        signal.raise_signal(number)
        raise KeyboardInterrupt

    for number in SIGNALS:
        signal.signal(number, end)
    try:
        yield
    finally:
        restore()


def _ignore() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
