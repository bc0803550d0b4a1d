"""What all messages have in common, and the stamp, which can be read as a number."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, get_type_hints

from robot_bridge.middleware import wire_types as wire


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
    sec: wire.Int32 = 0
    nanosec: wire.UInt32 = 0

    @classmethod
    def of(cls, seconds: float) -> Time:
        """The stamp of a time since the epoch [s]."""
        nanoseconds = round(seconds * 1e9)
        return cls(nanoseconds // 10**9, nanoseconds % 10**9)

    @property
    def seconds(self) -> float:
        """The stamp as time since the epoch [s]."""
        return self.sec + 1e-9 * self.nanosec
