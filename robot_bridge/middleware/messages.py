"""The ROS 2 messages that the bridge speaks, as plain dataclasses that need neither rclpy nor a DDS library.

Field names, order and types are those of the .msg files (common_interfaces, ROS 2 Jazzy). A transport translates the messages to
its own classes by name. Stamps hold what the sender wrote. The time of arrival, on the monotonic clock, is not in the message; a
transport passes it on beside the message.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Annotated, Any, ClassVar, get_type_hints

Byte = Annotated[int, "byte"]
"""Eight bits; ROS 2 tells it from `uint8` by name."""
UInt8 = Annotated[int, "uint8"]
Int32 = Annotated[int, "int32"]
UInt32 = Annotated[int, "uint32"]
Float64 = Annotated[float, "float64"]
Covariance3 = Annotated[list[float], "float64[9]"]
Covariance6 = Annotated[list[float], "float64[36]"]


@dataclass
class Message:
    """Base of all messages; `ros_type` is the name that ROS 2 knows the class by."""

    ros_type: ClassVar[str]


_FIELDS: dict[type[Message], tuple[tuple[str, Any], ...]] = {}


def fields_of(message_type: type[Message]) -> tuple[tuple[str, Any], ...]:
    """Name and annotated type of each field, in order. They are cached, because finding them takes longer than all the rest."""
    if message_type not in _FIELDS:
        hints = get_type_hints(message_type, include_extras=True)
        _FIELDS[message_type] = tuple((f.name, hints[f.name]) for f in fields(message_type))
    return _FIELDS[message_type]


@dataclass
class Time(Message):
    """A stamp in two parts."""

    ros_type: ClassVar[str] = "builtin_interfaces/msg/Time"
    sec: Int32 = 0
    nanosec: UInt32 = 0

    @classmethod
    def of(cls, seconds: float) -> Time:
        """The stamp of a time since the epoch [s]."""
        nanoseconds = round(seconds * 1e9)
        return cls(nanoseconds // 10**9, nanoseconds % 10**9)

    @property
    def seconds(self) -> float:
        """The stamp as time since the epoch [s]."""
        return self.sec + 1e-9 * self.nanosec


@dataclass
class Duration(Message):
    """A time span in two parts."""

    ros_type: ClassVar[str] = "builtin_interfaces/msg/Duration"
    sec: Int32 = 0
    nanosec: UInt32 = 0


@dataclass
class Header(Message):
    """Stamp and frame."""

    ros_type: ClassVar[str] = "std_msgs/msg/Header"
    stamp: Time = field(default_factory=Time)
    frame_id: str = ""


@dataclass
class Vector3(Message):
    """x, y, z."""

    ros_type: ClassVar[str] = "geometry_msgs/msg/Vector3"
    x: Float64 = 0.0
    y: Float64 = 0.0
    z: Float64 = 0.0


@dataclass
class Point(Message):
    """A position [m]."""

    ros_type: ClassVar[str] = "geometry_msgs/msg/Point"
    x: Float64 = 0.0
    y: Float64 = 0.0
    z: Float64 = 0.0


@dataclass
class Quaternion(Message):
    """An orientation."""

    ros_type: ClassVar[str] = "geometry_msgs/msg/Quaternion"
    x: Float64 = 0.0
    y: Float64 = 0.0
    z: Float64 = 0.0
    w: Float64 = 1.0


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
    covariance: Covariance6 = field(default_factory=lambda: [0.0] * 36)


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
    covariance: Covariance6 = field(default_factory=lambda: [0.0] * 36)


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
class JointState(Message):
    """State of named joints; an interface that a robot does not have is an empty list."""

    ros_type: ClassVar[str] = "sensor_msgs/msg/JointState"
    header: Header = field(default_factory=Header)
    name: list[str] = field(default_factory=list)
    position: list[Float64] = field(default_factory=list)
    velocity: list[Float64] = field(default_factory=list)
    effort: list[Float64] = field(default_factory=list)


@dataclass
class Imu(Message):
    """Orientation, angular velocity [rad/s] and linear acceleration [m/s^2]."""

    ros_type: ClassVar[str] = "sensor_msgs/msg/Imu"
    header: Header = field(default_factory=Header)
    orientation: Quaternion = field(default_factory=Quaternion)
    orientation_covariance: Covariance3 = field(default_factory=lambda: [0.0] * 9)
    angular_velocity: Vector3 = field(default_factory=Vector3)
    angular_velocity_covariance: Covariance3 = field(default_factory=lambda: [0.0] * 9)
    linear_acceleration: Vector3 = field(default_factory=Vector3)
    linear_acceleration_covariance: Covariance3 = field(default_factory=lambda: [0.0] * 9)


@dataclass
class Odometry(Message):
    """Pose in `header.frame_id`, twist in `child_frame_id`."""

    ros_type: ClassVar[str] = "nav_msgs/msg/Odometry"
    header: Header = field(default_factory=Header)
    child_frame_id: str = ""
    pose: PoseWithCovariance = field(default_factory=PoseWithCovariance)
    twist: TwistWithCovariance = field(default_factory=TwistWithCovariance)


@dataclass
class MultiArrayDimension(Message):
    """One axis of an array."""

    ros_type: ClassVar[str] = "std_msgs/msg/MultiArrayDimension"
    label: str = ""
    size: UInt32 = 0
    stride: UInt32 = 0


@dataclass
class MultiArrayLayout(Message):
    """Axes of an array."""

    ros_type: ClassVar[str] = "std_msgs/msg/MultiArrayLayout"
    dim: list[MultiArrayDimension] = field(default_factory=list)
    data_offset: UInt32 = 0


@dataclass
class Float64MultiArray(Message):
    """An array of numbers, for example commands for ros2_control's forward_command_controller in the order of its `joints`."""

    ros_type: ClassVar[str] = "std_msgs/msg/Float64MultiArray"
    layout: MultiArrayLayout = field(default_factory=MultiArrayLayout)
    data: list[Float64] = field(default_factory=list)


@dataclass
class JointTrajectoryPoint(Message):
    """Positions that joints should have at a certain time."""

    ros_type: ClassVar[str] = "trajectory_msgs/msg/JointTrajectoryPoint"
    positions: list[Float64] = field(default_factory=list)
    velocities: list[Float64] = field(default_factory=list)
    accelerations: list[Float64] = field(default_factory=list)
    effort: list[Float64] = field(default_factory=list)
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
    level: Byte = 0
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


class LogLevel(IntEnum):
    """How serious a line of the log is, in the numbers of `rcl_interfaces/msg/Log`."""

    INFO = 20
    WARN = 30
    ERROR = 40


@dataclass
class Log(Message):
    """A message of the topic `/rosout`."""

    ros_type: ClassVar[str] = "rcl_interfaces/msg/Log"
    stamp: Time = field(default_factory=Time)
    level: UInt8 = 0
    name: str = ""
    msg: str = ""
    file: str = ""
    function: str = ""
    line: UInt32 = 0


@dataclass
class TriggerRequest(Message):
    """A request without content; ROS 2 gives messages without fields this dummy field."""

    ros_type: ClassVar[str] = "std_srvs/srv/Trigger_Request"
    structure_needs_at_least_one_member: UInt8 = 0


@dataclass
class SetBoolRequest(Message):
    """A request to switch something on or off."""

    ros_type: ClassVar[str] = "std_srvs/srv/SetBool_Request"
    data: bool = False


@dataclass
class Response(Message):
    """Base of the services' answers: whether the request was carried out, and a message about it."""

    success: bool = False
    message: str = ""


@dataclass
class TriggerResponse(Response):
    """Answer of `std_srvs/srv/Trigger`."""

    ros_type: ClassVar[str] = "std_srvs/srv/Trigger_Response"


@dataclass
class SetBoolResponse(Response):
    """Answer of `std_srvs/srv/SetBool`."""

    ros_type: ClassVar[str] = "std_srvs/srv/SetBool_Response"


RESPONSES: dict[type[TriggerRequest] | type[SetBoolRequest], type[Response]] = {
    TriggerRequest: TriggerResponse,
    SetBoolRequest: SetBoolResponse,
}
"""The class of the answer to each request."""
MESSAGES: dict[str, type[Message]] = {
    cls.ros_type: cls for cls in (JointState, Imu, Odometry, WrenchStamped, Twist, Float64MultiArray, JointTrajectory)
}
"""Messages that a bridge YAML may name."""
