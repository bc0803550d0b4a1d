"""The node at 50 Hz for half an hour: does the watchdog have to act, does memory grow, does a transition get lost?

Usage: python benchmarks/bridge_soak.py [--minutes 30] [--no-record] [--out FILE]

The command `bridge`, with `--record`, controls `simulated-robot` in another process over Cyclone DDS. The robot is the cart-pole
with a control period of 0.02 s. The checkpoint is small and was never trained, because it does not matter here how well it
balances. Every 10 s the memory of the node is read. At the end the commands sent, the commands that the robot got, the messages
in the bag and the transitions that can be learned from are compared.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from bridge_machine import machine
from scipy import stats

from adaptive_mbrl import cli
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from adaptive_mbrl.config import save_yaml
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.dynamics.model import ModelConfig
from adaptive_mbrl.planning import ICEMConfig
from adaptive_mbrl.storage import write_text_atomically
from robot_bridge.bags.reader import Bag
from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import DiagnosticArray, Float64MultiArray, JointState, Message, String
from sim.paths import find_config
from sim.robot.robot import load_robot

DT = 0.02
SENSOR_PERIOD = 0.01
SAMPLE_EVERY = 10.0
"""Time between two readings of the memory [s]."""
SETTLING = 600.0
"""Time in which the memory may still grow [s], because everything is used for the first time."""
MODEL = ModelConfig(hidden=(32,), members=2)
PLANNER = ICEMConfig(horizon=5, num_samples=16, num_iterations=1, num_elites=4)
RULES, WINDOW = (GradientConfig(),), 8
TOPICS: dict[str, type[Message]] = {
    "/joint_states": JointState,
    "/effort_controller/commands": Float64MultiArray,
    "/adaptive_mpc/state": String,
}


def main(minutes: float = 30.0, domain: int = 42, record: bool = True, out: Path | None = None) -> None:
    """Run, count, and write the report.

    Args:
        minutes: duration of control [min].
        domain: ROS 2's domain id.
        record: whether to record a bag, which everything is compared with; without one only the memory matters.
        out: JSON file for the figures; by default docs/results/bridge_soak.json, or bridge_soak_unrecorded.json without a bag.
    """
    found = machine()
    with tempfile.TemporaryDirectory() as folder:
        report = {
            "minutes": minutes,
            "dt": DT,
            "checkpoint": "small, untrained",
            **soak(Path(folder), minutes, domain, record),
            "machine": found,
        }
    path = out or Path("docs/results") / f"bridge_soak{'' if record else '_unrecorded'}.json"
    write_text_atomically(path, json.dumps(report, indent=1) + "\n")
    print(json.dumps({key: value for key, value in report.items() if key != "memory_mb"}, indent=1))


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
    robot_file = folder / "cartpole_50hz.yaml"
    robot_file.write_text(find_config("robots", "cartpole").read_text().replace("dt: 0.04", f"dt: {DT}"))
    spec, shipped = load_robot(str(robot_file)).spec, load_checkpoint("cartpole").description
    about = replace(
        shipped,
        spec=spec,
        model=MODEL,
        planner=PLANNER,
        adaptation=RULES,
        window=WINDOW,
        provenance={"made by": "bridge_soak.py"},
    )
    save_checkpoint(folder / "checkpoint", Checkpoint(about, about.make_adapter()))
    bridge, scenario = folder / "bridge.yaml", folder / "scenario.yaml"
    config = load_bridge_config(find_config("bridge", "cartpole"))
    # an untrained controller drives to the ends of the track
    safety = replace(config.safety, obs_limits={}, max_age=0.1, recovery_seconds=0.5)
    save_yaml(bridge, replace(config, checkpoint=str(folder / "checkpoint"), safety=safety))
    scenario.write_text(f"robot: {robot_file}\nsteps: {round((60 * minutes + 600) / DT)}\nseed: 0\n")
    return bridge, scenario


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
        if not self._running.wait(60):
            raise SystemExit("error: the node does not run")

    def _state(self, message: String, received: float) -> None:
        if message.data == "running":
            self._running.set()
        if self._running.is_set():
            self.states[message.data] += 1

    def _diagnostics(self, message: DiagnosticArray, received: float) -> None:
        for status in message.status:
            self.values[status.name.partition(": ")[2]] = {pair.key: pair.value for pair in status.values}


def sampled_memory(node: subprocess.Popen[bytes], seconds: float) -> list[float]:
    """Resident memory of the node [MB], every `SAMPLE_EVERY`."""
    memory = []
    for _ in range(round(seconds / SAMPLE_EVERY)):
        try:
            raise SystemExit(f"error: the node ended with {node.wait(SAMPLE_EVERY)}")
        except subprocess.TimeoutExpired:
            status = Path(f"/proc/{node.pid}/status").read_text()
            memory.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
    return [round(m, 2) for m in memory]


def processor_seconds(pid: int) -> float:
    """Processor time of a process, on all cores together [s]."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def growth(memory: list[float]) -> dict[str, float] | None:
    """Slope of the memory after settling, with its 95 % interval [MB per hour]."""
    settled = np.array(memory[round(min(SETTLING, SAMPLE_EVERY * len(memory) / 2) / SAMPLE_EVERY) :])
    if len(settled) < 3:
        return None
    hours = np.arange(len(settled)) * SAMPLE_EVERY / 3600
    fit = stats.linregress(hours, settled)
    half = float(stats.t.ppf(0.975, len(settled) - 2) * fit.stderr)
    return {"mb_per_hour": round(fit.slope, 3), "low": round(fit.slope - half, 3), "high": round(fit.slope + half, 3)}


def end(process: subprocess.Popen[bytes]) -> int:
    """Ask a process to end; its exit code."""
    process.send_signal(signal.SIGINT)
    return process.wait(60)


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
