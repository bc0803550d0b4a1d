"""CSV and TSV files, which may be compressed (.gz). The first line has the names of the columns."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np

from adaptive_mbrl.errors import ConfigError

_DELIMITERS = ",;\t"


@contextmanager
def open_text(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    """The columns of a text file.

    A column is of numbers if each of its cells is a number or empty, which is NaN; else it is of texts. A line that ends early,
    such as the last one of a recording that was cut off, has empty cells at its end. Columns are separated by whichever of comma,
    semicolon and tabulator the first line has most of.

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
        columns = _cells(csv.reader(file, delimiter=delimiter), len(names))
    yield _Columns(dict(zip(names, columns, strict=True)))


def _cells(lines: Iterator[list[str]], num: int) -> list[list[str]]:
    """The cells of each of `num` columns, from lines of cells; blank lines are left out."""
    columns: list[list[str]] = [[] for _ in range(num)]
    for number, line in enumerate(lines, start=2):
        if len(line) > num:
            raise ConfigError(f"line {number} has {len(line)} cells, and the first line {num} names")
        if line:
            for i, column in enumerate(columns):
                column.append(line[i].strip() if i < len(line) else "")
    return columns


class _Columns(Mapping[str, np.ndarray]):
    """Columns of texts, which become numbers when they are asked for."""

    def __init__(self, cells: Mapping[str, Sequence[str]]) -> None:
        self._cells = cells

    def __getitem__(self, name: str) -> np.ndarray:
        cells = self._cells[name]
        try:
            return np.array([float(cell or "nan") for cell in cells], dtype=np.float64)
        except ValueError:
            return np.array(cells, dtype=np.str_)

    def __iter__(self) -> Iterator[str]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)
