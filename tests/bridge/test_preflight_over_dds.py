"""The command `preflight` and a simulated robot over real sockets, with a relay between them that breaks what it passes on."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adaptive_mbrl import cli
from adaptive_mbrl.checkpoint import load_checkpoint
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import Float64MultiArray

ROOT = Path(__file__).resolve().parents[2]
RELAY = Path(__file__).with_name("relay.py")
DOMAIN = 20 + os.getpid() % 40
PATIENCE = 90
JOINTS = ("shoulder_yaw", "shoulder_pitch", "upper_arm_roll", "elbow_pitch", "forearm_roll", "wrist_pitch", "wrist_roll")
Checks = dict[str, dict[str, str]]


def write_bridge(path: Path, states: str, commands: str) -> str:
    """The arm behind JointStates, with its hand's place from an array; times are for a busy machine."""
    lines = [
        "checkpoint: arm",
        "inputs:",
        f"  joints: {{topic: {states}, type: sensor_msgs/msg/JointState}}",
        "  hand: {topic: /hand, type: std_msgs/msg/Float64MultiArray}",
        "obs:",
        *(f"  {j}_angle: {{input: joints, field: position, joint: {j}}}" for j in JOINTS),
        *(f"  {j}_velocity: {{input: joints, field: velocity, joint: {j}}}" for j in JOINTS),
        *(f"  hand_{axis}: {{input: hand, field: data.{i}}}" for i, axis in enumerate("xyz")),
        f"output: {{topic: {commands}}}",
        "goal: {topic: /goal, type: std_msgs/msg/Float64MultiArray, fields: [data.0, data.1, data.2], initial: [0.4, 0, 1]}",
        f"safety: {{rate_limits: {{{', '.join(f'{j}: 10.0' for j in JOINTS)}}}, max_age: 5.0, ramp_seconds: 0.1}}",
    ]
    path.write_text("\n".join(lines))
    return str(path)


@contextmanager
def robot(folder: Path, *, domain: int, commands: str) -> Iterator[None]:
    """A simulated arm on /joint_states."""
    bridge, scenario = write_bridge(folder / "robot.yaml", "/joint_states", commands), folder / "scenario.yaml"
    scenario.write_text("robot: arm\nsteps: 5000\n")
    arguments = ["simulated-robot", "--bridge", bridge, "--scenario", str(scenario), "--command-timeout", "5", "--seed", "0"]
    with started(sys.executable, "-m", "adaptive_mbrl", *arguments, "--domain", str(domain)) as process:
        yield
        process.send_signal(signal.SIGINT)


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has printed a line."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as process:
        try:
            assert process.stdout.readline()
            yield process
        finally:
            if process.poll() is None:
                process.stdin.close()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


@pytest.fixture(scope="module")
def waiting_robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An arm that stands, since nobody commands it, and the relay."""
    folder = tmp_path_factory.mktemp("robot")
    relay = (sys.executable, str(RELAY), str(DOMAIN), "/joint_states", "/commands", *"1234567")
    with robot(folder, domain=DOMAIN, commands="/commands"), started(*relay):
        yield


def preflight(bridge: str, *flags: str, domain: int = DOMAIN, seconds: float = 2.0) -> tuple[int, Checks]:
    report = Path(bridge).with_suffix(".json")
    code = cli.main(
        ["preflight", "--bridge", bridge, "--seconds", str(seconds), "--domain", str(domain), "--json", str(report), *flags]
    )
    content = json.loads(report.read_text())
    assert content["passed"] == (code == 0)
    return code, {check["name"]: check for check in content["checks"]}


def of_verdict(checks: Checks, verdict: str) -> set[str]:
    return {name for name, check in checks.items() if check["verdict"] == verdict}


def test_a_good_robot_passes(waiting_robot: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code, checks = preflight(write_bridge(tmp_path / "bridge.yaml", "/joint_states", "/commands"))

    printed, mistakes = capsys.readouterr()
    assert (code, mistakes) == (0, "")
    assert len(checks) == 6 + 17 + 3
    assert of_verdict(checks, "pass") >= {"topic /joint_states", "stamps of /joint_states", "channel elbow_pitch_angle"}
    # the relay stands ready to command the same robot
    assert of_verdict(checks, "warn") == {"output /commands, others"}
    assert "elbow_pitch_angle" in printed


def test_a_robot_behind_the_relay_passes_without_a_warning(waiting_robot: None, tmp_path: Path):
    code, checks = preflight(write_bridge(tmp_path / "bridge.yaml", "/nothing/joint_states", "/relay/commands"))

    assert code == 0
    assert of_verdict(checks, "warn") | of_verdict(checks, "fail") == set()


@pytest.mark.parametrize(
    ("fault", "check", "measured", "advice"),
    [
        ("type", "topic /type/joint_states", "published as std_msgs/msg/Float64MultiArray", "correct 'type'"),
        ("nothng", "topic /nothng/joint_states", "no message", "did you mean /nothing/joint_states?"),
        # test_preflight.py finds these without sockets
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("renamed", "channel elbow_pitch_angle", "no joint 'elbow_pitch'", "did you mean 'elbow_pitch_joint'?"),
                ("degrees", "channel elbow_pitch_angle", "stds away", "in degrees? the model takes rad"),
                ("frozen", "stamps of /frozen/joint_states", "all zero", "the driver must stamp every message"),
                ("empty", "channel wrist_roll_velocity", "'velocity' is empty", "state interface"),
                ("nan", "channel wrist_roll_angle", "not finite", "sensor"),
                ("slow", "rate of /slow/joint_states", "control 20.0 Hz", "publish at 20 Hz or more"),
            )
        ),
    ],
)
def test_what_is_wrong_is_found(
    waiting_robot: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, check: str, measured: str, advice: str
):
    code, checks = preflight(write_bridge(tmp_path / "bridge.yaml", f"/{fault}/joint_states", "/commands"))

    assert code == 2
    assert checks[check]["verdict"] == "fail"
    assert measured in checks[check]["measured"]
    assert advice in checks[check]["advice"]
    mistakes = capsys.readouterr().err
    assert mistakes.startswith("error: preflight: ")
    assert check in mistakes
    assert mistakes.count("\n") == 1


@pytest.mark.slow
def test_commands_that_nobody_takes_are_found(waiting_robot: None, tmp_path: Path):
    code, checks = preflight(write_bridge(tmp_path / "bridge.yaml", "/joint_states", "/comands"))

    assert code == 2
    assert of_verdict(checks, "fail") == {"output /comands"}
    assert "did you mean /commands?" in checks["output /comands"]["advice"]


@pytest.mark.parametrize(
    ("states", "verdict", "measured"),
    [
        ("/joint_states", "fail", "not made: somebody else sends commands"),
        pytest.param("/empty/joint_states", "warn", "not made", marks=pytest.mark.slow),
    ],
)
def test_a_robot_that_fails_or_that_others_command_is_not_moved(
    waiting_robot: None, tmp_path: Path, states: str, verdict: str, measured: str
):
    code, checks = preflight(write_bridge(tmp_path / "bridge.yaml", states, "/commands"), "--test-motion", "--yes")

    assert code == 2
    assert (checks["test motion"]["verdict"], checks["test motion"]["measured"]) == (verdict, measured)


def test_without_a_terminal_a_motion_needs_yes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bridge = write_bridge(tmp_path / "bridge.yaml", "/joint_states", "/commands")

    assert cli.main(["preflight", "--bridge", bridge, "--test-motion", "--domain", str(DOMAIN)]) == 2
    assert capsys.readouterr().err == "error: --test-motion: no terminal to ask on; give --yes if the robot may move\n"


def test_at_a_terminal_the_motion_is_asked_for(
    waiting_robot: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    keyboard, terminal = pty.openpty()
    os.write(keyboard, b"\n")
    bridge = write_bridge(tmp_path / "bridge.yaml", "/nothing/joint_states", "/relay/commands")
    with os.fdopen(terminal) as stdin, os.fdopen(keyboard):
        monkeypatch.setattr(sys, "stdin", stdin)
        code, checks = preflight(bridge, "--test-motion")

    assert code == 0
    assert checks["test motion"]["measured"] == "not made: not confirmed"
    assert "up and down by 5 % of their range" in capsys.readouterr().out


def test_the_joints_of_this_file_are_those_of_the_checkpoint():
    assert load_checkpoint("arm").description.spec.action_names == JOINTS


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_motion_at_rest(tmp_path: Path, number: signal.Signals):
    domain = DOMAIN + (120 if number is signal.SIGINT else 160)
    bridge = write_bridge(tmp_path / "bridge.yaml", "/joint_states", "/commands")
    commands, moving = [], threading.Event()

    def receive(message: Float64MultiArray, received: float) -> None:
        commands.append(message.data)
        if any(message.data):
            moving.set()

    transport = DdsTransport(domain)
    transport.subscribe("/commands", Float64MultiArray, receive, reliable=True)
    arguments = ["preflight", "--bridge", bridge, "--seconds", "2", "--test-motion", "--yes", "--domain", str(domain)]
    with (
        robot(tmp_path, domain=domain, commands="/commands"),
        subprocess.Popen(
            [sys.executable, "-m", "adaptive_mbrl", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            assert moving.wait(PATIENCE)
            process.send_signal(number)
            printed, mistakes = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    transport.close()

    assert (process.returncode, printed, mistakes) == (130, "", "interrupted\n")
    assert len(commands) < 300  # of some 600
    assert not any(commands[-1])


@pytest.mark.slow
def test_the_motion_of_a_good_arm_passes(tmp_path: Path):
    domain = DOMAIN + 40
    with robot(tmp_path, domain=domain, commands="/commands"):
        code, checks = preflight(
            write_bridge(tmp_path / "bridge.yaml", "/joint_states", "/commands"), "--test-motion", "--yes", domain=domain
        )

    assert of_verdict(checks, "fail") == set()
    assert code == 0
    moved = {f"motion of {j}" for j in JOINTS}
    assert moved <= set(checks)
    # the upper arm sags by itself under gravity, which may hide a small pulse
    assert len(moved & of_verdict(checks, "pass")) >= 6


@pytest.mark.slow
def test_swapped_and_inverted_outputs_are_found_by_moving(tmp_path: Path):
    domain = DOMAIN + 80
    relay = (sys.executable, str(RELAY), str(domain), "/joint_states", "/commands", *"1 2 3 -4 5 7 6".split())
    with robot(tmp_path, domain=domain, commands="/commands"), started(*relay):
        code, checks = preflight(
            write_bridge(tmp_path / "bridge.yaml", "/joint_states", "/relay/commands"), "--test-motion", "--yes", domain=domain
        )

    assert code == 2
    assert of_verdict(checks, "fail") == {"motion of elbow_pitch", "motion of wrist_pitch", "motion of wrist_roll"}
    assert checks["motion of elbow_pitch"]["measured"].startswith("sign inverted: ")
    assert checks["motion of wrist_pitch"]["measured"].startswith("responds like wrist_roll: ")
    assert checks["motion of wrist_roll"]["measured"].startswith("responds like wrist_pitch: ")
    assert "output.order" in checks["motion of wrist_roll"]["advice"]
