"""A cut network: robot and node in two network namespaces with a cable between them, which is pulled in mid-run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from robot_bridge.bags.reader import Bag
from robot_bridge.middleware.messages import Float64MultiArray, JointState
from tests.bridge.faults import BRIDGE, MAX_AGE, PATIENCE, ROOT, Times, reaction

SIDES = ("robot", "node")
SCENARIO = "robot: cartpole\nsteps: 10000\nseed: 1\n"


def name(side: str) -> str:
    """The name of a namespace and of the end of the cable in it, with at most 15 letters."""
    return f"{side}{os.getpid()}"


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@pytest.fixture
def cable() -> Iterator[None]:
    """Two namespaces, connected."""
    if shutil.which("ip") is None:
        pytest.skip("needs the command ip (iproute2)")
    try:
        for side in SIDES:
            ip("netns", "add", name(side))
        ends = [("name" if side == "robot" else "peer", name(side), "netns", name(side)) for side in SIDES]
        ip("link", "add", *ends[0][1:], "type", "veth", "peer", "name", *ends[1][1:])
        for number, side in enumerate(SIDES, start=1):
            ip("-n", name(side), "addr", "add", f"10.77.0.{number}/24", "dev", name(side))
            for interface in ("lo", name(side)):
                ip("-n", name(side), "link", "set", interface, "up")
        yield
    except OSError as error:
        pytest.skip(f"network namespaces cannot be made here: {error}")
    finally:
        for side in SIDES:
            subprocess.run(["ip", "netns", "del", name(side)], capture_output=True)


@contextmanager
def start(side: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    inside = ["ip", "netns", "exec", name(side), sys.executable, "-m", "adaptive_mbrl", *arguments, "--interface", name(side)]
    with subprocess.Popen(inside, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        # a line that never comes must not keep the test waiting
        watch = threading.Timer(2 * PATIENCE, process.kill)
        watch.start()
        try:
            yield process
        finally:
            watch.cancel()
            process.kill()


def wait_for_line(process: subprocess.Popen[str], *parts: str) -> str:
    return next(line for line in process.stdout if all(part in line for part in parts))


@pytest.mark.slow
def test_a_cut_network_is_answered_on_both_sides_and_survived(cable, tmp_path: Path, make_checkpoint: Callable[..., Path]):
    bridge_file, scenario, report = tmp_path / "bridge.yaml", tmp_path / "scenario.yaml", tmp_path / "report.json"
    bridge_file.write_text(BRIDGE.format(checkpoint=make_checkpoint(tmp_path / "checkpoint"), rate=100.0))
    scenario.write_text(SCENARIO)
    files = ("--bridge", str(bridge_file))
    with (
        start("robot", "simulated-robot", *files, "--scenario", str(scenario), "--json", str(report)) as robot,
        start("node", "bridge", *files, "--record", str(tmp_path / "bag")) as node,
    ):
        wait_for_line(node, "running: ")
        ip("-n", name("robot"), "link", "set", name("robot"), "down")
        wait_for_line(node, "hold: ", "s old, allowed: 0.5 s")
        ip("-n", name("robot"), "link", "set", name("robot"), "up")
        wait_for_line(node, "running: ")
        for process in (node, robot):
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)
    assert (node.returncode, robot.returncode) == (0, 0)

    begin, end, sent = cut(tmp_path / "bag")
    answered = reaction(sent, Times(begin, begin, end))
    print(f"network cut: {answered.periods:.2f} control periods to the safe action")
    assert answered.followed <= 1
    assert answered.safe > 3
    # the robot's side of the cut
    assert json.loads(report.read_text())["command_timeouts"] >= 1


def cut(bag: Path) -> tuple[float, float, list[tuple[float, float]]]:
    """The times [s] between which the plan must not be followed, and the commands, from the node's own recording."""
    with Bag(bag) as recording:
        messages = sorted(recording.messages({"/joint_states": JointState, "/commands": Float64MultiArray}), key=lambda m: m[1])
    heard = [1e-9 * at for topic, at, _ in messages if topic == "/joint_states"]
    sent = [(1e-9 * at, message.data[0]) for topic, at, message in messages if topic == "/commands"]
    silence = max(range(1, len(heard)), key=lambda i: heard[i] - heard[i - 1])
    return heard[silence - 1] + MAX_AGE, heard[silence], sent
