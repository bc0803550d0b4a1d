"""The sub-command `simulated-robot` over real sockets, with the shipped bridge files and a plain sender of commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl import cli
from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.control.inputs import GoalReader, Inputs
from robot_bridge.control.outputs import command_sender
from robot_bridge.middleware.dds import DdsTransport
from sim.robot.robot import load_robot

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = 20 + os.getpid() % 40
PATIENCE = 60
"""Seconds for what takes about five."""


@pytest.fixture
def transport() -> Iterator[DdsTransport]:
    transport = DdsTransport(DOMAIN)
    yield transport
    transport.close()


def words(robot: str, tmp_path: Path, *arguments: str) -> list[str]:
    """The command's words."""
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(f"robot: {robot}\nsteps: 30\nseed: 4\nchanges:\n  - {{at: 10, actuator_gain: 0.5}}\n")
    files = ["--bridge", str(bridge_file(robot)), "--scenario", str(scenario), "--domain", str(DOMAIN)]
    return ["simulated-robot", *files, *arguments]


def start(robot: str, tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "adaptive_mbrl", *words(robot, tmp_path, *arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def bridge_file(robot: str) -> Path:
    return ROOT / "configs" / "bridge" / f"{robot}.yaml"


@pytest.mark.parametrize("name", [pytest.param("half_cheetah", marks=pytest.mark.slow), "arm"])
def test_a_robot_over_real_sockets(name: str, tmp_path: Path, transport: DdsTransport):
    robot, config = load_robot(name), load_bridge_config(bridge_file(name))
    inputs, send = Inputs(robot.spec, config, transport), command_sender(robot.spec, config.output, transport)
    goal = None if config.goal is None else GoalReader(config.goal, transport, robot.spec.dt, horizon=5)
    out = tmp_path / "out" / "report.json"
    imperfections = ROOT / "configs" / "simulated_robot" / "realistic.yaml"
    seen, waiting = [], threading.Event()

    with start(name, tmp_path, "--json", str(out), "--imperfections", str(imperfections)) as process:
        for _ in range(int(PATIENCE / 0.02)):
            observed = inputs.snapshot()
            if np.isfinite(observed.values).all():
                seen.append(observed.values)
                send(np.full(robot.spec.action_dim, 0.3))
            if process.poll() is not None:
                break
            waiting.wait(0.02)
        printed, mistakes = process.communicate(timeout=PATIENCE)

    assert process.returncode == 0, mistakes
    report = json.loads(out.read_text())
    assert report["steps"] == 30
    assert report["commands"] > 10
    assert report["scenario"]["changes"] == [{"at": 10, "actuator_gain": 0.5}]
    assert printed.splitlines()[-1].startswith(f"30 steps, {report['commands']} commands, return {report['return']:.1f}, ")
    # it stood where the seed says, up to the sensors' noise, and then it moved
    angles = [i for i, channel in enumerate(robot.spec.obs) if channel.unit == "rad"]
    standing = robot.initial.sample(4)[0]
    assert np.abs(np.sort(seen[0][angles]) - np.sort(standing[-len(angles) :])).max() < 0.02
    assert np.abs(seen[-1][angles] - seen[0][angles]).max() > 0.1
    if goal is not None:
        assert goal(time.monotonic()) == pytest.approx(robot.goals(4, 30)[-1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rate", "500"], "--rate: 500 is out of range; allowed: at most 100, the physics rate of 'half_cheetah'"),
        (["--json", "/dev/null/report.json"], "--json: /dev/null/report.json cannot be written; allowed: "),
        (["--imperfections", "nowhere.yaml"], "nowhere.yaml: cannot be read: No such file or directory"),
    ],
    ids=["rate", "json", "imperfections"],
)
def test_a_mistake_is_one_line(arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(words("half_cheetah", tmp_path, *arguments)) == 2

    printed, mistakes = capsys.readouterr()
    assert mistakes.startswith(f"error: {message}")
    assert (printed, mistakes.count("\n")) == ("", 1)
