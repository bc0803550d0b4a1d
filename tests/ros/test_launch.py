"""The launch files, from a built workspace, with real processes and nobody to help them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from robot_bridge.bags.reader import Bag
from robot_bridge.middleware.cyclone import configuration
from tests.ros.robot import NO_ROS, PATIENCE, Files
from tests.ros.workspace import NO_COLCON, Workspace

pytest.importorskip("rclpy", reason=NO_ROS)
pytestmark = [pytest.mark.ros, pytest.mark.slow, NO_COLCON]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Built as usual."""
    return Workspace.build(tmp_path_factory.mktemp("launch"))


def launch(*arguments: str) -> tuple[str, ...]:
    return "ros2", "launch", "adaptive_mbrl", *arguments


def line_of(process: subprocess.Popen[str], wanted: str) -> str:
    """What a launch printed up to a line with these words."""
    printed = ""
    for line in process.stdout:
        printed += line
        if wanted in line:
            return printed
    raise AssertionError(f"ended without '{wanted}':\n{printed}")


def wait_for(workspace: Workspace, process: subprocess.Popen[str], state: str) -> None:
    """Until the controller is in a state of the lifecycle; the launch must not end before."""
    told = ""
    while told.split(" ")[0] != state:
        told = workspace.run("ros2", "lifecycle", "get", "--no-daemon", "/adaptive_mpc").stdout
        assert process.poll() is None, process.communicate()


def interrupted(process: subprocess.Popen[str]) -> str:
    """Ctrl-C, which the terminal sends to every process of the launch; what was printed after it."""
    os.killpg(process.pid, signal.SIGINT)
    printed, mistakes = process.communicate(timeout=PATIENCE)
    return printed + mistakes


def test_a_simulation_runs_to_its_end_by_itself(workspace: Workspace, files: Files, tmp_path: Path):
    report, bag = tmp_path / "report.json", tmp_path / "bag"
    imperfections = "share/adaptive_mbrl/configs/simulated_robot/realistic.yaml"

    told = workspace.run(
        *launch("sim.launch.py", f"bridge:={files.bridge}", f"scenario:={files.scenario}", "device:=cpu", "deadline:=0.8"),
        f"report:={report}",
        f"record:={bag}",
        f"imperfections:={workspace.folder / 'install/adaptive_mbrl' / imperfections}",
    )

    assert told.returncode == 0, told.stdout + told.stderr
    episode = json.loads(report.read_text())
    assert episode["steps"] == 100
    assert episode["commands"] > 20
    assert episode["scenario"]["changes"] == [{"at": 50, "actuator_gain": 0.5}]
    with Bag(bag) as recorded:
        assert set(recorded.topics) >= {"/joint_states", "/commands", "/adaptive_mpc/state"}
    # the controller was not killed, it ended
    assert re.findall(r"\[(\S+)-\d+\]: process has finished cleanly", told.stdout) == ["simulated_robot", "adaptive_mpc"]
    assert "process has died" not in told.stdout + told.stderr


def test_a_simulation_in_a_namespace_has_its_own_topics(workspace: Workspace, files: Files, tmp_path: Path):
    files.bridge.write_text(files.bridge.read_text().replace("/joint_states", "joint_states").replace("/commands", "commands"))
    report, bag = tmp_path / "report.json", tmp_path / "bag"
    arguments = f"bridge:={files.bridge}", f"scenario:={files.scenario}", f"report:={report}", f"record:={bag}"

    told = workspace.run(*launch("sim.launch.py", "namespace:=robot_1", "device:=cpu", *arguments))

    assert told.returncode == 0, told.stdout + told.stderr
    assert json.loads(report.read_text())["commands"] > 20
    with Bag(bag) as recorded:
        assert set(recorded.topics) >= {"/robot_1/joint_states", "/robot_1/commands", "/robot_1/adaptive_mpc/state"}


def test_a_scenario_of_the_package_needs_no_file(workspace: Workspace, files: Files):
    """Ctrl-C in the middle ends both in order."""
    arguments = f"bridge:={files.bridge}", "scenario:=cartpole/mass_gain:test"
    with workspace.start(*launch("sim.launch.py", *arguments)) as process:
        begun = line_of(process, "waiting for commands")
        wait_for(workspace, process, "active")
        rest = interrupted(process)

    assert process.returncode in (0, 130), begun + rest
    assert "Traceback" not in begun + rest
    assert "process has died" not in begun + rest


@pytest.mark.parametrize(
    ("launched", "scenario"), [("robot.launch.py", []), ("sim.launch.py", ["scenario:=cartpole/mass_gain:test"])]
)
def test_a_bridge_file_that_is_wrong_ends_the_launch_with_its_error(
    workspace: Workspace, files: Files, launched: str, scenario: list[str]
):
    files.bridge.write_text(files.bridge.read_text().replace("safety", "saefty"))

    told = workspace.run(*launch(launched, f"bridge:={files.bridge}", *scenario))

    assert told.returncode == 1
    assert f"{files.bridge}: unknown key 'saefty'" in told.stdout + told.stderr
    assert "Traceback" not in told.stdout + told.stderr


def test_a_scenario_that_is_not_there_ends_the_launch_with_its_error(workspace: Workspace, files: Files):
    told = workspace.run(*launch("sim.launch.py", f"bridge:={files.bridge}", "scenario:=nowhere.yaml"))

    assert told.returncode == 1
    assert "error: nowhere.yaml: no such file" in told.stdout + told.stderr
    assert "simulated_robot-1 ended with exit code 2; its error is above" in told.stdout + told.stderr


def test_a_robot_waits_to_be_activated(workspace: Workspace, files: Files):
    with workspace.start(
        *launch("robot.launch.py", f"bridge:={files.bridge}", "device:=cpu", "preflight_seconds:=0.0")
    ) as process:
        begun = line_of(process, "process started with pid")
        wait_for(workspace, process, "inactive")
        activated = workspace.run("ros2", "lifecycle", "set", "--no-daemon", "/adaptive_mpc", "activate")
        rest = interrupted(process)

    assert activated.stdout == "Transitioning successful\n"
    assert "process has finished cleanly" in begun + rest


def test_hardware_in_the_loop_in_two_launches(
    workspace: Workspace, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Both roles on one machine; each takes the interface from its argument, whatever the environment says."""
    report = tmp_path / "report.json"
    common = ("hil.launch.py", "interface:=lo", f"bridge:={files.bridge}")
    monkeypatch.setenv("CYCLONEDDS_URI", configuration("nowhere0"))
    with (
        workspace.start(*launch(*common, "role:=robot", f"scenario:={files.scenario}", f"report:={report}")) as robot,
        workspace.start(*launch(*common, "role:=controller", "activate:=true", "device:=cpu")) as controller,
    ):
        printed, mistakes = robot.communicate(timeout=PATIENCE)
        rest = interrupted(controller)

    assert robot.returncode == 0, printed + mistakes
    assert "adaptive_mpc" not in printed
    assert json.loads(report.read_text())["steps"] == 100
    assert "simulated_robot" not in rest
    assert "process has finished cleanly" in rest
    assert controller.returncode in (0, 130), rest


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("hil.launch.py", "role:=both", "interface:=lo"), "Valid options are: ['controller', 'robot']"),
        (("hil.launch.py", "role:=robot"), "missing required argument 'interface'"),
        (("robot.launch.py",), "missing required argument 'bridge'"),
    ],
)
def test_a_launch_argument_that_is_wrong_is_named(workspace: Workspace, arguments: tuple[str, ...], told: str):
    ended = workspace.run(*launch(*arguments))

    assert ended.returncode == 1
    assert told in ended.stdout + ended.stderr
