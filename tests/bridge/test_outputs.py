"""Commands leave in the controller's order, as the message it takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from robot_bridge.bridge_config import OutputConfig
from robot_bridge.control.outputs import command_sender
from robot_bridge.middleware.messages import Float64MultiArray, JointTrajectory, Message

SPEC = RobotSpec("two", 0.05, (Channel("x", "m"),), (ActionChannel("hip", "N m", -1, 1), ActionChannel("knee", "N m", -1, 1)))


class Wire:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Message]] = []

    def now(self) -> float:
        return 12.5

    def publisher(self, topic: str, message_type: type[Message], *, reliable: bool = True) -> Callable[[Message], None]:
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


def test_a_trajectory_without_joint_names_is_refused():
    with pytest.raises(ConfigError, match="key 'joints': missing"):
        OutputConfig("/trajectory", JointTrajectory.ros_type)
