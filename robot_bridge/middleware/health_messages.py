"""Messages in which drivers say how a robot is: its battery, its temperatures, its loads.

`sensor_msgs` and `std_msgs` are those of common_interfaces, `control_msgs` is that of ros2_control, whose joint_state_broadcaster
publishes all that a joint measures on `/dynamic_joint_states`: temperatures and currents, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from robot_bridge.middleware import wire_types as wire
from robot_bridge.middleware.messages import (
    BatteryState,
    DiagnosticArray,
    Float32,
    Float64,
    Float64MultiArray,
    Header,
    Imu,
    JointState,
    Message,
    Odometry,
    Temperature,
    WrenchStamped,
)


@dataclass
class InterfaceValue(Message):
    """The named values of one joint, for example `temperature`."""

    ros_type: ClassVar[str] = "control_msgs/msg/InterfaceValue"
    interface_names: list[str] = field(default_factory=list)
    values: list[wire.Float64] = field(default_factory=list)


@dataclass
class DynamicJointState(Message):
    """All that joints measure, whatever its name is."""

    ros_type: ClassVar[str] = "control_msgs/msg/DynamicJointState"
    header: Header = field(default_factory=Header)
    joint_names: list[str] = field(default_factory=list)
    interface_values: list[InterfaceValue] = field(default_factory=list)


HEALTH_MESSAGES: dict[str, type[Message]] = {
    cls.ros_type: cls
    for cls in (
        BatteryState,
        Temperature,
        DynamicJointState,
        DiagnosticArray,
        JointState,
        Imu,
        Odometry,
        WrenchStamped,
        Float32,
        Float64,
        Float64MultiArray,
    )
}
"""Messages that a monitor may read."""
CONTROL_MSGS = {
    "control_msgs/msg/InterfaceValue": "string[] interface_names\nfloat64[] values\n",
    "control_msgs/msg/DynamicJointState": (
        "std_msgs/Header header\nstring[] joint_names\ncontrol_msgs/InterfaceValue[] interface_values\n"
    ),
}
"""Definitions of the messages here that are not in ROS 2's common interfaces, for recordings."""
