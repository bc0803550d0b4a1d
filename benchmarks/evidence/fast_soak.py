"""Twelve hours of control periods in one: what a node takes of the machine by the number of its control periods."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.evidence.node_process import NodeMonitor, end, processor_seconds
from benchmarks.evidence.slope import growth as robust_growth
from benchmarks.evidence.tiny_cartpole import write_tiny_cartpole
from robot_bridge.machine.memory import resident_memory
from robot_bridge.middleware.dds import DdsTransport
from tests.bridge.faults import LineProcess

FAST_DT, FAST_SAMPLE = 0.003, 5.0
"""Control period and time between two readings of the memory with `--steps` [s]."""
WARM_UP = 0.2
"""Share of the readings with `--steps` in which the memory may still grow."""


def fast_soak(folder: Path, steps: int, domain: int, record: bool) -> dict[str, Any]:
    """Run the node beside a robot that stands still until so many control periods have passed."""
    _, bridge = write_tiny_cartpole(folder, FAST_DT, is_patient=True)
    transport = DdsTransport(domain)
    monitor = NodeMonitor(transport)
    robot = LineProcess("robot", "standing", str(domain), str(bridge), "0", "0", f"{FAST_DT:g}", package="benchmarks.evidence")
    robot.ask("good")
    run = [sys.executable, "-m", "adaptive_mbrl", "bridge", "--bridge", str(bridge), "--domain", str(domain)]
    recording = ["--record", str(folder / "bag")] if record else []
    node = subprocess.Popen([*run, *recording], stdout=subprocess.DEVNULL)
    try:
        monitor.wait_until_running()
        begun = time.monotonic()
        readings = readings_until(node, monitor, steps)
        took, processor = time.monotonic() - begun, processor_seconds(node.pid)
        code = end(node)
    finally:
        node.kill()
        robot.close()
        transport.close()
    settled = readings[round(WARM_UP * len(readings)) :]
    at = [reading["steps"] / 1e6 for reading in settled]
    return {
        "exit_code": code,
        "seconds": round(took, 1),
        "control_loop": monitor.values["control loop"],
        "planner": monitor.values["planner"],
        "states": dict(monitor.states),
        "processor_share": round(processor / took, 3),
        "growth_per_million_steps": {
            name: growth_of(at, [r[name] for r in settled]) for name in ("memory_mb", "files", "threads")
        },
        "readings": readings,
    }


def growth_of(at: list[float], values: list[float]) -> dict[str, float] | None:
    """The growth with its interval, rounded."""
    found = robust_growth(at, values)
    return None if found is None else {name: round(value, 4) for name, value in found.items()}


def readings_until(node: subprocess.Popen[bytes], monitor: NodeMonitor, steps: int) -> list[dict[str, float]]:
    """What the node takes of the machine, every `FAST_SAMPLE`, until so many control periods have passed."""
    readings: list[dict[str, float]] = []
    while not readings or readings[-1]["steps"] < steps:
        try:
            raise SystemExit(f"error: the node ended with {node.wait(FAST_SAMPLE)}")
        except subprocess.TimeoutExpired:
            folder = Path(f"/proc/{node.pid}")
            taken = {"files": len(list((folder / "fd").iterdir())), "threads": len(list((folder / "task").iterdir()))}
            passed = int(monitor.values.get("control loop", {"steps": "0"})["steps"])
            readings.append({"steps": passed, "memory_mb": round(resident_memory(node.pid), 2), **taken})
    return readings
