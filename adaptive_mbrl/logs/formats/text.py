"""CSV and TSV files, which may be compressed (.gz). The first line has the names of the columns."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.cells import number_of
from adaptive_mbrl.logs.formats.columns import Columns

_DELIMITERS = ",;\t"
_LINES_AT_ONCE = 512
"""So many lines of a file are in memory; of those before, only the columns that are wanted."""


@contextmanager
def open_text(path: Path) -> Iterator[Columns]:
    """The columns of a text file.

    A column is of numbers if each of its cells is a number or empty, which is NaN; else, or on request, it is of texts. A line
    that ends early, such as the last one of a recording that was cut off, has empty cells at its end. Columns are separated by
    whichever of comma, semicolon and tabulator the first line has most of.

    Raises:
        ConfigError: the file is empty, names a column twice, or has a line with too many cells.
    """
    opener: Callable[..., TextIO] = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        delimiter = max(_DELIMITERS, key=header.count)
        names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
        if not names:
            raise ConfigError("it is empty; a first line with the names of the columns is needed")
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            raise ConfigError(f"its first line has the name '{repeated[0]}' twice; each column needs a name of its own")
        yield _Columns(csv.reader(file, delimiter=delimiter), names)


class _Columns:
    def __init__(self, lines: Iterator[list[str]], names: Sequence[str]) -> None:
        self._lines, self.names = lines, names

    def read(self, names: Collection[str], as_written: Collection[str]) -> dict[str, np.ndarray]:
        places = {name: self.names.index(name) for name in names}
        columns = {name: _Column(name in as_written) for name in names}
        lines = _checked(self._lines, len(self.names))
        while some := list(islice(lines, _LINES_AT_ONCE)):
            for name, i in places.items():
                columns[name].add([line[i].strip() if i < len(line) else "" for line in some])
        return {name: column.array() for name, column in columns.items()}


def _checked(lines: Iterator[list[str]], num: int) -> Iterator[list[str]]:
    """The lines that are not blank, which have at most `num` cells."""
    for number, line in enumerate(lines, start=2):
        if len(line) > num:
            raise ConfigError(f"line {number} has {len(line)} cells, and the first line {num} names")
        if line:
            yield line


class _Column:
    """The cells of a column, in parts; they are numbers until one is none."""

    def __init__(self, are_texts: bool) -> None:
        self._are_texts = are_texts
        self._parts: list[np.ndarray] = []

    def add(self, cells: list[str]) -> None:
        """Add cells below the others."""
        if not self._are_texts:
            try:
                self._parts.append(np.array([number_of(cell) for cell in cells]))
                return
            except ValueError:
                self._are_texts = True
                self._parts = [np.where(np.isnan(part), "", part.astype(np.str_)) for part in self._parts]
        self._parts.append(np.array(cells, dtype=np.str_))

    def array(self) -> np.ndarray:
        """All cells, (S,)."""
        return np.concatenate(self._parts) if self._parts else np.zeros(0)
