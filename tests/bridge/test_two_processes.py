"""The two commands over a real middleware: a simulated robot in one process, the controller in another."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl import cli
from adaptive_mbrl.data.episodes import EpisodeStore
from robot_bridge.node import commands as node_commands

DOMAIN = str(120 + os.getpid() % 100)
PATIENCE = 90
"""Seconds for what takes about ten."""
BRIDGE = """
checkpoint: {checkpoint}
inputs:
  joints: {{topic: /joint_states, type: sensor_msgs/msg/JointState}}
  imu: {{topic: /imu, type: sensor_msgs/msg/Imu}}
obs:
  cart_position: {{input: joints, field: position, joint: slider}}
  cart_velocity: {{input: joints, field: velocity, joint: slider}}
  pole_angle: {{input: imu, field: orientation.yaw}}
  pole_velocity: {{input: imu, field: angular_velocity.z}}
output: {{topic: /commands}}
safety: {{rate_limits: {{slide: 100.0}}, max_age: 5.0, max_missed_deadlines: 1000, ramp_seconds: 0.1, recovery_seconds: 0.1}}
"""
SCENARIO = """
robot: cartpole
steps: 100
changes:
  - {at: 50, actuator_gain: 0.5}
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "adaptive_mbrl", *arguments, "--domain", DOMAIN]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def files(tmp_path: Path, make_checkpoint: Callable[..., Path]) -> tuple[str, str]:
    bridge, scenario = tmp_path / "bridge.yaml", tmp_path / "scenario.yaml"
    bridge.write_text(BRIDGE.format(checkpoint=make_checkpoint(tmp_path / "checkpoint")))
    scenario.write_text(SCENARIO)
    return str(bridge), str(scenario)


def test_a_controller_and_a_robot_in_two_processes(files: tuple[str, str], tmp_path: Path):
    bridge_file, scenario_file = files
    with start("bridge", "--bridge", bridge_file, "--record", str(tmp_path / "bag")) as bridge:
        try:
            # without a robot it waits at the safe action
            assert bridge.stdout.readline() == f"loading {bridge_file}\n"
            assert re.match(r"a plan takes \d+ ms of a control period of 40 ms", bridge.stdout.readline())
            first = bridge.stdout.readline()
            with start("simulated-robot", "--bridge", bridge_file, "--scenario", scenario_file) as robot:
                report, mistakes = robot.communicate(timeout=PATIENCE)
            assert robot.returncode == 0, mistakes
        finally:
            bridge.send_signal(signal.SIGINT)
            lines, mistakes = bridge.communicate(timeout=PATIENCE)
    assert bridge.returncode == 0, mistakes

    assert first.startswith("hold: ")
    assert "'cart_position' was never received" in first
    assert any(line.startswith("running: ") for line in lines.splitlines())
    *_, last, recorded = lines.splitlines()
    assert last.startswith("inactive: ")
    assert re.fullmatch(rf"{tmp_path}/bag: \d+ messages recorded", recorded)
    steps, commands = re.fullmatch(
        r"waiting for commands on /commands\n(\d+) steps, (\d+) commands, return .*\n", report
    ).groups()
    assert int(steps) == 100
    assert int(commands) > 20

    # what was recorded can be learned from
    arguments = ["--bridge", bridge_file, "--out", str(tmp_path / "episodes"), "--min-steps", "5"]
    assert cli.main(["import-bag", str(tmp_path / "bag"), *arguments]) == 0
    episodes = EpisodeStore.open(tmp_path / "episodes").episodes
    assert sum(map(len, episodes)) > 20
    for episode in episodes:
        # where the cart goes is what its velocity says: the channels belong to the same times
        position, velocity = episode.obs[:, 0], episode.obs[:, 2]
        travelled = 0.04 * (velocity[1:] + velocity[:-1]) / 2
        assert np.median(np.abs(np.diff(position) - travelled)) < 0.1 * np.abs(np.diff(position)).max() + 1e-6


def test_a_bridge_file_with_a_typo_is_one_line(
    files: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    # this process keeps its answers to signals
    monkeypatch.setattr(node_commands, "stop_on_signals", threading.Event)
    bridge_file, _ = files
    path = Path(bridge_file)
    path.write_text(path.read_text().replace("rate_limits: {slide", "rate_limits: {slid"))

    assert cli.main(["bridge", "--bridge", bridge_file, "--domain", DOMAIN]) == 2
    about = "unknown channel 'slid' (did you mean 'slide'?); known channels: slide"
    assert capsys.readouterr().err == f"error: {bridge_file}: key 'safety.rate_limits': {about}\n"


@pytest.mark.slow
def test_two_bridges_that_command_one_robot_say_so(files: tuple[str, str]):
    bridge_file, _ = files

    with start("bridge", "--bridge", bridge_file) as first, start("bridge", "--bridge", bridge_file) as second:
        try:
            lines = [next(line for line in bridge.stdout if "other publisher" in line) for bridge in (first, second)]
        finally:
            for bridge in (first, second):
                bridge.send_signal(signal.SIGINT)
                bridge.communicate(timeout=PATIENCE)

    assert all(line.endswith("; 1 other publisher(s) on /commands\n") for line in lines)


def test_an_interface_that_is_not_there_is_one_line(
    files: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(node_commands, "stop_on_signals", threading.Event)
    bridge_file, _ = files
    # this process has started in the domain of the other tests
    arguments = ["--bridge", bridge_file, "--domain", str(int(DOMAIN) + 1), "--interface", "nowhere0"]

    assert cli.main(["bridge", *arguments]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: --interface: DDS cannot start on 'nowhere0'")
