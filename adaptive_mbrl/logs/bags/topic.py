"""The messages of a topic, as far as they are wanted: the cells of columns, and when each was measured."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adaptive_mbrl.logs.bags.columns import BagColumn
from adaptive_mbrl.logs.samples import Array, Measured
from adaptive_mbrl.logs.stamps import measured, notes_on_stamps

MAX_DELAY = 0.5
"""Longest plausible time from a message's stamp to its arrival [s]; after a longer one, the sender's clock was another one."""
LATE = 0.1
"""A usual delay that is longer than this [s] is worth a word."""


@dataclass
class Cells:
    """The cells of a column.

    Attributes:
        column: the column.
        are_texts: whether its cells are texts; each text then has a number that stands for it.
        cells: a number for each message; NaN where the message does not hold the column.
        codes: the number of each text.
        not_finite: how many messages hold a number that is not finite.
    """

    column: BagColumn
    are_texts: bool
    cells: array[float] = field(default_factory=lambda: array("d"))
    codes: dict[str, int] = field(default_factory=dict)
    not_finite: int = 0

    def add(self, message: Mapping[str, Any]) -> None:
        """Take over the value in a message."""
        value = self.column.value(message)
        if value is None:
            self.cells.append(np.nan)
        elif self.are_texts:
            self.cells.append(self.codes.setdefault(_text(value, self.column.type), len(self.codes)))
        else:
            self.cells.append(float(value))
            self.not_finite += not math.isfinite(self.cells[-1])

    def as_written(self, numbers: Array) -> np.ndarray:
        """The column that these numbers stand for."""
        if not self.are_texts:
            return numbers
        texts = np.array([*self.codes, ""], dtype=np.str_)
        return texts[np.where(np.isnan(numbers), len(self.codes), numbers).astype(np.int64)]


@dataclass
class Topic:
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
    columns: list[Cells] = field(default_factory=list)
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
        """What there is to say about the stamps, and about numbers that are not finite."""
        notes = notes_on_stamps(self.name, self.stamps, found)
        broken = [f"{cells.not_finite} of '{cells.column.name}'" for cells in self.columns if cells.not_finite]
        if broken:
            notes.append(f"numbers that are not finite (nan, inf) count as missing: {', '.join(broken)}")
        delays = 1e-9 * (np.frombuffer(self.received, np.int64) - np.frombuffer(self.stamps, np.int64))
        delay = float(np.median(delays))
        if found.by_stamp == 1 and delay > LATE:
            notes.append(f"{self.name}: messages arrived {delay:.2g} s after their stamps; do both clocks agree?")
        return notes


def _text(value: Any, base_type: str) -> str:
    """A value as the text that a log would have."""
    if base_type == "float32":
        # the shortest text of a float32 says what was meant: 0.1, and not 0.10000000149
        return str(np.float32(value))
    return str(int(value)) if base_type == "bool" else str(value)
