"""The example for LeRobot: its units, its policy behind the supervisor, its driver on topics, and LeRobot's own classes."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_bridge.middleware.messages import Float64MultiArray, JointState
from robot_bridge.safety.states import State
from tests.bridge.loop_parts import Clock
from tests.bridge.recorded import Loopback
from tests.menagerie import write_stand_ins

pytest.importorskip("mujoco_menagerie", reason="needs the extra 'menagerie'")
FOLDER = Path(__file__).resolve().parents[2] / "examples" / "lerobot"
sys.path.insert(0, str(FOLDER))
try:
    import control
    import driver
    import joints
    import policy
    import simulated_arm
finally:
    sys.path.remove(str(FOLDER))

NAMES = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")


class Arm(SimpleNamespace):
    """A policy of an untrained checkpoint, and a clock that the test moves."""

    policy: Any
    clock: Clock


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENAGERIE_ROOT", str(write_stand_ins(tmp_path / "menagerie")))


@pytest.fixture
def arm(stand_in: None, tmp_path: Path, make_checkpoint: Callable[..., Path]) -> Arm:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", robot=str(FOLDER / "robot.yaml"))
    bridge = tmp_path / "bridge.yaml"
    text = (FOLDER / "bridge.yaml").read_text()
    bridge.write_text(re.sub(r"^checkpoint: .*$", f"checkpoint: {checkpoint}", text, flags=re.M))
    clock = Clock()
    return Arm(policy=policy.AdaptivePolicy(bridge, clock=clock), clock=clock)


def observation(degrees: float = 10.0, **others: float) -> dict[str, float]:
    return {**{f"{name}.pos": degrees for name in NAMES}, **{f"{name}.pos": value for name, value in others.items()}}


# --- units --------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=2), st.floats(-1, 1))
def test_angles_come_back_from_lerobots_units(angles: list[float], offset: float):
    units = joints.JointUnits(("a", "b"), {"a": offset}, reversed_joints=("b",))

    assert units.radians(units.action(angles)) == pytest.approx(angles)


def test_zero_degrees_is_the_offset_and_a_reversed_joint_turns_the_other_way():
    units = joints.JointUnits(("a", "b"), {"a": 0.5}, reversed_joints=("b",))

    assert units.radians({"a.pos": 0.0, "b.pos": 90.0, "camera": None}) == pytest.approx([0.5, -math.pi / 2])
    assert math.isnan(units.radians({"a.pos": 0.0})[1])


def test_velocities_are_smoothed_differences():
    velocities = joints.Velocities()

    assert velocities(1.0, [0.0]) == [0.0]
    assert velocities(1.1, [0.2]) == pytest.approx([1.0])
    assert velocities(1.2, [0.4]) == pytest.approx([1.5])


# --- the policy ---------------------------------------------------------------------------------------------------------------


def test_the_first_action_is_where_the_joints_are_and_it_moves_no_faster_than_allowed(arm: Arm):
    limit = math.degrees(3.0 * arm.policy.dt)
    last = observation()
    for _ in range(20):
        action = arm.policy.select_action(last)
        assert list(action) == [f"{name}.pos" for name in NAMES]
        assert all(abs(action[name] - last[name]) <= limit + 1e-6 for name in last)
        last, arm.clock.now = action, arm.clock.now + arm.policy.dt

    assert arm.policy.state in (State.RAMP, State.RUNNING)
    assert arm.policy.faults == ()


def test_a_joint_that_is_missing_holds_the_arm(arm: Arm):
    arm.policy.select_action(observation())
    arm.clock.now += arm.policy.dt
    before = arm.policy.select_action(observation())
    arm.clock.now += arm.policy.dt
    without = {name: value for name, value in observation().items() if name != "elbow_flex.pos"}

    action = arm.policy.select_action(without)

    assert arm.policy.state is State.HOLD
    assert any("elbow_flex_angle" in fault for fault in arm.policy.faults)
    assert action == pytest.approx(before, abs=math.degrees(3.0 * arm.policy.dt))


def test_an_arm_beyond_its_limits_is_held(arm: Arm):
    arm.policy.select_action(observation())
    arm.clock.now += arm.policy.dt

    arm.policy.select_action(observation(elbow_flex=170.0))

    assert arm.policy.state is State.HOLD


def test_reset_begins_an_episode(arm: Arm):
    arm.policy.select_action(observation(elbow_flex=170.0))
    assert arm.policy.faults

    arm.policy.reset()

    arm.clock.now += 1.0
    arm.policy.select_action(observation())
    assert arm.policy.faults == ()
    assert arm.policy.state is State.RAMP


def test_what_the_robot_really_sent_is_what_is_learned_from(arm: Arm, monkeypatch: pytest.MonkeyPatch):
    seen: list[Any] = []
    step = arm.policy._controller.step
    monkeypatch.setattr(
        arm.policy._controller, "step", lambda obs, goal, options: seen.append(options.sent) or step(obs, goal, options)
    )

    arm.policy.select_action(observation())
    arm.policy.note_sent(observation(12.0))
    arm.clock.now += arm.policy.dt
    arm.policy.select_action(observation())

    assert seen[1] == pytest.approx(np.full(5, math.radians(12.0)))


def test_an_episode_runs_between_get_observation_and_send_action(arm: Arm):
    robot = simulated_arm.SimulatedArm(steps=30, seed=1, max_relative_target=20.0)

    def wait(step: int) -> None:
        arm.clock.now = 1.0 + step * arm.policy.dt

    seen = control.control(robot, arm.policy, 25, wait)

    assert len(seen) == 25
    assert set(seen[0]) == set(robot.observation_features) == set(robot.action_features)
    assert seen[0] != seen[-1]
    assert not robot.is_connected
    with pytest.raises(ConnectionError):
        robot.get_observation()


# --- the driver ---------------------------------------------------------------------------------------------------------------


def test_the_driver_publishes_joints_and_sends_fresh_commands_only(stand_in: None):
    clock = Clock()
    transport = Loopback(clock)
    robot = simulated_arm.SimulatedArm(steps=30)
    robot.connect()
    sent: list[dict[str, float]] = []
    original = robot.send_action
    robot.send_action = lambda action: sent.append(action) or original(action)
    heard: list[JointState] = []
    transport.subscribe("/joint_states", JointState, lambda message, received: heard.append(message))
    carried = driver.Driver(robot, transport, now=clock)
    command = transport.publisher("/forward_position_controller/commands", Float64MultiArray)

    carried.step()
    command(Float64MultiArray(data=[0.1] * 5))
    command(Float64MultiArray(data=[0.1] * 4))
    command(Float64MultiArray(data=[math.nan] * 5))
    clock.now += 0.1
    carried.step()
    clock.now += 1.0
    carried.step()

    assert heard[0].name == list(NAMES)
    assert carried.refused == 2
    assert [action["elbow_flex.pos"] for action in sent] == pytest.approx([math.degrees(0.1)])
    assert len(heard) == 3


# --- LeRobot itself -----------------------------------------------------------------------------------------------------------


def test_it_is_a_robot_of_lerobot(arm: Arm, tmp_path: Path):
    pytest.importorskip(
        "lerobot", reason="LeRobot is not installed; it pins another torch, so that it is no extra of this project"
    )
    from lerobot.robots.robot import Robot

    sys.path.insert(0, str(FOLDER))
    try:
        import lerobot_robot
    finally:
        sys.path.remove(str(FOLDER))
    config = lerobot_robot.SimulatedSO101Config(id="test", calibration_dir=tmp_path, steps=40)
    robot = lerobot_robot.SimulatedSO101(config)

    def wait(step: int) -> None:
        arm.clock.now = 1.0 + step * arm.policy.dt

    assert isinstance(robot, Robot)
    assert config.type == "simulated_so101"
    with robot:
        assert robot.is_connected
    assert len(control.control(robot, arm.policy, 20, wait)) == 20
