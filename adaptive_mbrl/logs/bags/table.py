"""A bag as a table: the columns that are wanted, with a row for each time at which one of them was measured.

Each topic keeps its own times. A cell is empty where its topic has no message.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.bags.cdr import decoder
from adaptive_mbrl.logs.bags.columns import BagColumn, column_of, topic_of
from adaptive_mbrl.logs.bags.definitions import HEADER, Types, types_of
from adaptive_mbrl.logs.bags.files import storage_files
from adaptive_mbrl.logs.bags.storage import Storage
from adaptive_mbrl.logs.samples import Array, Measured
from adaptive_mbrl.logs.stamps import measured, notes_on_stamps

MAX_DELAY = 0.5
"""Longest plausible time from a message's stamp to its arrival [s]; after a longer one, the sender's clock was another one."""
LATE = 0.1
"""A usual delay that is longer than this [s] is worth a word."""


@dataclass(frozen=True)
class BagTable:
    """What is wanted of a bag.

    Attributes:
        columns: the columns, (S,) each: numbers, NaN where a row has none, or texts, empty where a row has none.
        times: time of each row since the first one [s], increasing, (S,).
        first_stamp: time of the first row since the epoch [s].
        notes: sentences that a user should read.
    """

    columns: Mapping[str, np.ndarray]
    times: Array
    first_stamp: float
    notes: tuple[str, ...]


@dataclass
class _Cells:
    """The cells of a column: numbers, which stand for texts where the column has texts."""

    column: BagColumn
    are_texts: bool
    cells: array[float] = field(default_factory=lambda: array("d"))
    codes: dict[str, int] = field(default_factory=dict)

    def add(self, message: Mapping[str, Any]) -> None:
        """Take over the value in a message."""
        value = self.column.value(message)
        if value is None:
            self.cells.append(np.nan)
        elif self.are_texts:
            self.cells.append(self.codes.setdefault(_text(value, self.column.type), len(self.codes)))
        else:
            self.cells.append(float(value))

    def as_written(self, numbers: Array) -> np.ndarray:
        """The column that these numbers stand for."""
        if not self.are_texts:
            return numbers
        texts = np.array([*self.codes, ""], dtype=np.str_)
        return texts[np.where(np.isnan(numbers), len(self.codes), numbers).astype(np.int64)]


@dataclass
class _Topic:
    """The messages of a topic, as far as they are wanted.

    Attributes:
        name: its name.
        decode: reads a message from its bytes.
        has_header: whether its messages have a stamp.
        columns: the wanted columns.
        received: time of arrival of each message since the epoch [ns].
        stamps: stamp of each message since the epoch [ns]; 0 without one.
    """

    name: str
    decode: Callable[[bytes], dict[str, Any]]
    has_header: bool
    columns: list[_Cells] = field(default_factory=list)
    received: array[int] = field(default_factory=lambda: array("q"))
    stamps: array[int] = field(default_factory=lambda: array("q"))

    def add(self, raw: bytes, received: int) -> None:
        """Take over a message that was received at this time, since the epoch [ns]."""
        message = self.decode(raw)
        stamp = message["header"]["stamp"] if self.has_header else {"sec": 0, "nanosec": 0}
        self.received.append(received)
        self.stamps.append(stamp["sec"] * 10**9 + stamp["nanosec"])
        for cells in self.columns:
            cells.add(message)

    def measured(self, start: int) -> Measured:
        """The numbers by the time of their measurement."""
        rows = np.stack([np.frombuffer(cells.cells) for cells in self.columns], axis=1)
        return measured(np.frombuffer(self.received, np.int64), np.frombuffer(self.stamps, np.int64), rows, start, MAX_DELAY)

    def notes(self, found: Measured) -> list[str]:
        """What there is to say about the stamps."""
        notes = notes_on_stamps(self.name, self.stamps, found)
        delays = 1e-9 * (np.frombuffer(self.received, np.int64) - np.frombuffer(self.stamps, np.int64))
        delay = float(np.median(delays))
        if found.by_stamp == 1 and delay > LATE:
            notes.append(f"{self.name}: messages arrived {delay:.2g} s after their stamps; do both clocks agree?")
        return notes


def read_bag(path: Path, wanted: Mapping[str, str], as_written: Collection[str] = ()) -> BagTable:
    """Read some columns of a bag.

    Args:
        path: a rosbag2 folder, or a file with messages.
        wanted: for each wanted column, the key of the YAML file that names it.
        as_written: the columns in which cells that differ must stay different; they become texts.

    Raises:
        ConfigError: the bag cannot be read, or lacks a column.
    """
    with Storage(path) as storage:
        try:
            topics = _topics(storage.connections, wanted, as_written)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error
        _read(storage, topics)
        notes = ["the recording was cut off; its whole messages are read"] if storage.was_cut else []
    return _merged(list(topics.values()), [*notes, *_unread(path)])


def _unread(path: Path) -> list[str]:
    """What SQLite did not write into its file in time."""
    waiting = [file.with_name(f"{file.name}-wal") for file in storage_files(path)]
    return [f"{file.name} holds newer messages, which are not read" for file in waiting if file.exists() and file.stat().st_size]


def _topics(connections: Sequence[Any], wanted: Mapping[str, str], as_written: Collection[str]) -> dict[str, _Topic]:
    message_types = {c.topic: c.msgtype for c in connections}
    names = {topic_of(name, key, message_types) for name, key in wanted.items()}
    used = [c for c in connections if c.topic in names]
    for c in used:
        if c.msgtype != message_types[c.topic]:
            raise ConfigError(f"{c.topic} has messages of two types, {c.msgtype} and {message_types[c.topic]}; allowed: one")
        if c.ext.serialization_format != "cdr":
            raise ConfigError(f"{c.topic} is encoded as '{c.ext.serialization_format}'; allowed: cdr")
    types = types_of(used)
    topics = {
        name: _Topic(name, decoder(message_types[name], types), _has_header(message_types[name], types)) for name in sorted(names)
    }
    for name, key in wanted.items():
        column = column_of(name, key, message_types, types)
        if column.type == "string" and name not in as_written:
            raise ConfigError(f"column '{name}' (key '{key}') has texts; allowed: numbers")
        topics[column.topic].columns.append(_Cells(column, name in as_written))
    return topics


def _has_header(message_type: str, types: Types) -> bool:
    return any(part.name == "header" and part.type == HEADER for part in types.get(message_type, ()))


def _read(storage: Storage, topics: Mapping[str, _Topic]) -> None:
    """Hand each message to its topic."""
    for connection, received, raw in storage.messages(topics):
        try:
            topics[connection.topic].add(raw, received)
        except ConfigError as error:
            raise ConfigError(f"{storage.path}: {connection.topic}: {error}") from error
    for topic in topics.values():
        if not topic.received:
            raise ConfigError(f"{storage.path}: no message on {topic.name}")
        for cells in topic.columns:
            if np.isnan(np.frombuffer(cells.cells)).all():
                raise ConfigError(f"{storage.path}: {cells.column.missing()}")


def _merged(topics: Sequence[_Topic], notes: Iterable[str]) -> BagTable:
    """The topics as one table."""
    start = min(min(topic.received) for topic in topics)
    found = [topic.measured(start) for topic in topics]
    times = np.unique(np.concatenate([each.times for each in found]))
    columns: dict[str, np.ndarray] = {}
    for topic, each in zip(topics, found, strict=True):
        rows = np.full((len(times), len(topic.columns)), np.nan)
        rows[np.searchsorted(times, each.times)] = each.values
        columns |= {cells.column.name: cells.as_written(rows[:, i]) for i, cells in enumerate(topic.columns)}
        notes = [*notes, *topic.notes(each)]
    return BagTable(columns, times - times[0], 1e-9 * start + times[0], tuple(notes))


def _text(value: Any, base_type: str) -> str:
    """A value as the text that a log would have."""
    if base_type == "float32":
        # the shortest text of a float32 says what was meant: 0.1, and not 0.10000000149
        return str(np.float32(value))
    return str(int(value)) if base_type == "bool" else str(value)
