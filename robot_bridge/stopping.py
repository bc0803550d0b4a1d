"""How the bridge's processes are asked to end."""

from __future__ import annotations

import atexit
import signal
import threading
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop_on_signals() -> threading.Event:
    """An event that SIGINT and SIGTERM set, as often as they come, instead of ending the process where it stands."""
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in SIGNALS:
        signal.signal(number, end)
    # while the interpreter ends it gives signals back their first meaning, which is deadly
    atexit.register(_ignore)
    return stop


def _ignore() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
