"""Turns a command into the message that the robot's low-level controller takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.spec import RobotSpec
from robot_bridge.bridge_config import BridgeConfig, OutputConfig
from robot_bridge.middleware.fields import joint_value
from robot_bridge.middleware.messages import (
    Duration,
    Float64MultiArray,
    Header,
    JointState,
    JointTrajectory,
    JointTrajectoryPoint,
    Message,
    Time,
)
from robot_bridge.middleware.transport import Transport

Send = Callable[[NDArray[np.float64]], None]


def command_sender(spec: RobotSpec, config: OutputConfig, transport: Transport) -> Send:
    """A function that publishes a command, (action_dim,), in the order that the robot's low-level controller wants."""
    order = [spec.action_names.index(name) for name in config.order or spec.action_names]
    if config.type == Float64MultiArray.ros_type:
        send_array = transport.publisher(config.topic, Float64MultiArray)
        return lambda command: send_array(Float64MultiArray(data=command[order].tolist()))
    if config.type == JointState.ros_type:
        return _joint_state_sender(order, config, transport)
    send_trajectory = transport.publisher(config.topic, JointTrajectory)
    fraction, whole = math.modf(spec.dt)
    in_one_period = Duration(int(whole), round(fraction * 1e9))

    def send(command: NDArray[np.float64]) -> None:
        point = JointTrajectoryPoint(positions=command[order].tolist(), time_from_start=in_one_period)
        send_trajectory(JointTrajectory(Header(Time.of(transport.now())), list(config.joints), [point]))

    return send


def _joint_state_sender(order: list[int], config: OutputConfig, transport: Transport) -> Send:
    send_joints = transport.publisher(config.topic, JointState)

    def send(command: NDArray[np.float64]) -> None:
        message = JointState(Header(Time.of(transport.now())), list(config.joints))
        setattr(message, config.field, command[order].tolist())
        send_joints(message)

    return send


def command_values(message: Message) -> list[float]:
    """The numbers of a command's message, in the order of the low-level controller; none if it is no command."""
    if isinstance(message, Float64MultiArray):
        return message.data
    if isinstance(message, JointState):
        # exactly one of the fields is commanded
        given = [values for values in (message.position, message.velocity, message.effort) if values]
        return given[0] if len(given) == 1 and len(given[0]) == len(message.name) else []
    if isinstance(message, JointTrajectory) and message.points:
        return message.points[-1].positions
    return []


def command_row(spec: RobotSpec, output: OutputConfig) -> Callable[[Message], list[float]]:
    """Reads a command in the spec's order by the names in the message; the inverse of `command_sender`.

    The result is all NaN for a message that is no command, such as a trajectory of several points.
    """
    order = output.order or spec.action_names
    places = [order.index(name) for name in spec.action_names]
    no_command = [math.nan] * spec.action_dim

    def row(message: Message) -> list[float]:
        if isinstance(message, JointState):
            values = [joint_value(message, output.field, joint) for joint in output.joints]
        elif not isinstance(message, JointTrajectory):
            values = list(getattr(message, "data", ()))
        else:
            values = _point(message, output.joints)
        return [values[place] for place in places] if len(values) == len(order) else no_command

    return row


def _point(message: JointTrajectory, joints: Sequence[str]) -> list[float]:
    """The positions of these joints in a trajectory of one point; none if there are more points, or not all of these joints."""
    if len(message.points) != 1:
        return []
    positions = message.points[0].positions
    is_whole = set(joints) <= set(message.joint_names[: len(positions)])
    return [positions[message.joint_names.index(joint)] for joint in joints] if is_whole else []


def present_positions(config: BridgeConfig, spec: RobotSpec, values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The present positions of position-controlled joints, in the order of the actions, (action_dim,).

    The result is None for commands that are not positions: such a robot rests at zero, wherever its joints are.

    Args:
        config: the bridge file.
        spec: the robot's channels.
        values: the newest observation, (obs_dim,).
    """
    if not config.output.is_position:
        return None
    positions = {s.joint: values[spec.obs_index(name)] for name, s in config.obs.items() if s.field == "position" and s.joint}
    joints = dict(zip(config.output.order or spec.action_names, config.output.joints, strict=True))
    return np.array([positions[joints[name]] for name in spec.action_names])
