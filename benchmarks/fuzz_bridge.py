"""A million wrong messages over real sockets into a running bridge: is a command ever unsafe, does it live, does it recover?

Usage: python -m benchmarks.fuzz_bridge [--messages 1000000] [--seed 0] [--guard] [--out FILE]

The command `bridge` controls a simulated cart-pole over Cyclone DDS. In bursts, this process sends UDP packets to the bridge's
ports in the name of a real writer on `/joint_states`, which the bridge has found by discovery. Nine in ten carry a message that
is wrong in one of many ways; the others are wrong as packets. Meanwhile participants come and go that do not fit the bridge.
After each burst the bridge has to control the robot again. Another process writes down every command.
"""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from cyclonedds.core import Policy, Qos
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.pub import DataWriter
from cyclonedds.topic import Topic

from adaptive_mbrl.storage import write_text_atomically
from benchmarks.bridge_machine import machine
from benchmarks.bridge_stage import BUSY, ROOT, Stage, Watched, unsafe
from benchmarks.fuzz_packets import Packets
from benchmarks.fuzz_payloads import Payloads
from benchmarks.rtps import data, packet, udp_ports
from robot_bridge.middleware.cyclone import configuration
from robot_bridge.middleware.dds import idl_type
from robot_bridge.middleware.dds_entities import match_count
from robot_bridge.middleware.messages import JointState

BURST = 20_000
"""Messages between two looks whether the bridge recovers."""
WRONG_PACKETS = 0.1
"""Share of the messages that are wrong as packets."""
RECOVERY_SECONDS = 300.0
"""Longest wait for the bridge to control the robot again [s]."""


class Sender:
    """Sends wrong messages in the name of writers that the bridge knows.

    Args:
        domain: ROS 2's domain id.
        ports: the bridge's UDP ports.
        seed: seed of all that is sent.
    """

    def __init__(self, domain: int, ports: list[int], seed: int) -> None:
        self.sent: Counter[str] = Counter()
        draw = random.Random(seed)
        self._draw, self._ports = draw, ports
        self._domain = Domain(domain, configuration("lo"))
        self._participant = DomainParticipant(domain)
        topic = Topic(self._participant, "rt/joint_states", idl_type(JointState))
        quality = Qos(Policy.Reliability.BestEffort, Policy.History.KeepLast(1))
        # one lends its name to messages; what is done in the name of the other may make the bridge deaf to it
        self._writers = [DataWriter(self._participant, topic, quality) for _ in range(2)]
        (self._prefix, self._writer), (_, other) = (_identity(writer) for writer in self._writers)
        self._payloads, self._packets = Payloads(draw), Packets(draw, self._prefix, other, ports)
        self._number = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def wait_until_found(self) -> None:
        """Wait until discovery has found the bridge's reader."""
        while not all(match_count(writer.get_matched_subscriptions) for writer in self._writers):
            time.sleep(0.05)

    def close(self) -> None:
        """Send no more."""
        self._socket.close()

    def send(self, messages: int, rate: float) -> None:
        """Send so many messages, so many in a second."""
        began, done = time.monotonic(), 0
        while done < messages:
            due = min(messages, int((time.monotonic() - began) * rate) + 1)
            for _ in range(due - done):
                self._send_one()
            done = due
            time.sleep(5e-4)

    def _send_one(self) -> None:
        if self._draw.random() < WRONG_PACKETS:
            kind, content = self._packets()
        else:
            kind, payload = self._payloads()
            # a duplicate may be one for RTPS, too
            self._number += not (kind == "duplicate" and self._draw.random() < 0.5)
            content = packet(self._prefix, data(self._writer, self._number, payload))
        self.sent[kind] += 1
        for port in self._ports:
            self._socket.sendto(content[:65000], ("127.0.0.1", port))


def _identity(writer: DataWriter[Any]) -> tuple[bytes, bytes]:
    """The id of a writer's participant, and its own."""
    whole = writer.guid.bytes
    return whole[:12], whole[12:]


def main(
    messages: int = 1_000_000,
    seed: int = 0,
    rate: float = 2000.0,
    guard: bool = False,
    domain: int = 45,
    out: Path = Path("docs/results/fuzz_bridge.json"),
) -> None:
    """Send, watch, and write the report.

    Args:
        messages: how many wrong messages are sent.
        seed: seed of what is sent.
        rate: messages per second.
        guard: whether the bridge runs under a guard.
        domain: ROS 2's domain id.
        out: JSON file for the figures.
    """
    found = machine()
    with tempfile.TemporaryDirectory() as folder:
        report = fuzzed(Path(folder), domain, messages, seed, rate, ("--guard",) if guard else ())
    write_text_atomically(out, json.dumps({**report, "machine": found}, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def fuzzed(
    folder: Path, domain: int, messages: int, seed: int, rate: float, flags: tuple[str, ...] = (), burst: int = BURST
) -> dict[str, Any]:
    """Send bursts of wrong messages to a bridge; the figures."""
    stage = Stage(folder, domain, flags=flags, setting=BUSY)
    visitors = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fuzz_visitors", str(domain)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    seen: list[Watched] = []
    recoveries: list[float] = []
    try:
        ports = sorted({port for process in stage.processes() for port in udp_ports(process)})
        sender = Sender(domain, ports, seed)
        sender.wait_until_found()
        with stage.watch() as quiet:
            time.sleep(2.0)
        while (done := sender.sent.total()) < messages:
            with stage.watch() as watched:
                sender.send(min(burst, messages - done), rate)
                recoveries.append(stage.wait_for("running", patience=RECOVERY_SECONDS))
            seen += watched
            _show_progress(sender.sent.total(), messages, seen)
        sender.close()
        counts, is_alive, log_kib = stage.counts(), stage.is_alive(), stage.log_bytes() // 1024
        visits, _ = visitors.communicate(timeout=30)
    finally:
        visitors.kill()
        stage.close()
    return {
        "fuzzed": messages,
        "seed": seed,
        "rate": rate,
        "guard": bool(flags),
        "burst": burst,
        "dt": BUSY.dt,
        "sent": dict(sorted(sender.sent.items())),
        "visits": int(visits),
        "is_alive": is_alive,
        "log_kib": log_kib,
        "quiet": {"processor_share": round(quiet[0].processor_share, 2), "peak_mib": round(quiet[0].peak_mib)},
        **counts,
        **_figures(seen, recoveries),
    }


def _figures(seen: list[Watched], recoveries: list[float]) -> dict[str, Any]:
    commands = np.concatenate([watched.commands for watched in seen])
    # each burst by itself: a command that came between two of them is not in the log
    wrong = sum(unsafe(watched.commands, BUSY.step) for watched in seen)
    return {
        "commands": len(commands),
        "unsafe": wrong,
        # nothing in n trials: the exact 95 % bound of Clopper and Pearson is 1 - 0.05^(1/n), about 3 / n
        "unsafe_share_below": 1 - 0.05 ** (1 / len(commands)) if not wrong else None,
        "holds": sum(watched.holds for watched in seen),
        "longest_gap_seconds": round(max(watched.longest_gap for watched in seen), 3),
        "processor_share": round(float(np.mean([watched.processor_share for watched in seen])), 2),
        "peak_mib": [round(watched.peak_mib) for watched in seen],
        "recovery_seconds_median": round(float(np.median(recoveries)), 2),
        "recovery_seconds_max": round(max(recoveries), 2),
    }


def _show_progress(done: int, messages: int, seen: list[Watched]) -> None:
    print(
        f"{done} of {messages} messages, {sum(len(w.commands) for w in seen)} commands, {sum(w.holds for w in seen)} holds, "
        f"{seen[-1].peak_mib:.0f} MiB, {seen[-1].processor_share:.2f} cores",
        flush=True,
    )


if __name__ == "__main__":
    tyro.cli(main)
