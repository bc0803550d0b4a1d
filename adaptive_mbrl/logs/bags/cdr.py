"""Reads messages from their bytes, which are in CDR, the encoding of ROS 2.

Values follow one another, each number aligned to its own size. What a message consists of is read from its definition; no code
is made of it. See https://www.omg.org/spec/DDSI-RTPS/2.3, chapter 10.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.bags.definitions import Field, Types

_CODES = {
    **{"bool": "?", "byte": "B", "char": "B", "octet": "B", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H"},
    **{"int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f", "float64": "d"},
}
_ENCAPSULATION = 4
"""Bytes before the message, of which the second one says in which order the bytes of a number are."""


class _Bytes:
    """The bytes of a message, and how many of them are read."""

    def __init__(self, raw: bytes) -> None:
        if len(raw) < _ENCAPSULATION or raw[0] != 0 or raw[1] > 1:
            raise ConfigError("its bytes are no CDR")
        self.data, self.at, self.order = memoryview(raw)[_ENCAPSULATION:], 0, "<" if raw[1] else ">"


_Reader = Callable[[_Bytes], Any]


def decoder(message_type: str, types: Types) -> Callable[[bytes], dict[str, Any]]:
    """What reads the messages of a type: dictionaries of their fields, in which lists of numbers are arrays.

    Raises:
        ConfigError: the type, or one that it is made of, is not known or cannot be read. The function raises it for bytes
            that are no such message.
    """
    read = _message(message_type, types, {})

    def decode(raw: bytes) -> dict[str, Any]:
        try:
            message: dict[str, Any] = read(_Bytes(raw))
        except (struct.error, ValueError, IndexError, RecursionError) as error:
            raise ConfigError(f"a message is no {message_type}: {error}") from error
        return message

    return decode


def _message(name: str, types: Types, made: dict[str, _Reader]) -> _Reader:
    if name in made:
        return made[name]
    if name not in types:
        raise ConfigError(f"no definition of {name}, neither in the bag nor among ROS 2's common interfaces")
    # a type that holds itself finds this entry
    made[name] = lambda bytes_: made[name](bytes_)
    fields = [(field.name, _field(field, types, made)) for field in types[name]]

    def read(bytes_: _Bytes) -> dict[str, Any]:
        if not fields:
            bytes_.at += 1  # an empty message is a byte that says nothing
        return {name: read_field(bytes_) for name, read_field in fields}

    made[name] = read
    return read


def _field(field: Field, types: Types, made: dict[str, _Reader]) -> _Reader:
    if not field.is_message and field.type != "string" and field.type not in _CODES:
        raise ConfigError(f"field '{field.name}' is a {field.type}, which cannot be read; allowed: string, {', '.join(_CODES)}")
    if field.is_many and field.type in _CODES:
        return _numbers(_CODES[field.type], field.size)
    one = (
        _message(field.type, types, made)
        if field.is_message
        else _text
        if field.type == "string"
        else _number(_CODES[field.type])
    )
    return _list(one, field.size) if field.is_many else one


def _number(code: str) -> _Reader:
    size = struct.calcsize(code)
    formats = {order: struct.Struct(order + code) for order in "<>"}

    def read(bytes_: _Bytes) -> Any:
        at = (bytes_.at + size - 1) & -size
        bytes_.at = at + size
        return formats[bytes_.order].unpack_from(bytes_.data, at)[0]

    return read


_count = _number("I")


def _text(bytes_: _Bytes) -> str:
    length = _count(bytes_)
    begin, bytes_.at = bytes_.at, bytes_.at + length
    if bytes_.at > len(bytes_.data):
        raise ValueError("a text goes beyond its end")
    return bytes(bytes_.data[begin : bytes_.at - 1]).decode()  # a zero ends it


def _numbers(code: str, fixed: int | None) -> _Reader:
    size = struct.calcsize(code)
    types = {order: np.dtype(order + code) for order in "<>"}

    def read(bytes_: _Bytes) -> np.ndarray:
        num = _count(bytes_) if fixed is None else fixed
        if num == 0:
            return np.zeros(0)
        at = (bytes_.at + size - 1) & -size
        bytes_.at = at + num * size
        return np.frombuffer(bytes_.data, types[bytes_.order], num, at)

    return read


def _list(one: _Reader, fixed: int | None) -> _Reader:
    def read(bytes_: _Bytes) -> list[Any]:
        num = _count(bytes_) if fixed is None else fixed
        if num > len(bytes_.data) - bytes_.at:
            raise ValueError(f"a list of {num} entries goes beyond its end")
        return [one(bytes_) for _ in range(num)]

    return read
