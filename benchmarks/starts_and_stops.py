"""A hundred starts and stops of the node in one process, and twenty whole processes: is anything left behind?

Usage: python -m benchmarks.starts_and_stops [--times 100] [--processes 20] [--out FILE]

Each start is configure, activate, some control periods, deactivate and clean-up, over Cyclone DDS, with a robot in another
process. After each stop the open files, the threads, the shared memory and the resident memory of the process are counted. The
checkpoint is small and was never trained. All of it takes about 6 minutes.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import tyro

from adaptive_mbrl.storage import write_text_atomically
from benchmarks.bridge_machine import machine
from benchmarks.evidence.slope import growth
from benchmarks.evidence.tiny_cartpole import write_tiny_cartpole
from robot_bridge.machine.memory import resident_memory
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.node.adaptive_mpc import AdaptiveMpc
from robot_bridge.node.parameters import NodeParameters
from robot_bridge.safety.states import State
from tests.bridge.faults import Actuators, LineProcess
from tests.bridge.waiting import wait_until

DT = 0.02
FIRST = 3
"""After so many starts everything has been used once, and nothing more may be left behind."""
PERIODS = 5
"""Control periods of each start."""
SHARED = Path("/dev/shm")


def main(times: int = 100, processes: int = 20, domain: int = 45, out: Path = Path("docs/results/starts_and_stops.json")) -> None:
    """Start and stop, print what is left behind, and write the report.

    Args:
        times: number of starts in one process.
        processes: number of whole processes.
        domain: ROS 2's domain id.
        out: JSON file for the figures.
    """
    with tempfile.TemporaryDirectory() as folder:
        _, bridge = write_tiny_cartpole(Path(folder), DT)
        robot = LineProcess("robot", "standing", str(domain), str(bridge), "0", "0", package="benchmarks.evidence")
        robot.ask("good")
        try:
            readings = started_and_stopped(bridge, domain, times, Path(folder))
            whole = whole_processes(bridge, domain, processes)
        finally:
            robot.close()
    report = {"starts_and_stops": left_behind(readings), "processes": whole, "readings": readings, "machine": machine()}
    write_text_atomically(out, json.dumps(report, indent=1) + "\n")
    print(json.dumps({key: value for key, value in report.items() if key != "readings"}, indent=1))


def started_and_stopped(bridge: Path, domain: int, times: int, folder: Path) -> list[dict[str, Any]]:
    """Start and stop the node in this process; what there is after each stop. Every other start records a bag."""
    services = DdsTransport(domain)
    node = AdaptiveMpc(services)
    readings = []
    try:
        for number in range(times):
            began = time.monotonic()
            transport = DdsTransport(domain)
            record = str(folder / f"bag_{number}") if number % 2 else ""
            node.configure(NodeParameters(str(bridge), record=record), transport)
            loop = node._running().loop
            node.activate()
            wait_until(lambda loop=loop: loop.statistics.steps > PERIODS and node.state is not State.INACTIVE)
            node.deactivate()
            node.clean_up()
            transport.close()
            del loop, transport
            readings.append(taken() | {"seconds": round(time.monotonic() - began, 2)})
    finally:
        node.clean_up()
        services.close()
    return readings


def taken() -> dict[str, Any]:
    """What this process takes of the machine."""
    gc.unfreeze()
    gc.collect()
    return {
        "files": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "python_threads": threading.active_count(),
        "shared_memory": shared_memory(),
        "memory_mb": round(resident_memory(os.getpid()), 2),
    }


def shared_memory() -> int:
    """Number of entries of shared memory on this machine."""
    return len(list(SHARED.iterdir())) if SHARED.exists() else 0


def left_behind(readings: list[dict[str, Any]]) -> dict[str, Any]:
    """What there is more after the last stop than after the first few, and how fast memory grows."""
    first, last = readings[min(FIRST, len(readings) - 1)], readings[-1]
    counts = {name: last[name] - first[name] for name in ("files", "threads", "python_threads", "shared_memory")}
    settled = readings[FIRST:]
    slope = growth(list(range(len(settled))), [reading["memory_mb"] for reading in settled])
    rounded = None if slope is None else {name: round(value, 4) for name, value in slope.items()}
    return {"times": len(readings), "left_behind": counts, "memory_mb_per_start": rounded}


def whole_processes(bridge: Path, domain: int, count: int) -> dict[str, Any]:
    """Start the command `bridge`, wait until it commands, and ask it to end; its exit codes and what is left on the machine."""
    transport = DdsTransport(domain)
    actuators = Actuators(transport, "/effort_controller/commands")
    before, codes, seconds = shared_memory(), [], []
    command = [sys.executable, "-m", "adaptive_mbrl", "bridge", "--bridge", str(bridge), "--domain", str(domain)]
    try:
        for _ in range(count):
            began = time.monotonic()
            with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
                try:
                    actuators.wait_for(lambda value: value != 0.0)
                    process.send_signal(signal.SIGINT)
                    codes.append(process.wait(60))
                finally:
                    # on a machine that is too busy it never follows a plan, and would be waited for without an end
                    process.kill()
            seconds.append(round(time.monotonic() - began, 2))
    finally:
        transport.close()
    return {
        "times": count,
        "exit_codes": sorted(set(codes)),
        "shared_memory_left": shared_memory() - before,
        "seconds": seconds,
    }


if __name__ == "__main__":
    tyro.cli(main)
