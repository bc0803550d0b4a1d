"""The hash by which ROS 2 tells whether two sides mean the same message type (RIHS01 of REP 2016).

It is the SHA-256 of a description of the type and of every type within it: names, and kinds of fields. Publishers and subscribers
announce it in the user data of their DDS writers and readers, and ROS 2 warns of those that do not.

https://ros.org/reps/rep-2016.html
"""

from __future__ import annotations

import hashlib
import json
import typing
from typing import Annotated, Any

from robot_bridge.middleware.messages import Message, fields_of

KINDS = {
    **{"int8": 2, "uint8": 3, "int16": 4, "uint16": 5, "int32": 6, "uint32": 7, "int64": 8, "uint64": 9},
    **{"float32": 10, "float64": 11, "byte": 16},
}
"""Numbers of the kinds of fields, from `type_description_interfaces/msg/FieldType`."""
NESTED, BOOLEAN, TEXT = 1, 15, 17
ARRAY, UNBOUNDED_SEQUENCE = 48, 144
"""What is added to the number of a kind for an array of fixed length and for a sequence of any length."""
_HASHES: dict[type[Message], str] = {}


def type_hash(message_type: type[Message]) -> str:
    """The hash of a message type, ``RIHS01_`` and 64 hexadecimal digits."""
    if message_type not in _HASHES:
        _HASHES[message_type] = _hash(message_type)
    return _HASHES[message_type]


def _hash(message_type: type[Message]) -> str:
    others = sorted(_within(message_type), key=lambda other: other.ros_type)
    described = {
        "type_description": _description(message_type),
        "referenced_type_descriptions": [_description(other) for other in others],
    }
    return f"RIHS01_{hashlib.sha256(json.dumps(described).encode()).hexdigest()}"


def user_data(message_type: type[Message]) -> bytes:
    """What a DDS writer or reader of these messages announces."""
    return f"typehash={type_hash(message_type)};".encode()


def _within(message_type: type[Message]) -> set[type[Message]]:
    """Every message type that fields of a message are made of, at any depth."""
    found: set[type[Message]] = set()
    for _, hint in fields_of(message_type):
        item = typing.get_args(hint)[0] if typing.get_origin(hint) is list else hint
        if _is_message(item):
            found |= {item, *_within(item)}
    return found


def _description(message_type: type[Message]) -> dict[str, Any]:
    fields = [{"name": name, "type": _field_type(hint)} for name, hint in fields_of(message_type)]
    return {"type_name": message_type.ros_type, "fields": fields}


def _field_type(hint: Any) -> dict[str, Any]:
    if typing.get_origin(hint) is list:
        item = _field_type(typing.get_args(hint)[0])
        return item | {"type_id": item["type_id"] + UNBOUNDED_SEQUENCE}
    number, capacity = _kind(hint)
    nested = hint.ros_type if _is_message(hint) else ""
    return {"type_id": number, "capacity": capacity, "string_capacity": 0, "nested_type_name": nested}


def _kind(hint: Any) -> tuple[int, int]:
    """The number of a field's kind, and the length of an array; 0 for what is no array."""
    if typing.get_origin(hint) is Annotated:
        kind, _, length = hint.__metadata__[0].rstrip("]").partition("[")
        return KINDS[kind] + (ARRAY if length else 0), int(length or 0)
    return NESTED if _is_message(hint) else {bool: BOOLEAN, str: TEXT}[hint], 0


def _is_message(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Message)
