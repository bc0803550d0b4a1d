"""What colcon makes of the repository: a package that `ros2 run` and `ros2 launch` find."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.ros.robot import NO_ROS, ROOT
from tests.ros.workspace import NO_COLCON, Workspace

pytest.importorskip("rclpy", reason=NO_ROS)
pytestmark = [pytest.mark.ros, NO_COLCON]


@pytest.fixture(scope="module", params=[(), ("--symlink-install",)], ids=["copied", "symlinked"])
def workspace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Built twice."""
    return Workspace.build(tmp_path_factory.mktemp("colcon"), *request.param)


def test_nothing_is_warned_of(workspace: Workspace):
    assert "1 package finished" in workspace.output
    assert "stderr" not in workspace.output
    assert (workspace.folder / "log/latest_build/adaptive_mbrl/stderr.log").read_text() == ""


def test_what_ros_2_looks_for_is_there(workspace: Workspace):
    prefix = workspace.folder / "install/adaptive_mbrl"
    share = prefix / "share/adaptive_mbrl"
    wanted = {p.relative_to(ROOT) for folder in ("launch", "configs") for p in (ROOT / folder).rglob("*.*") if p.is_file()}

    assert {p.name for p in (prefix / "lib/adaptive_mbrl").iterdir()} == {"adaptive-mbrl", "adaptive_mpc", "simulated_robot"}
    for script in (prefix / "lib/adaptive_mbrl").iterdir():
        assert os.access(script, os.X_OK)
        assert script.read_text().startswith("#!/usr/bin/env python3\n")
    assert Path("launch/sim.launch.py") in wanted
    assert {p for p in wanted if "__pycache__" not in p.parts and not (share / p).is_file()} == set()


def test_an_installed_package_finds_its_robots_and_checkpoints(workspace: Workspace):
    code = (
        "import sim.paths as p; from pathlib import Path; from adaptive_mbrl.checkpoint import load_checkpoint;"
        "from sim.robot.robot import load_robot;"
        "print(p.__file__); print(len(p.known_configs('scenarios')), load_robot('half_cheetah').spec.obs_dim,"
        "load_checkpoint('arm').description.spec.name)"
    )

    told = workspace.run("python3", "-c", code)

    scenarios = len(list((ROOT / "configs/scenarios").rglob("*.yaml")))
    assert told.returncode == 0, told.stderr
    found, counted = told.stdout.splitlines()
    assert found.startswith(str(workspace.folder))
    assert counted == f"{scenarios} 18 arm"


@pytest.mark.parametrize("executable", ["adaptive-mbrl", "simulated_robot"])
def test_executables_run(workspace: Workspace, executable: str):
    told = workspace.run("ros2", "run", "adaptive_mbrl", executable, "--help")

    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("usage: adaptive-mbrl")


@pytest.mark.parametrize("launch", ["sim", "robot", "hil"])
def test_every_launch_argument_is_described(workspace: Workspace, launch: str):
    told = workspace.run("ros2", "launch", "adaptive_mbrl", f"{launch}.launch.py", "--show-args")

    assert (told.returncode, told.stderr) == (0, "")
    arguments = [line.strip().strip("':") for line in told.stdout.splitlines() if line.strip().startswith("'")]
    common = ["bridge", "activate", "dry_run", "device", "deadline", "preflight_seconds", "record"]
    common += ["realtime", "cpus", "standby", "memory_limit", "namespace", "use_sim_time"]
    robot = ["scenario", "seed", "imperfections", "report"]
    assert arguments == {"sim": common + robot, "robot": common, "hil": ["role", "interface", *common, *robot]}[launch]
    assert "no description given" not in told.stdout
    assert "deprecated" not in told.stdout
