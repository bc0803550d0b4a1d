"""Commands leave in the controller's order, as the message it takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from robot_bridge.bridge_config import OutputConfig
from robot_bridge.control.outputs import command_row, command_sender, command_values
from robot_bridge.middleware.messages import (
    Float64MultiArray,
    Header,
    JointState,
    JointTrajectory,
    JointTrajectoryPoint,
    Message,
    Time,
)

SPEC = RobotSpec("two", 0.05, (Channel("x", "m"),), (ActionChannel("hip", "N m", -1, 1), ActionChannel("knee", "N m", -1, 1)))


class Wire:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Message]] = []

    def now(self) -> float:
        return 12.5

    def publisher(
        self, topic: str, message_type: type[Message], *, reliable: bool = True, transient_local: bool = False
    ) -> Callable[[Message], None]:
        assert reliable
        return lambda message: self.published.append((topic, message))


def test_an_array_is_in_the_controllers_order():
    wire = Wire()
    send = command_sender(SPEC, OutputConfig("/effort/commands", order=("knee", "hip")), wire)

    send(np.array([0.25, -0.5]))

    assert wire.published == [("/effort/commands", Float64MultiArray(data=[-0.5, 0.25]))]


def test_a_trajectory_names_its_joints_and_lasts_one_period():
    wire = Wire()
    config = OutputConfig("/trajectory", JointTrajectory.ros_type, ("knee", "hip"), ("knee_joint", "hip_joint"))

    command_sender(SPEC, config, wire)(np.array([0.25, -0.5]))

    ((_, message),) = wire.published
    (point,) = message.points
    assert message.joint_names == ["knee_joint", "hip_joint"]
    assert point.positions == [-0.5, 0.25]
    assert (point.time_from_start.sec, point.time_from_start.nanosec) == (0, 50_000_000)
    assert message.header.stamp.seconds == 12.5


@pytest.mark.parametrize("field", ["position", "velocity", "effort"])
def test_a_joint_state_has_a_stamp_and_the_commanded_field_alone(field: str):
    wire = Wire()
    config = OutputConfig("/joint_commands", JointState.ros_type, ("knee", "hip"), ("knee_joint", "hip_joint"), field)

    command_sender(SPEC, config, wire)(np.array([0.25, -0.5]))

    ((_, message),) = wire.published
    expected = JointState(Header(Time.of(12.5)), ["knee_joint", "hip_joint"], **{field: [-0.5, 0.25]})
    assert message == expected
    assert command_values(message) == [-0.5, 0.25]
    assert config.is_position == (field == "position")


@pytest.mark.parametrize(
    "message",
    [JointState(name=["a"]), JointState(position=[0.5]), JointState(name=["a"], position=[0.5], effort=[0.5])],
    ids=["without a value", "without a name", "with two fields"],
)
def test_a_joint_state_that_is_not_clear_is_no_command(message: JointState):
    assert command_values(message) == []


@pytest.mark.parametrize(
    ("kind", "joints"), [(Float64MultiArray, ()), (JointTrajectory, ("a", "b"))], ids=["no joints", "JointTrajectory"]
)
def test_a_field_needs_joints_and_no_trajectory(kind: type[Message], joints: tuple[str, ...]):
    with pytest.raises(ConfigError, match="key 'field': got 'effort'; allowed: with joints, and not with a JointTrajectory"):
        OutputConfig("/commands", kind.ros_type, (), joints, "effort")


def test_a_joint_state_without_joint_names_is_refused():
    with pytest.raises(ConfigError, match="key 'joints': missing; a JointState names its joints"):
        OutputConfig("/commands", JointState.ros_type)


def test_a_trajectory_without_joint_names_is_refused():
    with pytest.raises(ConfigError, match="key 'joints': missing"):
        OutputConfig("/trajectory", JointTrajectory.ros_type)


# --- the other way round ------------------------------------------------------------------------------------------------------

JOINTS = {"order": ("knee", "hip"), "joints": ("knee_joint", "hip_joint")}
STATES = command_row(SPEC, OutputConfig("/joint_commands", JointState.ros_type, field="effort", **JOINTS))
TRAJECTORIES = command_row(SPEC, OutputConfig("/trajectory", JointTrajectory.ros_type, **JOINTS))


@pytest.mark.parametrize("names", [["knee_joint", "hip_joint"], ["hip_joint", "knee_joint"]], ids=" ".join)
def test_a_command_is_read_by_the_names_in_it(names: list[str]):
    values = [{"knee_joint": -0.5, "hip_joint": 0.25}[name] for name in names]

    assert STATES(JointState(name=names, effort=values)) == [0.25, -0.5]
    assert TRAJECTORIES(JointTrajectory(Header(), names, [JointTrajectoryPoint(values)])) == [0.25, -0.5]


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (STATES, JointState(name=["knee_joint", "hip_joint"], position=[0.1, 0.2])),
        (STATES, JointState(name=["knee_joint"], effort=[0.1])),
        (TRAJECTORIES, JointTrajectory(Header(), ["knee_joint"], [JointTrajectoryPoint([0.1])])),
        (TRAJECTORIES, JointTrajectory(Header(), ["knee_joint", "hip_joint"], [JointTrajectoryPoint([0.1, 0.2])] * 2)),
        (command_row(SPEC, OutputConfig("/commands")), Float64MultiArray(data=[0.1])),
    ],
    ids=["another field", "a joint is missing", "a joint is missing in a trajectory", "two points", "too short"],
)
def test_what_is_no_command_for_these_joints_is_not_read(read: Callable, message: Message):
    assert not np.isfinite(read(message)).all()
