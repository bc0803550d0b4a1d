"""Messages in which drivers say how a robot is: its battery, its temperatures, its loads.

`sensor_msgs` and `std_msgs` are those of common_interfaces, `control_msgs` is that of ros2_control, whose joint_state_broadcaster
publishes all that a joint measures on `/dynamic_joint_states`: temperatures and currents, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

from robot_bridge.middleware.messages import (
    DiagnosticArray,
    Float32,
    Float64,
    Float64MultiArray,
    Header,
    Imu,
    JointState,
    Message,
    Octet,
    Odometry,
    WrenchStamped,
)


class PowerSupplyStatus(IntEnum):
    """What a battery does, in the numbers of `BatteryState.power_supply_status`."""

    UNKNOWN = 0
    CHARGING = 1
    DISCHARGING = 2
    NOT_CHARGING = 3
    FULL = 4


class PowerSupplyHealth(IntEnum):
    """How a battery is, in the numbers of `BatteryState.power_supply_health`."""

    UNKNOWN = 0
    GOOD = 1
    OVERHEAT = 2
    DEAD = 3
    OVERVOLTAGE = 4
    UNSPEC_FAILURE = 5
    COLD = 6
    WATCHDOG_TIMER_EXPIRE = 7
    SAFETY_TIMER_EXPIRE = 8


class PowerSupplyTechnology(IntEnum):
    """What a battery is made of, in the numbers of `BatteryState.power_supply_technology`."""

    UNKNOWN = 0
    NIMH = 1
    LION = 2
    LIPO = 3
    LIFE = 4
    NICD = 5
    LIMN = 6
    TERNARY = 7
    VRLA = 8


@dataclass
class BatteryState(Message):
    """State of a battery. What is not measured is NaN, a discharging current is negative, and `percentage` is from 0 to 1."""

    ros_type: ClassVar[str] = "sensor_msgs/msg/BatteryState"
    header: Header = field(default_factory=Header)
    voltage: Float32 = 0.0
    temperature: Float32 = 0.0
    current: Float32 = 0.0
    charge: Float32 = 0.0
    capacity: Float32 = 0.0
    design_capacity: Float32 = 0.0
    percentage: Float32 = 0.0
    power_supply_status: Octet = PowerSupplyStatus.UNKNOWN
    power_supply_health: Octet = PowerSupplyHealth.UNKNOWN
    power_supply_technology: Octet = PowerSupplyTechnology.UNKNOWN
    present: bool = False
    cell_voltage: list[Float32] = field(default_factory=list)
    cell_temperature: list[Float32] = field(default_factory=list)
    location: str = ""
    serial_number: str = ""


@dataclass
class Temperature(Message):
    """One temperature [degrees Celsius]; the frame of the header says of what."""

    ros_type: ClassVar[str] = "sensor_msgs/msg/Temperature"
    header: Header = field(default_factory=Header)
    temperature: Float64 = 0.0
    variance: Float64 = 0.0


@dataclass
class InterfaceValue(Message):
    """The named values of one joint, for example `temperature`."""

    ros_type: ClassVar[str] = "control_msgs/msg/InterfaceValue"
    interface_names: list[str] = field(default_factory=list)
    values: list[Float64] = field(default_factory=list)


@dataclass
class DynamicJointState(Message):
    """All that joints measure, whatever its name is."""

    ros_type: ClassVar[str] = "control_msgs/msg/DynamicJointState"
    header: Header = field(default_factory=Header)
    joint_names: list[str] = field(default_factory=list)
    interface_values: list[InterfaceValue] = field(default_factory=list)


@dataclass
class Float32Message(Message):
    """One number."""

    ros_type: ClassVar[str] = "std_msgs/msg/Float32"
    data: Float32 = 0.0


@dataclass
class Float64Message(Message):
    """One number."""

    ros_type: ClassVar[str] = "std_msgs/msg/Float64"
    data: Float64 = 0.0


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
        Float32Message,
        Float64Message,
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
