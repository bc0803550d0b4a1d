"""The ROS 2 messages that the bridge speaks, as plain dataclasses that need neither rclpy nor a DDS library.

Field names, order and types are those of the .msg files (common_interfaces, ROS 2 Jazzy). A transport translates the messages to
its own classes by name. Stamps hold what the sender wrote. The time of arrival, on the monotonic clock, is not in the message; a
transport passes it on beside the message.

`standard_messages` is generated: a type that is to be added is a line in `generate_messages`. Written by hand are only the stamp,
and the requests and answers of services.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from robot_bridge.middleware import standard_messages
from robot_bridge.middleware import wire_types as wire
from robot_bridge.middleware.message import Message, Time, fields_of
from robot_bridge.middleware.standard_messages import *  # noqa: F403, the names are those of __all__

__all__ = [
    "MESSAGES",
    "RESPONSES",
    "LogLevel",
    "Message",
    "Response",
    "SetBoolRequest",
    "SetBoolResponse",
    "Time",
    "TriggerRequest",
    "TriggerResponse",
    "fields_of",
]
__all__ += standard_messages.__all__


class LogLevel(IntEnum):
    """How serious a line of the log is, in the numbers of `rcl_interfaces/msg/Log`."""

    INFO = 20
    WARN = 30
    ERROR = 40


@dataclass
class TriggerRequest(Message):
    """A request without content; ROS 2 gives messages without fields this dummy field."""

    ros_type: ClassVar[str] = "std_srvs/srv/Trigger_Request"
    structure_needs_at_least_one_member: wire.UInt8 = 0


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
MESSAGES: dict[str, type[Message]] = {message.ros_type: message for message in standard_messages.BRIDGE_MESSAGES}
"""Messages that a bridge YAML may name."""
