"""Walks a frozen dataclass, as `adaptive_mbrl.config.from_mapping` reads it, into the tree of `adaptive_mbrl.schema.shapes`."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from collections.abc import Sequence as AnySequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Union

import docstring_parser

from adaptive_mbrl.config import to_mapping
from adaptive_mbrl.schema.shapes import (
    Choice,
    Either,
    Key,
    Kinds,
    Nothing,
    Record,
    Row,
    Scalar,
    ScalarType,
    Sequence,
    Shape,
    Table,
)

Replaced = Mapping[tuple[type, str], Shape]
"""Shapes of fields that say more than their type hints do, by class and name of the field."""
_SCALARS: Mapping[Any, ScalarType] = {
    float: "number",
    int: "whole number",
    bool: "true or false",
    str: "text",
    Path: "path",
    Any: "anything",
}


def describe(cls: type, replaced: Replaced | None = None, *, name: str | None = None) -> Record:
    """What a file of the dataclass `cls` may hold.

    Args:
        cls: the dataclass.
        replaced: shapes of fields whose hints are wider than what is allowed.
        name: name of the record; that of the class without a leading underscore and the ending `Config` if not given.
    """
    hints = typing.get_type_hints(cls)
    documentation = documentation_of(cls)
    keys = []
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        shape = (replaced or {}).get((cls, field.name)) or _shape(hints[field.name], replaced)
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        default = None if required else to_mapping(_default(field))
        keys.append(Key(field.name, _within(shape, field.metadata), documentation.get(field.name, ""), required, default))
    return Record(name or _name(cls), _summary(cls), tuple(keys), getattr(cls, "TAG", None))


@functools.cache
def documentation_of(cls: type) -> Mapping[str, str]:
    """The `Attributes:` of a dataclass and of those that it inherits from, by field; each on one line."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        parsed = docstring_parser.parse(base.__dict__.get("__doc__") or "", docstring_parser.DocstringStyle.GOOGLE)
        found |= {p.arg_name: " ".join((p.description or "").split()) for p in parsed.params}
    return found


def _summary(cls: type) -> str:
    parsed = docstring_parser.parse(cls.__doc__ or "", docstring_parser.DocstringStyle.GOOGLE)
    return " ".join((parsed.short_description or "").split())


def _name(cls: type) -> str:
    return cls.__name__.lstrip("_").removesuffix("Config") or cls.__name__


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _shape(hint: Any, replaced: Replaced | None) -> Shape:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _union(args, replaced)
    if hasattr(hint, "TAG"):
        return Kinds((describe(hint, replaced),))
    if dataclasses.is_dataclass(hint):
        return describe(typing.cast(type, hint), replaced)
    if origin is Literal:
        return Choice(args)
    if origin in (tuple, list, AnySequence):
        if origin is tuple and args[-1] is not Ellipsis:
            return Row(tuple(_shape(arg, replaced) for arg in args))
        item = _shape(args[0], replaced)
        return Sequence(item, alone=isinstance(item, Kinds))
    if origin in (dict, Mapping) or hint in (dict, Mapping):
        return Table(_shape(args[1] if args else Any, replaced))
    return Scalar(_SCALARS[hint])


def _union(args: tuple[Any, ...], replaced: Replaced | None) -> Shape:
    options = [arg for arg in args if arg is not type(None)]
    shapes: list[Shape]
    if all(hasattr(option, "TAG") for option in options):
        shapes = [Kinds(tuple(describe(option, replaced) for option in options))]
    else:
        shapes = [_shape(option, replaced) for option in options]
    if type(None) in args:
        shapes.append(Nothing())
    return shapes[0] if len(shapes) == 1 else Either(tuple(shapes))


def _within(shape: Shape, metadata: Mapping[str, Any]) -> Shape:
    """The shape with the limits that `bounded` gave its field: those of a number, or of the numbers of a list."""
    low, high = (metadata.get(name, limit) for name, limit in (("low", -math.inf), ("high", math.inf)))
    if low == -math.inf and high == math.inf:
        return shape
    match shape:
        case Scalar(type="number" | "whole number"):
            return Scalar(shape.type, None if low == -math.inf else low, None if high == math.inf else high)
        case Either():
            return Either(tuple(_within(option, metadata) for option in shape.options))
        case Sequence():
            return replace(shape, item=_within(shape.item, metadata))
        case Row():
            return Row(tuple(_within(item, metadata) for item in shape.items))
        case _:
            return shape
