"""Which fields a message has, by the definitions in the bag, or by those of ROS 2's common interfaces where a bag has none.

rosbags parses the definitions. They stay data: its own readers would generate code from them, and code must not come
from a recording.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adaptive_mbrl.errors import ConfigError, reason_of
from adaptive_mbrl.extras import extra_package

_HEADER = "std_msgs/msg/Header"
_IDL_SEPARATOR = "=" * 80 + "\n"


@dataclass(frozen=True)
class Field:
    """A field of a message.

    Attributes:
        name: its name.
        type: a base type such as `float64` or `string`, or a message type such as `geometry_msgs/msg/Vector3`.
        is_message: whether it is a message type.
        is_many: whether it is a list of values.
        size: number of values of a list of fixed length; None if the message says how many there are.
    """

    name: str
    type: str
    is_message: bool = False
    is_many: bool = False
    size: int | None = None


Types = Mapping[str, tuple[Field, ...]]
"""The fields of each message type, by its name."""


def types_of(connections: list[Any]) -> Types:
    """The message types that the topics of a bag are made of.

    Args:
        connections: the topics, as rosbags describes them.

    Raises:
        ConfigError: a definition cannot be read.
    """
    typesys = extra_package("rosbags.typesys", "logs")
    store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    found: dict[str, tuple[Field, ...]] = {name: _fields(about) for name, (_, about) in store.fielddefs.items()}
    for connection in {(c.msgtype, c.msgdef): c for c in connections}.values():
        try:
            found |= {name: _fields(about) for name, (_, about) in _parsed(connection, typesys)}
        except Exception as error:
            reason = reason_of(error)[:200]
            raise ConfigError(f"{connection.topic}: the definition of {connection.msgtype} cannot be read: {reason}") from error
    return found


def has_header(message_type: str, types: Types) -> bool:
    """Whether messages of a type have a header, which has a stamp."""
    return any(part.name == "header" and part.type == _HEADER for part in types[message_type])


def _parsed(connection: Any, typesys: Any) -> Iterator[tuple[str, Any]]:
    """The types of a topic's definition, as rosbags describes them."""
    text, language = connection.msgdef.data, connection.msgdef.format.name
    if language == "MSG":
        yield from typesys.get_types_from_msg(text, connection.msgtype).items()
    elif language == "IDL":
        # as `ros2 bag record` joins the files of a type and of those that it is made of
        parts = [part.partition("\n")[2] for part in text.split(_IDL_SEPARATOR)[1:]] or [text]
        for part in parts:
            yield from typesys.get_types_from_idl(part).items()


def _fields(about: Any) -> tuple[Field, ...]:
    return tuple(_field(name, kind.name, rest) for name, (kind, rest) in about)


def _field(name: str, kind: str, about: Any) -> Field:
    if kind in ("BASE", "NAME"):
        return Field(name, about[0] if kind == "BASE" else about, kind == "NAME")
    (inner_kind, inner), size = about
    one = _field(name, inner_kind.name, inner)
    return Field(name, one.type, one.is_message, is_many=True, size=size if kind == "ARRAY" else None)
