"""The shapes of a file in words, for a reference page and for the terminal."""

from __future__ import annotations

from typing import Any

import yaml

from adaptive_mbrl.schema.shapes import Choice, Either, Key, Kinds, Nothing, Record, Row, Scalar, Sequence, Shape, Table

_MANY = {"number": "numbers", "whole number": "whole numbers", "text": "texts", "path": "paths"}


def type_in_words(shape: Shape) -> str:
    """What a value is, such as ``a list of numbers, each at least 0`` or ``a number, or a mapping from names to numbers``."""
    match shape:
        case Scalar(type="true or false" | "anything"):
            return shape.type
        case Scalar():
            return f"a {shape.type}{_limits(shape)}"
        case Choice():
            return "one of " + ", ".join(f"`{_plain(value)}`" for value in shape.values)
        case Nothing():
            return "null"
        case Sequence():
            if shape.alone:
                return f"{type_in_words(shape.item)}, or a list of such entries"
            return f"a list of {_several(shape.item)}"
        case Row() if len(set(shape.items)) == 1 and isinstance(shape.items[0], Scalar):
            return f"a list of {len(shape.items)} {_several(shape.items[0])}"
        case Row():
            return "a list of " + " and ".join(type_in_words(item) for item in shape.items)
        case Table():
            names = f"some of {', '.join(f'`{name}`' for name in shape.names)}" if shape.names else "names"
            return f"a mapping from {names} to {_several(shape.item)}"
        case Either():
            return ", or ".join(type_in_words(option) for option in shape.options)
        case Kinds():
            return "one kind of " + ", ".join(f"`{record.tag}`" for record in shape.records)
        case Record():
            return f"a mapping ({shape.name})"


def default_in_words(key: Key) -> str:
    """The default of a key as it would stand in the file; ``required`` where there is none."""
    return "required" if key.required else _plain(_shortened(key.default, key.shape))


def _shortened(value: Any, shape: Shape) -> Any:
    """A default without the settings that are defaults themselves: a whole planner is ``icem``, a whole record ``{}``."""
    match shape:
        case Record() if isinstance(value, dict):
            given = {key.name: _shortened(value[key.name], key.shape) for key in shape.keys if key.name in value}
            return {name: inner for name, inner in given.items() if inner != _default_of(shape, name)}
        case Kinds() if isinstance(value, dict):
            (tag, settings), *_ = value.items()
            inner = _shortened(settings, next(record for record in shape.records if record.tag == tag))
            return {tag: inner} if inner else tag
        case Sequence() if isinstance(value, list):
            return [_shortened(item, shape.item) for item in value]
        case Either():
            record = next((option for option in shape.options if isinstance(option, Record | Kinds)), None)
            return value if record is None or value is None else _shortened(value, record)
        case _:
            return value


def _default_of(record: Record, name: str) -> Any:
    key = next(key for key in record.keys if key.name == name)
    # what is required is never left out
    return ... if key.required else _shortened(key.default, key.shape)


def _several(shape: Shape) -> str:
    if isinstance(shape, Scalar) and shape.type in _MANY:
        limits = _limits(shape).removeprefix(", ")
        return _MANY[shape.type] + (f", each {limits}" if limits else "")
    if isinstance(shape, Record):
        return f"mappings ({shape.name})"
    return f"entries, each {type_in_words(shape)}"


def _limits(shape: Scalar) -> str:
    low, high, above = (None if limit is None else _number(limit) for limit in (shape.low, shape.high, shape.above))
    if above is not None:
        return f", above {above}" + (f", at most {high}" if high is not None else "")
    if low is not None and high is not None:
        return f", {low} to {high}"
    if low is not None:
        return f", at least {low}"
    return f", at most {high}" if high is not None else ""


def _number(limit: float) -> str:
    return str(limit) if isinstance(limit, int) else f"{limit:g}"


def _plain(value: Any) -> str:
    """A value on one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")
