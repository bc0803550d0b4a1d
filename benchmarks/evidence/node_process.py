"""The command `bridge` as a process that is watched: what it says of itself, and what it takes of the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import Counter
from pathlib import Path

from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import DiagnosticArray, String

START_SECONDS = 180.0
"""Longest time until the node runs [s]; a machine with nothing else to do takes about ten."""


class NodeMonitor:
    """Collects what the node publishes about itself: its states from the first `running` on, and the newest diagnostics."""

    def __init__(self, transport: DdsTransport) -> None:
        self.states: Counter[str] = Counter()
        self.values: dict[str, dict[str, str]] = {}
        self._running = threading.Event()
        transport.subscribe("/adaptive_mpc/state", String, self._state, reliable=True)
        transport.subscribe("/diagnostics", DiagnosticArray, self._diagnostics, reliable=True)

    def wait_until_running(self) -> None:
        """Wait until the plan is followed."""
        if not self._running.wait(START_SECONDS):
            raise SystemExit("error: the node does not run")

    def _state(self, message: String, received: float) -> None:
        if message.data == "running":
            self._running.set()
        if self._running.is_set():
            self.states[message.data] += 1

    def _diagnostics(self, message: DiagnosticArray, received: float) -> None:
        for status in message.status:
            self.values[status.name.partition(": ")[2]] = {pair.key: pair.value for pair in status.values}


def processor_seconds(pid: int) -> float:
    """Processor time of a process, on all cores together [s]."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def end(process: subprocess.Popen[bytes]) -> int:
    """Ask a process to end; its exit code."""
    process.send_signal(signal.SIGINT)
    return process.wait(60)
