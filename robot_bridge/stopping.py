"""Signals that ask the bridge's processes to end."""

from __future__ import annotations

import atexit
import signal
import threading
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


def _ignore() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
