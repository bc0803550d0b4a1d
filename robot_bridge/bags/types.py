"""Turns messages of `robot_bridge.middleware.messages` into the bytes that a rosbag2 holds (CDR), and back.

The message definitions are those of ROS 2 Jazzy, which `rosbags` brings along, and two of ros2_control. Definitions in a bag are
not used: rosbags would generate code from them, and code must not come from a data file.
"""

from __future__ import annotations

import dataclasses
import typing
from functools import cache
from typing import Annotated, Any

import numpy as np
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from adaptive_mbrl.errors import ConfigError
from robot_bridge.middleware.health_messages import CONTROL_MSGS
from robot_bridge.middleware.messages import Message, fields_of
from robot_bridge.middleware.transport import MessageT


@cache
def typestore() -> Typestore:
    """All message types of ROS 2 Jazzy, and those of ros2_control that monitors read."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, definition in CONTROL_MSGS.items():
        store.register(get_types_from_msg(definition, name))
    return store


def require_known(message_type: type[Message]) -> None:
    """Refuse a message type that cannot be recorded, because ROS 2 does not define it or defines other fields."""
    known = typestore().fielddefs.get(message_type.ros_type)
    fields = [f.name for f in dataclasses.fields(message_type)]
    if known is None or [name for name, _ in known[1]] != fields:
        raise ConfigError(f"{message_type.ros_type}: not a message of ROS 2's common interfaces, so it cannot be recorded")


def encode(message: Message) -> memoryview:
    """The message's bytes in CDR."""
    return typestore().serialize_cdr(_to_rosbags(message, type(message)), message.ros_type)


def decode(raw: bytes, message_type: type[MessageT]) -> MessageT:
    """The message in these bytes; the inverse of `encode`.

    Raises:
        ConfigError: the bytes are no message of this type.
    """
    try:
        message: MessageT = _from_rosbags(typestore().deserialize_cdr(raw, message_type.ros_type), message_type)
    except (SerdeError, IndexError, AssertionError) as error:
        raise ConfigError(f"a message is no {message_type.ros_type}: {error}") from error
    return message


def _to_rosbags(value: Any, hint: Any) -> Any:
    """A message, or a field's value of the type `hint`, as rosbags takes it: lists of numbers become arrays."""
    if isinstance(value, Message):
        fields = {name: _to_rosbags(getattr(value, name), of) for name, of in fields_of(type(value))}
        return typestore().types[value.ros_type](**fields)
    if typing.get_origin(hint) is Annotated and isinstance(value, (list, tuple)):
        return np.asarray(value, dtype=hint.__metadata__[0].partition("[")[0])
    if typing.get_origin(hint) is list:
        (item,) = typing.get_args(hint)
        if typing.get_origin(item) is Annotated:
            return np.asarray(value, dtype=item.__metadata__[0])
        return [_to_rosbags(entry, item) for entry in value]
    return value


def _from_rosbags(value: Any, hint: Any) -> Any:
    """Inverse of `_to_rosbags`; `hint` is the message's class or the type of one of its fields."""
    if isinstance(hint, type) and issubclass(hint, Message):
        return hint(**{name: _from_rosbags(getattr(value, name), of) for name, of in fields_of(hint)})
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list):
        (item,) = typing.get_args(hint)
        return [_from_rosbags(entry, item) for entry in value]
    return value
