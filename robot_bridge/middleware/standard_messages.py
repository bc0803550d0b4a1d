"""Messages of ROS 2's own packages.

This file is generated; do not edit it. The command is:
    python -m robot_bridge.middleware.generate_messages
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from robot_bridge.middleware import wire_types as wire
from robot_bridge.middleware.message import Message, Time

__all__ = [
    "BatteryState",
    "Bool",
    "DiagnosticArray",
    "DiagnosticStatus",
    "Duration",
    "Float32",
    "Float64",
    "Float64MultiArray",
    "Header",
    "Imu",
    "JointState",
    "JointTrajectory",
    "JointTrajectoryPoint",
    "KeyValue",
    "Log",
    "MultiArrayDimension",
    "MultiArrayLayout",
    "Odometry",
    "Point",
    "Pose",
    "PoseStamped",
    "PoseWithCovariance",
    "Quaternion",
    "String",
    "Temperature",
    "Twist",
    "TwistWithCovariance",
    "Vector3",
    "Wrench",
    "WrenchStamped",
]


@dataclass
class Header(Message):
    """Stamp and frame."""

    ros_type: ClassVar[str] = "std_msgs/msg/Header"
    stamp: Time = field(default_factory=Time)
    frame_id: str = ""


@dataclass
class JointState(Message):
    """State of named joints; an interface that a robot does not have is an empty list."""

    ros_type: ClassVar[str] = "sensor_msgs/msg/JointState"
    header: Header = field(default_factory=Header)
    name: list[str] = field(default_factory=list)
    position: list[wire.Float64] = field(default_factory=list)
    velocity: list[wire.Float64] = field(default_factory=list)
    effort: list[wire.Float64] = field(default_factory=list)


@dataclass
class Quaternion(Message):
    """An orientation."""

    ros_type: ClassVar[str] = "geometry_msgs/msg/Quaternion"
    x: wire.Float64 = 0.0
    y: wire.Float64 = 0.0
    z: wire.Float64 = 0.0
    w: wire.Float64 = 1.0


@dataclass
class Vector3(Message):
    """x, y, z."""

    ros_type: ClassVar[str] = "geometry_msgs/msg/Vector3"
    x: wire.Float64 = 0.0
    y: wire.Float64 = 0.0
    z: wire.Float64 = 0.0


@dataclass
class Imu(Message):
    """Orientation, angular velocity [rad/s] and linear acceleration [m/s^2]."""

    ros_type: ClassVar[str] = "sensor_msgs/msg/Imu"
    header: Header = field(default_factory=Header)
    orientation: Quaternion = field(default_factory=Quaternion)
    orientation_covariance: Annotated[list[float], "float64[9]"] = field(default_factory=lambda: [0.0] * 9)
    angular_velocity: Vector3 = field(default_factory=Vector3)
    angular_velocity_covariance: Annotated[list[float], "float64[9]"] = field(default_factory=lambda: [0.0] * 9)
    linear_acceleration: Vector3 = field(default_factory=Vector3)
    linear_acceleration_covariance: Annotated[list[float], "float64[9]"] = field(default_factory=lambda: [0.0] * 9)


@dataclass
class BatteryState(Message):
    """Voltage [V], current [A], charge [Ah] and health of a battery."""

    ros_type: ClassVar[str] = "sensor_msgs/msg/BatteryState"
    POWER_SUPPLY_STATUS_UNKNOWN: ClassVar[int] = 0
    POWER_SUPPLY_STATUS_CHARGING: ClassVar[int] = 1
    POWER_SUPPLY_STATUS_DISCHARGING: ClassVar[int] = 2
    POWER_SUPPLY_STATUS_NOT_CHARGING: ClassVar[int] = 3
    POWER_SUPPLY_STATUS_FULL: ClassVar[int] = 4
    POWER_SUPPLY_HEALTH_UNKNOWN: ClassVar[int] = 0
    POWER_SUPPLY_HEALTH_GOOD: ClassVar[int] = 1
    POWER_SUPPLY_HEALTH_OVERHEAT: ClassVar[int] = 2
    POWER_SUPPLY_HEALTH_DEAD: ClassVar[int] = 3
    POWER_SUPPLY_HEALTH_OVERVOLTAGE: ClassVar[int] = 4
    POWER_SUPPLY_HEALTH_UNSPEC_FAILURE: ClassVar[int] = 5
    POWER_SUPPLY_HEALTH_COLD: ClassVar[int] = 6
    POWER_SUPPLY_HEALTH_WATCHDOG_TIMER_EXPIRE: ClassVar[int] = 7
    POWER_SUPPLY_HEALTH_SAFETY_TIMER_EXPIRE: ClassVar[int] = 8
    POWER_SUPPLY_TECHNOLOGY_UNKNOWN: ClassVar[int] = 0
    POWER_SUPPLY_TECHNOLOGY_NIMH: ClassVar[int] = 1
    POWER_SUPPLY_TECHNOLOGY_LION: ClassVar[int] = 2
    POWER_SUPPLY_TECHNOLOGY_LIPO: ClassVar[int] = 3
    POWER_SUPPLY_TECHNOLOGY_LIFE: ClassVar[int] = 4
    POWER_SUPPLY_TECHNOLOGY_NICD: ClassVar[int] = 5
    POWER_SUPPLY_TECHNOLOGY_LIMN: ClassVar[int] = 6
    POWER_SUPPLY_TECHNOLOGY_TERNARY: ClassVar[int] = 7
    POWER_SUPPLY_TECHNOLOGY_VRLA: ClassVar[int] = 8
    header: Header = field(default_factory=Header)
    voltage: wire.Float32 = 0.0
    temperature: wire.Float32 = 0.0
    current: wire.Float32 = 0.0
    charge: wire.Float32 = 0.0
    capacity: wire.Float32 = 0.0
    design_capacity: wire.Float32 = 0.0
    percentage: wire.Float32 = 0.0
    power_supply_status: wire.UInt8 = 0
    power_supply_health: wire.UInt8 = 0
    power_supply_technology: wire.UInt8 = 0
    present: bool = False
    cell_voltage: list[wire.Float32] = field(default_factory=list)
    cell_temperature: list[wire.Float32] = field(default_factory=list)
    location: str = ""
    serial_number: str = ""


@dataclass
class Temperature(Message):
    """A temperature [deg C]."""

    ros_type: ClassVar[str] = "sensor_msgs/msg/Temperature"
    header: Header = field(default_factory=Header)
    temperature: wire.Float64 = 0.0
    variance: wire.Float64 = 0.0


@dataclass
class Point(Message):
    """A position [m]."""

    ros_type: ClassVar[str] = "geometry_msgs/msg/Point"
    x: wire.Float64 = 0.0
    y: wire.Float64 = 0.0
    z: wire.Float64 = 0.0


@dataclass
class Pose(Message):
    """Position and orientation."""

    ros_type: ClassVar[str] = "geometry_msgs/msg/Pose"
    position: Point = field(default_factory=Point)
    orientation: Quaternion = field(default_factory=Quaternion)


@dataclass
class PoseWithCovariance(Message):
    """A pose and its uncertainty."""

    ros_type: ClassVar[str] = "geometry_msgs/msg/PoseWithCovariance"
    pose: Pose = field(default_factory=Pose)
    covariance: Annotated[list[float], "float64[36]"] = field(default_factory=lambda: [0.0] * 36)


@dataclass
class Twist(Message):
    """Linear [m/s] and angular velocity [rad/s]."""

    ros_type: ClassVar[str] = "geometry_msgs/msg/Twist"
    linear: Vector3 = field(default_factory=Vector3)
    angular: Vector3 = field(default_factory=Vector3)


@dataclass
class TwistWithCovariance(Message):
    """A twist and its uncertainty."""

    ros_type: ClassVar[str] = "geometry_msgs/msg/TwistWithCovariance"
    twist: Twist = field(default_factory=Twist)
    covariance: Annotated[list[float], "float64[36]"] = field(default_factory=lambda: [0.0] * 36)


@dataclass
class Odometry(Message):
    """Pose in `header.frame_id`, twist in `child_frame_id`."""

    ros_type: ClassVar[str] = "nav_msgs/msg/Odometry"
    header: Header = field(default_factory=Header)
    child_frame_id: str = ""
    pose: PoseWithCovariance = field(default_factory=PoseWithCovariance)
    twist: TwistWithCovariance = field(default_factory=TwistWithCovariance)


@dataclass
class PoseStamped(Message):
    """A pose at a time, such as that of an arm's tool."""

    ros_type: ClassVar[str] = "geometry_msgs/msg/PoseStamped"
    header: Header = field(default_factory=Header)
    pose: Pose = field(default_factory=Pose)


@dataclass
class Wrench(Message):
    """Force [N] and torque [N m]."""

    ros_type: ClassVar[str] = "geometry_msgs/msg/Wrench"
    force: Vector3 = field(default_factory=Vector3)
    torque: Vector3 = field(default_factory=Vector3)


@dataclass
class WrenchStamped(Message):
    """The measurement of a force-torque sensor."""

    ros_type: ClassVar[str] = "geometry_msgs/msg/WrenchStamped"
    header: Header = field(default_factory=Header)
    wrench: Wrench = field(default_factory=Wrench)


@dataclass
class MultiArrayDimension(Message):
    """One axis of an array."""

    ros_type: ClassVar[str] = "std_msgs/msg/MultiArrayDimension"
    label: str = ""
    size: wire.UInt32 = 0
    stride: wire.UInt32 = 0


@dataclass
class MultiArrayLayout(Message):
    """Axes of an array."""

    ros_type: ClassVar[str] = "std_msgs/msg/MultiArrayLayout"
    dim: list[MultiArrayDimension] = field(default_factory=list)
    data_offset: wire.UInt32 = 0


@dataclass
class Float64MultiArray(Message):
    """An array of numbers, for example commands of one interface for several joints."""

    ros_type: ClassVar[str] = "std_msgs/msg/Float64MultiArray"
    layout: MultiArrayLayout = field(default_factory=MultiArrayLayout)
    data: list[wire.Float64] = field(default_factory=list)


@dataclass
class Duration(Message):
    """A time span in two parts."""

    ros_type: ClassVar[str] = "builtin_interfaces/msg/Duration"
    sec: wire.Int32 = 0
    nanosec: wire.UInt32 = 0


@dataclass
class JointTrajectoryPoint(Message):
    """Positions that joints should have at a certain time."""

    ros_type: ClassVar[str] = "trajectory_msgs/msg/JointTrajectoryPoint"
    positions: list[wire.Float64] = field(default_factory=list)
    velocities: list[wire.Float64] = field(default_factory=list)
    accelerations: list[wire.Float64] = field(default_factory=list)
    effort: list[wire.Float64] = field(default_factory=list)
    time_from_start: Duration = field(default_factory=Duration)


@dataclass
class JointTrajectory(Message):
    """A sequence of points for named joints."""

    ros_type: ClassVar[str] = "trajectory_msgs/msg/JointTrajectory"
    header: Header = field(default_factory=Header)
    joint_names: list[str] = field(default_factory=list)
    points: list[JointTrajectoryPoint] = field(default_factory=list)


@dataclass
class Bool(Message):
    """Yes or no."""

    ros_type: ClassVar[str] = "std_msgs/msg/Bool"
    data: bool = False


@dataclass
class Float32(Message):
    """One number of 32 bits."""

    ros_type: ClassVar[str] = "std_msgs/msg/Float32"
    data: wire.Float32 = 0.0


@dataclass
class Float64(Message):
    """One number of 64 bits."""

    ros_type: ClassVar[str] = "std_msgs/msg/Float64"
    data: wire.Float64 = 0.0


@dataclass
class String(Message):
    """A piece of text."""

    ros_type: ClassVar[str] = "std_msgs/msg/String"
    data: str = ""


@dataclass
class KeyValue(Message):
    """A named value in a diagnostic status."""

    ros_type: ClassVar[str] = "diagnostic_msgs/msg/KeyValue"
    key: str = ""
    value: str = ""


@dataclass
class DiagnosticStatus(Message):
    """The condition of one part of a node."""

    ros_type: ClassVar[str] = "diagnostic_msgs/msg/DiagnosticStatus"
    OK: ClassVar[int] = 0
    WARN: ClassVar[int] = 1
    ERROR: ClassVar[int] = 2
    STALE: ClassVar[int] = 3
    level: wire.Byte = 0
    name: str = ""
    message: str = ""
    hardware_id: str = ""
    values: list[KeyValue] = field(default_factory=list)


@dataclass
class DiagnosticArray(Message):
    """A message of the topic `/diagnostics`."""

    ros_type: ClassVar[str] = "diagnostic_msgs/msg/DiagnosticArray"
    header: Header = field(default_factory=Header)
    status: list[DiagnosticStatus] = field(default_factory=list)


@dataclass
class Log(Message):
    """A message of the topic `/rosout`."""

    ros_type: ClassVar[str] = "rcl_interfaces/msg/Log"
    DEBUG: ClassVar[int] = 10
    INFO: ClassVar[int] = 20
    WARN: ClassVar[int] = 30
    ERROR: ClassVar[int] = 40
    FATAL: ClassVar[int] = 50
    stamp: Time = field(default_factory=Time)
    level: wire.UInt8 = 0
    name: str = ""
    msg: str = ""
    file: str = ""
    function: str = ""
    line: wire.UInt32 = 0


BRIDGE_MESSAGES: tuple[type[Message], ...] = (
    JointState,
    Imu,
    BatteryState,
    Temperature,
    Odometry,
    PoseStamped,
    WrenchStamped,
    Twist,
    Float64MultiArray,
    JointTrajectory,
)
"""Messages that a bridge YAML may name."""
