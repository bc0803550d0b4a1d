"""How a test waits for what happens in another thread or process: for a condition, never for a while."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

PATIENCE = 60
"""Seconds until a condition that does not come true fails the test; all of them take about one second or less."""


def wait_until(condition: Callable[[], bool]) -> None:
    """Ask again and again until the condition holds."""
    until, pause = time.monotonic() + PATIENCE, threading.Event()
    while not condition():
        assert time.monotonic() < until, f"nothing came within {PATIENCE} s"
        pause.wait(0.005)


def hasten(patch: pytest.MonkeyPatch) -> None:
    """Let nodes measure more briefly how long plans take, and say more often how they are, so that tests wait less."""
    patch.setattr("robot_bridge.control.warm_up.WARM_UP_STEPS", 5)
    patch.setattr("robot_bridge.node.running.DIAGNOSTICS_PERIOD", 0.1)
    # among all tests, looking at everything that a node unfreezes would take half a second each time
    stays = SimpleNamespace(collect=gc.collect, freeze=lambda: None, unfreeze=lambda: None)
    patch.setattr("robot_bridge.node.adaptive_mpc.gc", stays)
