"""How a test waits for what happens in another thread or process: for a condition, never for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PATIENCE = 60
"""Seconds until a condition that does not come true fails the test; all of them take about one second or less."""


def wait_until(condition: Callable[[], bool]) -> None:
    """Ask again and again until the condition holds."""
    until, pause = time.monotonic() + PATIENCE, threading.Event()
    while not condition():
        assert time.monotonic() < until, f"nothing came within {PATIENCE} s"
        pause.wait(0.005)
