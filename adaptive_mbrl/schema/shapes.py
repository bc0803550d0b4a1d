"""What a YAML file may hold, as a tree of plain descriptions: a JSON Schema and a reference page are made of the same tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

ScalarType = Literal["number", "whole number", "true or false", "text", "path", "anything"]


@dataclass(frozen=True)
class Scalar:
    """One value.

    Attributes:
        type: what the value is.
        low: smallest allowed number; None for no limit.
        high: largest allowed number; None for no limit.
        above: a number that the value must be larger than; None for no limit.
    """

    type: ScalarType
    low: float | None = None
    high: float | None = None
    above: float | None = None


@dataclass(frozen=True)
class Choice:
    """One of several values.

    Attributes:
        values: the allowed values.
    """

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Nothing:
    """The value `null`."""


@dataclass(frozen=True)
class Sequence:
    """A list of any length.

    Attributes:
        item: what each entry is.
        alone: whether a single entry may stand without the list.
    """

    item: Shape
    alone: bool = False


@dataclass(frozen=True)
class Row:
    """A list of a fixed length.

    Attributes:
        items: what each entry is.
    """

    items: tuple[Shape, ...]


@dataclass(frozen=True)
class Table:
    """A mapping from names, which the author chooses freely or among some.

    Attributes:
        item: what each name stands for.
        excluded: words that are no names, because they have a meaning of their own.
        names: the only names that are allowed; any if empty.
    """

    item: Shape
    excluded: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Either:
    """One of several forms, such as a number for all joints or a number for each named joint.

    Attributes:
        options: the forms.
    """

    options: tuple[Shape, ...]


@dataclass(frozen=True)
class Kinds:
    """One of several records, named by its tag: ``{tag: {settings}}``, or the tag alone where it needs no settings.

    Attributes:
        records: the records, each with a tag.
    """

    records: tuple[Record, ...]


@dataclass(frozen=True)
class Key:
    """One key of a record.

    Attributes:
        name: the key.
        shape: what its value is.
        documentation: what it means, in sentences.
        required: whether it must be given.
        default: the plain value that a missing key stands for; meaningless for a required one.
    """

    name: str
    shape: Shape
    documentation: str = ""
    required: bool = False
    default: Any = None


@dataclass(frozen=True)
class Record:
    """A mapping with known keys.

    Attributes:
        name: name of the record, unique within a file.
        summary: what it is, in one sentence.
        keys: the keys, in the order of the file.
        tag: the word that names it in a file where it is one of several kinds; None for a record that needs no name.
        instead: a key that takes the place of the required ones, as a robot's `extends` does; None for none.
    """

    name: str
    summary: str
    keys: tuple[Key, ...] = field(repr=False)
    tag: str | None = None
    instead: str | None = None

    @property
    def needs_settings(self) -> bool:
        """Whether there is a key that must be given."""
        return any(key.required for key in self.keys)


Shape = Scalar | Choice | Nothing | Sequence | Row | Table | Either | Kinds | Record


def inner_shapes(shape: Shape) -> tuple[Shape, ...]:
    """The shapes that a shape is made of."""
    match shape:
        case Sequence() | Table():
            return (shape.item,)
        case Row():
            return shape.items
        case Either():
            return shape.options
        case Kinds():
            return shape.records
        case Record():
            return tuple(key.shape for key in shape.keys)
        case _:
            return ()


def records_of(shape: Shape) -> Iterator[Record]:
    """All records of a tree, each once by its name, in reading order."""
    seen: set[str] = set()
    waiting = [shape]
    while waiting:
        first = waiting.pop(0)
        if isinstance(first, Record):
            if first.name in seen:
                continue
            seen.add(first.name)
            yield first
        waiting[:0] = inner_shapes(first)
