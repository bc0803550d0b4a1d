"""The DDS classes of messages, made from the messages' own fields, and the way there and back."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any

from cyclonedds.idl import IdlStruct
from cyclonedds.idl import types as idl

from robot_bridge.middleware.messages import Message, fields_of

_IDL_TYPES: dict[tuple[type[Message], bool], type[IdlStruct]] = {}


def idl_type(message_type: type[Message], *, framed: bool = False) -> type[IdlStruct]:
    """The DDS class of a message, with the same fields under ROS 2's type name.

    Args:
        message_type: the message's class.
        framed: whether it is a service's request or answer, which begins with numbers of the client and of its request.
    """
    if (message_type, framed) not in _IDL_TYPES:
        frame = {"client": idl.uint64, "number": idl.int64} if framed else {}
        _IDL_TYPES[message_type, framed] = _made_idl_type(message_type, frame)
    return _IDL_TYPES[message_type, framed]


def framed_sample(message: Message, client: int, number: int) -> IdlStruct:
    """A service's request or answer, behind the numbers of the client and of its request."""
    values = [client, number, *(to_wire(getattr(message, name)) for name, _ in fields_of(type(message)))]
    return idl_type(type(message), framed=True)(*values)


def _made_idl_type(message_type: type[Message], frame: Mapping[str, Any]) -> type[IdlStruct]:
    package, folder, name = message_type.ros_type.split("/")
    annotations = {**frame, **{name: _idl_field(of) for name, of in fields_of(message_type)}}
    made = types.new_class(
        f"{name}_",
        (IdlStruct,),
        {"typename": f"{package}::{folder}::dds_::{name}_"},
        lambda namespace: namespace["__annotations__"].update(annotations),
    )
    return dataclasses.dataclass(made)


def to_wire(message: Any) -> Any:
    """A message as an object of its DDS class; numbers and strings are unchanged."""
    if isinstance(message, Message):
        return idl_type(type(message))(*(to_wire(getattr(message, name)) for name, _ in fields_of(type(message))))
    if isinstance(message, (list, tuple)):
        return [to_wire(item) for item in message] if message and isinstance(message[0], Message) else list(message)
    return message


def from_wire(sample: Any, hint: Any) -> Any:
    """Inverse of `to_wire`; `hint` is the message's class or the type of one of its fields."""
    if isinstance(hint, type) and issubclass(hint, Message):
        return hint(*(from_wire(getattr(sample, name), of) for name, of in fields_of(hint)))
    if isinstance(sample, (list, tuple)):
        item = typing.get_args(hint)[0]
        nested = isinstance(item, type) and issubclass(item, Message)
        return [from_wire(value, item) for value in sample] if nested else list(sample)
    return sample


def _idl_field(hint: Any) -> Any:
    if isinstance(hint, type) and issubclass(hint, Message):
        return idl_type(hint)
    if typing.get_origin(hint) is Annotated:
        kind, _, size = hint.__metadata__[0].rstrip("]").partition("[")
        scalar = getattr(idl, kind)
        return idl.array[scalar, int(size)] if size else scalar  # type: ignore[misc]
    if typing.get_origin(hint) is list:
        return idl.sequence[_idl_field(typing.get_args(hint)[0])]  # type: ignore[misc]
    return hint
