"""What floods of messages do to the bridge: its processor time, its longest gap between commands, its holds.

Usage: python -m benchmarks.floods [--before CHECKOUT] [--seconds 8] [--out FILE]

The command `bridge` controls a simulated cart-pole at 25 Hz with the shipped checkpoint. Meanwhile another publisher floods
`/joint_states` with states of the robot's joints, or with messages of 20,000 joints. With `--before` another checkout's bridge is
measured, too.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import tyro
from cyclonedds._clayer import ddspy_write  # type: ignore[import-not-found]
from cyclonedds.core import Policy, Qos
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.pub import DataWriter
from cyclonedds.topic import Topic

from adaptive_mbrl.storage import write_text_atomically
from benchmarks.bridge_machine import machine
from benchmarks.bridge_stage import ROOT, USUAL, Stage, unsafe
from robot_bridge.middleware.cyclone import configuration
from robot_bridge.middleware.dds import idl_type, to_wire
from robot_bridge.middleware.messages import JointState

FLOODS = {
    "none": (0, 2),
    "1 kHz": (1000, 2),
    "5 kHz": (5000, 2),
    "10 kHz": (10000, 2),
    "20,000 joints at 20 Hz": (20, 20000),
}
"""Messages per second, and joints in each of them."""
RECEIVER = """
import inspect, json, sys, threading, time
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import JointState
transport, decoded, longest = DdsTransport(int(sys.argv[1])), [0], [0.0]
def receive(message, received):
    decoded[0] += 1
limit = {"max_bytes": 16384} if "max_bytes" in inspect.signature(transport.subscribe).parameters else {}
transport.subscribe("/joint_states", JointState, receive, **limit)
def wait():
    last = time.monotonic()
    while True:
        time.sleep(0.005)
        now = time.monotonic()
        longest[0], last = max(longest[0], now - last - 0.005), now
threading.Thread(target=wait, daemon=True).start()
print("ready", flush=True)
began = time.process_time()
sys.stdin.readline()
print(json.dumps([decoded[0], time.process_time() - began, longest[0]]), flush=True)
"""
"""A process that receives states, beside a thread that wants to run every 5 ms; it says how many messages it decoded, how much
processor time it used, and how long that thread had to wait at most. It runs with the code of any checkout."""
REALTIME = ("--guard", "--realtime", "try")
SENSOR_OFFSET = 4
"""Where the stamp begins in a message on the wire, after four bytes of encapsulation [bytes]."""


def main(
    before: Path | None = None,
    seconds: float = 8.0,
    alone: bool = False,
    domain: int = 44,
    out: Path = Path("docs/results/floods.json"),
) -> None:
    """Measure, print, and write the report.

    Args:
        before: another checkout whose bridge is measured as well.
        seconds: duration of each flood [s].
        alone: measure only a process that receives, and no bridge.
        domain: ROS 2's domain id.
        out: JSON file for the figures.
    """
    found, rows = machine(), list[dict[str, Any]]()
    receivers: list[dict[str, Any]] = []
    trees = ([] if before is None else [("before", before)]) + [("now", ROOT)]
    for which, tree in trees:
        receivers += [received(domain, tree, flood, seconds, which) for flood in FLOODS]
        ways = [(), ("--guard",), *([REALTIME] if which == "now" else [])]
        for flags in ways if not alone else ():
            with tempfile.TemporaryDirectory() as folder:
                rows += measured(Path(folder), domain, tree, flags, seconds, which)
    report = {"dt": USUAL.dt, "seconds": seconds, "receivers": receivers, "floods": rows, "machine": found}
    write_text_atomically(out, json.dumps(report, indent=1) + "\n")


def measured(folder: Path, domain: int, tree: Path, flags: tuple[str, ...], seconds: float, which: str) -> list[dict[str, Any]]:
    """One row for each flood, with one bridge."""
    stage, rows = Stage(folder, domain, tree, flags), []
    try:
        for flood, (rate, joints) in FLOODS.items():
            with stage.watch() as seen:
                written = flooded(domain, rate, joints, seconds)
            (watched,) = seen
            rows.append(
                {
                    "bridge": which,
                    "flags": " ".join(flags),
                    "flood": flood,
                    "written_per_second": round(written / seconds),
                    "processor_share": round(watched.processor_share, 2),
                    "longest_gap_periods": round(watched.longest_gap / USUAL.dt, 2),
                    "commands": len(watched.commands),
                    "unsafe": unsafe(watched.commands, USUAL.step),
                    "holds": watched.holds,
                }
            )
            print(rows[-1], flush=True)
    finally:
        stage.close()
    return rows


def received(domain: int, tree: Path, flood: str, seconds: float, which: str) -> dict[str, Any]:
    """What a flood does to a process that only receives, with the code of a checkout."""
    process = subprocess.Popen(
        [sys.executable, "-c", RECEIVER, str(domain)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    written = flooded(domain, *FLOODS[flood], seconds)
    said, _ = process.communicate("\n", timeout=60)
    decoded, used, longest = json.loads(said)
    row = {
        "bridge": which,
        "flood": flood,
        "written": written,
        "decoded": decoded,
        "processor_seconds": round(used, 2),
        "longest_pause_ms": round(1e3 * longest, 1),
    }
    print(row, flush=True)
    return row


def flooded(domain: int, rate: int, joints: int, seconds: float) -> int:
    """Flood from a process of its own for a while; returns the number of messages that were written."""
    if not rate:
        time.sleep(seconds)
        return 0
    words = [sys.executable, "-m", "benchmarks.floods", "write", str(domain), str(rate), str(joints), str(seconds)]
    return int(subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def write(domain: int, rate: int, joints: int, seconds: float) -> int:
    """Write messages, which are encoded once, with new stamps; returns how many."""
    # a flood need not keep to the limits of those that it floods, so it has a participant without any
    made = Domain(domain, configuration("lo"))
    participant = DomainParticipant(domain)
    topic = Topic(participant, "rt/joint_states", idl_type(JointState))
    writer = DataWriter(participant, topic, Qos(Policy.Reliability.BestEffort, Policy.History.KeepLast(1)))
    names = ["slider", "hinge_1", *(f"joint_{i}" for i in range(joints - 2))]
    zeros = [0.0] * joints
    content = bytearray(to_wire(JointState(name=names, position=zeros, velocity=zeros)).serialize())
    time.sleep(1.0)
    written, began = 0, time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        for _ in range(int(passed * rate) - written):
            stamp = time.time()
            struct.pack_into("<iI", content, SENSOR_OFFSET, int(stamp), int(stamp % 1 * 1e9))
            ddspy_write(writer._ref, bytes(content))
            written += 1
        time.sleep(2e-4)
    del made
    return written


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        number, often, names = map(int, sys.argv[2:5])
        print(write(number, often, names, float(sys.argv[5])))
    else:
        tyro.cli(main)
