"""Files of a cart-pole, and the processes that the tests talk to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90.0
"""Seconds to wait for what takes a few."""
ROBOT = "import sys; from robot_bridge.node.executables import simulated_robot; sys.exit(simulated_robot())"
NO_ROS = "no ROS 2: rclpy cannot be imported; source a ROS 2 install and run make test-ros"
SCENARIO = """
robot: cartpole
steps: 100
changes:
  - {at: 50, actuator_gain: 0.5}
"""


class Files(NamedTuple):
    """Of a bridge and of what happens to its robot."""

    bridge: Path
    scenario: Path


@contextmanager
def started(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process of Python; it is killed if a test leaves it behind."""
    inherited = {**os.environ, **(environment or {})}
    inherited["PYTHONPATH"] = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, *arguments], **streams, text=True, env=inherited, cwd=ROOT) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def simulated_robot(files: Files, *ros_arguments: str) -> Iterator[None]:
    """A cart-pole over rclpy, for as long as it is needed."""
    files.scenario.write_text("robot: cartpole\nsteps: 100000\n")
    arguments = ["--bridge", str(files.bridge), "--scenario", str(files.scenario), "--command-timeout", "5"]
    with started("-c", ROBOT, *arguments, "--ros-args", *ros_arguments) as process:
        assert process.stdout.readline().startswith("waiting for commands on /")
        yield


def errors(mistakes: str) -> list[str]:
    """The lines of a node's log that are errors; that somebody has stopped the robot is in it, too, but no mistake."""
    return [line for line in mistakes.splitlines() if "ERROR" in line and not line.endswith(": estop")]


def eventually(happened: Callable[[], Any], spin: Callable[[], Any]) -> Any:
    """What `happened` says as soon as it is true."""
    for _ in range(int(PATIENCE / 0.05)):
        told = happened()
        if told:
            return told
        spin()
    raise AssertionError(f"did not happen within {PATIENCE:g} s")
