"""The time that the bridge adds between an observation and its command, without planning: two processes over real sockets.

Usage: python benchmarks/bridge_latency.py [--transport dds|rclpy] [--seconds 50] [--out FILE]

A robot publishes a JointState of 20 numbers at 100 Hz, one of which counts the messages. The bridge does everything except
planning: it receives, maps the channels, hands over to the control thread, supervises, publishes the command and its state; once
without and once with a recording. The command carries the count back, so that the robot knows which observation it answers.

    round trip   in the robot's process, from before the observation is published until the command was received
    inside       in the bridge's process, from the receive callback until after the command was published

Both are measured for every message. The report goes to docs/results/bridge_latency.json, which keeps those of other transports.
"""

from __future__ import annotations

import gc
import json
import math
import multiprocessing
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from bridge_machine import machine
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from adaptive_mbrl.storage import write_text_atomically
from robot_bridge.bags.recorder import BagRecorder
from robot_bridge.bags.recording_transport import RecordingTransport
from robot_bridge.bridge_config import BridgeConfig, ChannelInput, OutputConfig, TopicConfig
from robot_bridge.control.inputs import Inputs
from robot_bridge.control.outputs import command_sender
from robot_bridge.middleware.connect import open_transport
from robot_bridge.middleware.messages import Float64MultiArray, Header, JointState, Message, String, Time
from robot_bridge.middleware.transport import Transport
from robot_bridge.node.running import SWITCH_SECONDS
from robot_bridge.safety.config import SafetyConfig
from robot_bridge.safety.supervisor import SafetySupervisor

DT = 0.01
WARM_UP = 200
"""Number of first messages that are not counted, because discovery and first allocations slow them down."""
JOINTS = [f"joint_{i}" for i in range(10)]
SPEC = RobotSpec(
    "bench",
    DT,
    tuple(Channel(f"{joint}_{field}", "rad") for field in ("position", "velocity") for joint in JOINTS),
    tuple(ActionChannel(joint, "N m", -1e9, 1e9) for joint in JOINTS),
)
CONFIG = BridgeConfig(
    checkpoint="",
    inputs={"joints": TopicConfig("/joint_states", JointState.ros_type)},
    obs={f"{joint}_{field}": ChannelInput("joints", field, joint) for field in ("position", "velocity") for joint in JOINTS},
    output=OutputConfig("/commands"),
    safety=SafetyConfig(rate_limits=dict.fromkeys(JOINTS, 1e15), ramp_seconds=0.0),
)
KindOfTransport = Literal["dds", "rclpy"]


def main(
    transport: KindOfTransport = "dds",
    seconds: float = 50.0,
    domain: int = 41,
    out: Path = Path("docs/results/bridge_latency.json"),
) -> None:
    """Measure, print a table, and write the report.

    Args:
        transport: the transport between the two processes.
        seconds: duration of each of the two runs [s].
        domain: ROS 2's domain id.
        out: JSON file for the figures.
    """
    found = machine()
    runs = [measured(transport, seconds, domain, recorded) for recorded in (False, True)]
    known = json.loads(out.read_text())["runs"] if out.exists() else []
    others = [run for run in known if run["transport"] != transport]
    runs = [{**run, "machine": found} for run in runs]
    write_text_atomically(
        out, json.dumps({"rate_hz": 1 / DT, "numbers": SPEC.obs_dim, "runs": [*others, *runs]}, indent=1) + "\n"
    )
    show(runs)


def measured(kind: KindOfTransport, seconds: float, domain: int, recorded: bool) -> dict[str, Any]:
    """One run, with the bridge in a process of its own."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=bridge, args=(kind, domain, recorded, theirs))
    process.start()
    transport = open_transport(kind, "bench_robot", domain, "lo")
    try:
        took, asked = robot(transport, round(seconds / DT))
    finally:
        transport.close()
        ours.send("end")
    inside = ours.recv()
    process.join()
    return {
        "transport": kind,
        "recorded": recorded,
        "messages": asked,
        "lost": asked - len(took),
        "round_trip_ms": figures(took),
        "inside_ms": figures(inside[WARM_UP:]),
    }


def robot(transport: Transport, count: int) -> tuple[list[float], int]:
    """Publish `count` observations at a steady rate, after the warm-up.

    Returns:
        The time until each command [s], without lost ones, and the number of observations that were counted.
    """
    left, came = {}, {}
    transport.subscribe(
        "/commands", Float64MultiArray, lambda message, received: came.setdefault(round(message.data[0]), received), reliable=True
    )
    publish = transport.publisher("/joint_states", JointState, reliable=False)
    waiting, values = threading.Event(), [0.1] * len(JOINTS)
    begun = time.monotonic()
    gc.collect()
    gc.freeze()
    gc.disable()
    number, first = 0, math.inf
    while number < first + WARM_UP + count:
        if came and first == math.inf:
            first = number
        message = JointState(Header(Time.of(transport.now())), JOINTS, [float(number), *values[1:]], values, [])
        waiting.wait(max(0.0, begun + number * DT - time.monotonic()))
        left[number] = time.monotonic()
        publish(message)
        number += 1
    waiting.wait(1.0)
    counted = range(int(first) + WARM_UP, number)
    return [came[n] - left[n] for n in counted if n in came], len(counted)


class TimedInputs(Inputs):
    """Inputs that wake the control thread when a message has come."""

    def __init__(self, transport: Transport) -> None:
        self.began, self.came = 0.0, threading.Event()
        super().__init__(SPEC, CONFIG, transport)

    def receive(self, name: str, message: Message, received: float) -> None:
        self.began = time.perf_counter()
        super().receive(name, message, received)
        self.came.set()


def bridge(kind: KindOfTransport, domain: int, recorded: bool, pipe: Connection) -> None:
    """The bridge's process: it answers every observation with a fixed plan, and sends back how long each answer took [s]."""
    with tempfile.TemporaryDirectory() as folder:
        connected = open_transport(kind, "bench_bridge", domain, "lo")
        recorder = BagRecorder(Path(folder) / "bag") if recorded else None
        transport = connected if recorder is None else RecordingTransport(connected, recorder)
        inputs, supervisor = TimedInputs(transport), SafetySupervisor(SPEC, CONFIG.safety)
        send, publish_state = command_sender(SPEC, CONFIG.output, transport), transport.publisher("/adaptive_mpc/state", String)
        stop, took = threading.Event(), []

        def control() -> None:
            plan = np.full(SPEC.action_dim, 0.5)
            supervisor.activate(time.monotonic())
            while not stop.is_set():
                if not inputs.came.wait(0.1):
                    continue
                inputs.came.clear()
                observed = inputs.snapshot()
                plan[0] = observed.values[0]
                decision = supervisor.decide(time.monotonic(), observed, plan)
                if decision.command is not None:
                    send(decision.command)
                took.append(time.perf_counter() - inputs.began)
                publish_state(String(decision.state.value))

        sys.setswitchinterval(SWITCH_SECONDS)
        # as in the node while it is active
        gc.collect()
        gc.freeze()
        thread = threading.Thread(target=control)
        thread.start()
        pipe.recv()
        stop.set()
        thread.join()
        connected.close()
        if recorder is not None:
            recorder.close()
        pipe.send(took)


def figures(seconds: list[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum in milliseconds."""
    milliseconds = 1e3 * np.array(seconds)
    quantiles = {"median": 50, "p99": 99, "max": 100}
    return {name: round(float(np.percentile(milliseconds, q)), 3) for name, q in quantiles.items()}


def show(runs: list[dict[str, Any]]) -> None:
    """Print a table of the runs."""
    table = Table(box=SIMPLE)
    for header in (
        "transport",
        "recording",
        "messages",
        "lost",
        "round trip: median",
        "p99",
        "max",
        "inside: median",
        "p99",
        "max ms",
    ):
        table.add_column(header, justify="right")
    for run in runs:
        values = [*run["round_trip_ms"].values(), *run["inside_ms"].values()]
        counts = (run["messages"], run["lost"], *(f"{v:.2f}" for v in values))
        table.add_row(run["transport"], "yes" if run["recorded"] else "no", *map(str, counts))
    Console(width=130).print(table)


if __name__ == "__main__":
    tyro.cli(main)
