"""The node for a long time: does the watchdog have to act, does memory grow, does a transition get lost?

Usage: python -m benchmarks.bridge_soak [--minutes 30] [--no-record] [--out FILE]
       python -m benchmarks.bridge_soak --steps 1080000 [--no-record] [--out FILE]

The command `bridge`, with `--record`, controls `simulated-robot` in another process over Cyclone DDS. The robot is the cart-pole
with a control period of 0.02 s. The checkpoint is small and was never trained, because it does not matter here how well it
balances. Every 10 s the memory of the node is read. At the end the commands sent, the commands that the robot got, the messages
in the bag and the transitions that can be learned from are compared.

With `--steps` time is short: the control period is 3 ms, so that the 1,080,000 control periods of 12 hours at 25 Hz pass in 54
minutes (longer where the machine skips periods). Robot and node are processes as before, but the robot only stands still, and
plans may be late. What is measured then is the growth of memory, of files and of threads by the number of control periods.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from scipy import stats

from adaptive_mbrl import cli
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.storage import write_text_atomically
from benchmarks.bridge_machine import machine
from benchmarks.evidence.fast_soak import FAST_DT, fast_soak
from benchmarks.evidence.node_process import NodeMonitor, end, processor_seconds
from benchmarks.evidence.tiny_cartpole import write_tiny_cartpole
from robot_bridge.bags.reader import Bag
from robot_bridge.machine.memory import resident_memory
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import Float64MultiArray, JointState, Message, String

DT = 0.02
SENSOR_PERIOD = 0.01
SAMPLE_EVERY = 10.0
"""Time between two readings of the memory [s]."""
SETTLING = 600.0
"""Time in which the memory may still grow [s], because everything is used for the first time."""
TOPICS: dict[str, type[Message]] = {
    "/joint_states": JointState,
    "/effort_controller/commands": Float64MultiArray,
    "/adaptive_mpc/state": String,
}


def main(minutes: float = 30.0, domain: int = 42, record: bool = True, steps: int = 0, out: Path | None = None) -> None:
    """Run, count, and write the report.

    Args:
        minutes: duration of control [min].
        domain: ROS 2's domain id.
        record: whether to record a bag, which everything is compared with; without one only the memory matters.
        steps: run for so many short control periods instead.
        out: JSON file for the figures; by default docs/results/bridge_soak.json, or soak_steps.json with `--steps`; the names
            end in _unrecorded.json without a bag.
    """
    found = machine()
    about: dict[str, Any] = {"checkpoint": "small, untrained"}
    with tempfile.TemporaryDirectory() as folder:
        if steps:
            about |= {"steps": steps, "dt": FAST_DT, "record": record, **fast_soak(Path(folder), steps, domain, record)}
        else:
            about |= {"minutes": minutes, "dt": DT, **soak(Path(folder), minutes, domain, record)}
    name = f"{'soak_steps' if steps else 'bridge_soak'}{'' if record else '_unrecorded'}"
    report = about | {"machine": found}
    write_text_atomically(out or Path("docs/results") / f"{name}.json", json.dumps(report, indent=1) + "\n")
    print(json.dumps({key: value for key, value in report.items() if key not in ("memory_mb", "readings")}, indent=1))


def soak(folder: Path, minutes: float, domain: int, record: bool) -> dict[str, Any]:
    """Run both processes; the figures that were collected meanwhile and at the end."""
    bridge, scenario = write_files(folder, minutes)
    transport = DdsTransport(domain)
    monitor = NodeMonitor(transport)
    files, ending = ["--bridge", str(bridge), "--domain", str(domain)], {"stdout": subprocess.DEVNULL}
    run = [sys.executable, "-m", "adaptive_mbrl"]
    robot_report, bag = folder / "robot.json", folder / "bag"
    robot = subprocess.Popen(
        [*run, "simulated-robot", *files, "--scenario", str(scenario), "--json", str(robot_report)], **ending
    )
    node = subprocess.Popen([*run, "bridge", *files, *(["--record", str(bag)] if record else [])], **ending)
    try:
        monitor.wait_until_running()
        memory = sampled_memory(node, 60 * minutes)
        processor = processor_seconds(node.pid)
        codes = [end(node), end(robot)]
    finally:
        node.kill()
        robot.kill()
        transport.close()
    return {
        "exit_codes": codes,
        "control_loop": monitor.values["control loop"],
        "planner": monitor.values["planner"],
        "states": dict(monitor.states),
        "processor_share": round(processor / (60 * minutes), 3),
        "memory_mb": memory,
        "memory_growth": growth(memory),
        "counts": counts(folder, bag, bridge, json.loads(robot_report.read_text())) if record else {},
    }


def write_files(folder: Path, minutes: float) -> tuple[Path, Path]:
    """Write the files of a cart-pole at 50 Hz: robot, checkpoint, bridge file and scenario."""
    robot_file, bridge = write_tiny_cartpole(folder, DT)
    scenario = folder / "scenario.yaml"
    scenario.write_text(f"robot: {robot_file}\nsteps: {round((60 * minutes + 600) / DT)}\nseed: 0\n")
    return bridge, scenario


def sampled_memory(node: subprocess.Popen[bytes], seconds: float) -> list[float]:
    """Resident memory of the node [MB], every `SAMPLE_EVERY`."""
    memory = []
    for _ in range(round(seconds / SAMPLE_EVERY)):
        try:
            raise SystemExit(f"error: the node ended with {node.wait(SAMPLE_EVERY)}")
        except subprocess.TimeoutExpired:
            memory.append(resident_memory(node.pid))
    return [round(m, 2) for m in memory]


def growth(memory: list[float]) -> dict[str, float] | None:
    """Slope of the memory after settling, with its 95 % interval [MB per hour]."""
    settled = np.array(memory[round(min(SETTLING, SAMPLE_EVERY * len(memory) / 2) / SAMPLE_EVERY) :])
    if len(settled) < 3:
        return None
    hours = np.arange(len(settled)) * SAMPLE_EVERY / 3600
    fit = stats.linregress(hours, settled)
    half = float(stats.t.ppf(0.975, len(settled) - 2) * fit.stderr)
    return {"mb_per_hour": round(fit.slope, 3), "low": round(fit.slope - half, 3), "high": round(fit.slope + half, 3)}


def counts(folder: Path, bag: Path, bridge: Path, robot: dict[str, Any]) -> dict[str, Any]:
    """Numbers of messages that were sent, received and recorded, and of transitions that can be learned from."""
    with Bag(bag) as recording:
        messages = list(recording.messages(TOPICS))
    by_topic = Counter(topic for topic, _, _ in messages)
    states = Counter(message.data for _, _, message in messages if isinstance(message, String))
    stamps = np.sort([message.header.stamp.seconds for _, _, message in messages if isinstance(message, JointState)])
    cli.main(["import-bag", str(bag), "--bridge", str(bridge), "--out", str(folder / "episodes")])
    episodes = EpisodeStore.open(folder / "episodes").episodes
    return {
        "commands_in_bag": by_topic["/effort_controller/commands"],
        "commands_at_robot": robot["commands"],
        "late_commands_at_robot": robot["late_commands"],
        "command_timeouts_at_robot": robot["command_timeouts"],
        "robot_overruns": robot["overruns"],
        "observations_in_bag": by_topic["/joint_states"],
        "observations_lost": int(np.rint(np.diff(stamps) / SENSOR_PERIOD).sum()) + 1 - len(stamps),
        "states_in_bag": dict(states),
        "episodes": len(episodes),
        "transitions": sum(map(len, episodes)),
    }


if __name__ == "__main__":
    tyro.cli(main)
