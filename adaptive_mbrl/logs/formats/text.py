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
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.cells import number_of
from adaptive_mbrl.logs.formats.columns import Arrays, Columns

_DELIMITERS = ",;\t"
_NOT_UTF8 = "it is no text in UTF-8; allowed: UTF-8 only, so convert it, for example with 'iconv -f UTF-16 -t UTF-8'"
_LINES_AT_ONCE = 512
"""So many lines of a file are in memory; of those before, only the columns that are wanted."""


@contextmanager
def open_text(path: Path) -> Iterator[Columns]:
    """The columns of a text file.

    A column is of numbers if each of its cells is a number or empty, which is NaN; else, or on request, it is of texts. A line
    that ends early, such as the last one of a recording that was cut off, has empty cells at its end, and is counted. Columns are
    separated by whichever of comma, semicolon and tabulator the first line has most of.

    Raises:
        ConfigError: the file is empty, is no text in UTF-8, names a column twice, or has a line with too many cells.
    """
    try:
        with _opened(path) as file:
            yield _columns(file)
    except UnicodeDecodeError as error:
        raise ConfigError(_NOT_UTF8) from error


def _opened(path: Path) -> TextIO:
    opener: Callable[..., TextIO] = gzip.open if path.name.lower().endswith(".gz") else open
    return opener(path, "rt", encoding="utf-8-sig", newline="")


def _columns(file: TextIO) -> _Columns:
    header = file.readline()
    if "\0" in header:
        # UTF-16 without a mark at its begin
        raise ConfigError(_NOT_UTF8)
    delimiter = max(_DELIMITERS, key=header.count)
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    if not names:
        raise ConfigError("it is empty; a first line with the names of the columns is needed")
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ConfigError(f"its first line has the name '{repeated[0]}' twice; each column needs a name of its own")
    return _Columns(file, delimiter, names)


class _Columns:
    def __init__(self, file: TextIO, delimiter: str, names: Sequence[str]) -> None:
        self._lines, self.names = csv.reader(file, delimiter=delimiter), names

    def read(self, names: Collection[str], as_written: Collection[str]) -> Arrays:
        places = {name: self.names.index(name) for name in names}
        columns = {name: _Column(name in as_written) for name in names}
        numbers: list[NDArray[np.int64]] = []
        short: list[int] = []
        lines = self._checked(short)
        while some := list(islice(lines, _LINES_AT_ONCE)):
            numbers.append(np.array([number for number, _ in some], dtype=np.int64))
            for name, i in places.items():
                columns[name].add([line[i].strip() if i < len(line) else "" for _, line in some])
        return Arrays(
            {name: column.array() for name, column in columns.items()},
            {name: column.empty for name, column in columns.items()},
            np.concatenate(numbers) if numbers else np.zeros(0, dtype=np.int64),
            self._about(short),
        )

    def _checked(self, short: list[int]) -> Iterator[tuple[int, list[str]]]:
        """The lines that are not blank, with their numbers in the file; those with too few cells are noted in `short`."""
        begin, num = 2, len(self.names)
        for line in self._lines:
            if len(line) > num:
                raise ConfigError(f"line {begin} has {len(line)} cells, and the first line {num} names")
            if line:
                if len(line) < num:
                    short.append(begin)
                yield begin, line
            # a cell in quotes may go on in the next line; the reader has not counted the first one of the file
            begin = self._lines.line_num + 2

    def _about(self, short: Sequence[int]) -> tuple[str, ...]:
        if not short:
            return ()
        lines = f"line {short[0]} has" if len(short) == 1 else f"{len(short)} lines, the first of them line {short[0]}, have"
        return (f"{lines} fewer cells than the first line has names ({len(self.names)}); those that are missing count as empty",)


class _Column:
    """The cells of a column, in parts; they are numbers until one is none."""

    def __init__(self, are_texts: bool) -> None:
        self._are_texts, self.empty = are_texts, 0
        self._parts: list[np.ndarray] = []

    def add(self, cells: list[str]) -> None:
        """Add cells below the others."""
        self.empty += cells.count("")
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
