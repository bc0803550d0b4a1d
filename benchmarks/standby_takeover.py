"""How long is a robot without commands when the active node is killed, and do commands jump when another one takes over?

Usage: python benchmarks/standby_takeover.py [--times 10] [--bridge FILE] [--out docs/results/standby.json]

A simulated robot, an active bridge and one that stands by are processes of their own, with DDS between them. The active one is
killed (SIGKILL) again and again; the one that stood by becomes the active one, and a new process stands by. The gap is the time
from the last command of the killed node to the first one of the other, as they arrive at a listener. A jump is a change from one
command to the next that the rate limits do not allow.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import tyro
import yaml

from adaptive_mbrl.checkpoint import read_description
from adaptive_mbrl.storage import write_text_atomically
from benchmarks.bridge_machine import machine
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.endpoints import Sender
from robot_bridge.middleware.messages import Float64MultiArray

PATIENCE = 180.0
"""Longest wait for a process to say something [s]."""


class Heard:
    """The commands, when they came, and from which process."""

    def __init__(self, domain: int, topic: str) -> None:
        self.commands: list[tuple[float, str, list[float]]] = []
        self._sender = ""
        self.transport = DdsTransport(domain, name="listener")
        self.transport.subscribe(topic, Float64MultiArray, self._hear, reliable=True, accept=self._from)

    def _from(self, sender: Sender) -> bool:
        self._sender = sender.guid[:24]
        return True

    def _hear(self, message: Float64MultiArray, received: float) -> None:
        self.commands.append((received, self._sender, list(message.data)))


class Bridge:
    """A bridge in a process of its own."""

    def __init__(self, bridge: Path, domain: int, *more: str) -> None:
        words = [sys.executable, "-m", "adaptive_mbrl", "bridge", "--bridge", str(bridge), "--domain", str(domain), *more]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)
        self._lines: list[str] = []
        threading.Thread(target=lambda: self._lines.extend(self.process.stdout or ()), daemon=True).start()

    def wait_for(self, *states: str) -> None:
        """Wait until its newest line says that it is in one of these states."""
        until = time.monotonic() + PATIENCE
        while not (self._lines and self._lines[-1].startswith(states)):
            if time.monotonic() > until:
                raise TimeoutError(f"not {states}: {self._lines[-3:]}")
            time.sleep(0.1)


def main(
    times: int = 10,
    bridge: Path = Path("configs/bridge/cartpole.yaml"),
    domain: int = 61,
    out: Path = Path("docs/results/standby.json"),
) -> None:
    """Kill the active node again and again.

    Args:
        times: how often.
        bridge: bridge file of a simulated robot; `ownership: {mode: refuse}` is added.
        domain: ROS 2's domain id.
        out: JSON file for the figures.
    """
    with tempfile.TemporaryDirectory() as folder:
        content = yaml.safe_load(bridge.read_text()) | {"ownership": {"mode": "refuse"}}
        path, scenario = Path(folder) / "bridge.yaml", Path(folder) / "scenario.yaml"
        path.write_text(yaml.safe_dump(content))
        spec = read_description(content["checkpoint"]).spec
        scenario.write_text(f"robot: {spec.name}\nsteps: 1000000\n")
        heard = Heard(domain, content["output"]["topic"])
        words = ["simulated-robot", "--bridge", str(path), "--scenario", str(scenario), "--domain", str(domain)]
        robot = subprocess.Popen([sys.executable, "-m", "adaptive_mbrl", *words], stdout=subprocess.DEVNULL)
        try:
            kill_again_and_again(path, domain, times)
        finally:
            robot.kill()
            robot.wait()
            heard.transport.close()
    report = figures(heard, content["safety"]["rate_limits"], spec.action_names, spec.dt)
    print(json.dumps(report), flush=True)
    write_text_atomically(out, json.dumps({"standby": report, "machine": machine()}, indent=1) + "\n")


def kill_again_and_again(path: Path, domain: int, times: int) -> None:
    """Run an active node and one that stands by, and kill the active one so many times."""
    active = Bridge(path, domain)
    active.wait_for("running", "hold")
    for _ in range(times):
        standby = Bridge(path, domain, "--standby")
        standby.wait_for("dry_run")
        time.sleep(2.0)
        active.process.kill()
        active.process.wait()
        standby.wait_for("running", "ramp", "hold")
        active = standby
    active.process.terminate()
    active.process.wait()


def figures(heard: Heard, rates: dict[str, float], names: tuple[str, ...], dt: float) -> dict[str, Any]:
    """Gaps at the takeovers [control periods], and jumps."""
    limit = np.array([rates[name] for name in names]) * dt * (1 + 1e-6)
    pairs = list(itertools.pairwise(heard.commands))
    gaps = [(b[0] - a[0]) / dt for a, b in pairs if a[1] != b[1]]
    jumps = sum(bool((np.abs(np.subtract(b[2], a[2])) > limit).any()) for a, b in pairs)
    return {
        "takeovers": len(gaps),
        "gap, median [control periods]": round(float(np.median(gaps)), 2) if gaps else None,
        "gap, max [control periods]": round(max(gaps), 2) if gaps else None,
        "commands": len(heard.commands),
        "jumps beyond the rate limits": jumps,
    }


if __name__ == "__main__":
    tyro.cli(main)
