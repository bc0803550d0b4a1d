"""Parquet files, by pyarrow. A column of lists of one length is an array with two dimensions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.logs.formats.columns import Arrays, Columns


@contextmanager
def open_parquet(path: Path) -> Iterator[Columns]:
    """The columns of a file."""
    parquet = extra_package("pyarrow.parquet", "logs")
    with parquet.ParquetFile(path) as file:
        yield _Columns(file)


class _Columns:
    def __init__(self, file: Any) -> None:
        self._file = file

    @property
    def names(self) -> Sequence[str]:
        return self._file.schema_arrow.names

    def read(self, names: Collection[str], as_written: Collection[str]) -> Arrays:
        arrays: dict[str, np.ndarray] = {}
        empty: dict[str, int] = {}
        for name in names:
            column = self._file.read(columns=[name], use_pandas_metadata=False).column(name)
            arrays[name], empty[name] = _array(column, name in as_written), column.null_count
        return Arrays(arrays, empty)


def _array(column: Any, as_written: bool) -> np.ndarray:
    array = column.to_numpy(zero_copy_only=False)
    if as_written and array.dtype.kind == "f" and extra_package("pyarrow", "logs").types.is_integer(column.type):
        # some are missing, so NumPy has made floats of the others
        return _without_none(np.array([None if cell is None else str(cell) for cell in column.to_pylist()], dtype=object))
    if array.dtype != object:
        return array
    lists = [cell for cell in array if isinstance(cell, np.ndarray)]
    if lists:
        missing = np.full(len(lists[0]), np.nan)
        return np.stack([missing if cell is None else cell for cell in array])
    return _without_none(array)


def _without_none(column: np.ndarray) -> np.ndarray:
    """Texts or numbers, of which those that are missing are empty or NaN."""
    if all(cell is None or isinstance(cell, Number) for cell in column):
        return np.array([np.nan if cell is None else float(cell) for cell in column], dtype=np.float64)
    cells = [cell.decode() if isinstance(cell, bytes) else "" if cell is None else str(cell) for cell in column]
    return np.array(cells, dtype=np.str_)
