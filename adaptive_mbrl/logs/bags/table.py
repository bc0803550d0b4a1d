"""A bag as a table: the columns that are wanted, with a row for each time at which one of them was measured.

Each topic keeps its own times. A cell is empty where its topic has no message.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.bags.cdr import decoder
from adaptive_mbrl.logs.bags.columns import column_of, topic_of
from adaptive_mbrl.logs.bags.definitions import has_header, types_of
from adaptive_mbrl.logs.bags.files import storage_files
from adaptive_mbrl.logs.bags.storage import Storage
from adaptive_mbrl.logs.bags.topic import Cells, Topic
from adaptive_mbrl.logs.samples import Array


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


def _topics(connections: Sequence[Any], wanted: Mapping[str, str], as_written: Collection[str]) -> dict[str, Topic]:
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
        name: Topic(name, decoder(message_types[name], types), has_header(message_types[name], types)) for name in sorted(names)
    }
    for name, key in wanted.items():
        column = column_of(name, key, message_types, types)
        if column.type == "string" and name not in as_written:
            raise ConfigError(f"column '{name}' (key '{key}') has texts; allowed: numbers")
        topics[column.topic].columns.append(Cells(column, name in as_written))
    return topics


def _read(storage: Storage, topics: Mapping[str, Topic]) -> None:
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


def _merged(topics: Sequence[Topic], notes: Sequence[str]) -> BagTable:
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
