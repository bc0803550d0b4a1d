"""Parquet files, by pyarrow. A column of lists of one length is an array with two dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.logs.formats.extra import extra_package


@contextmanager
def open_parquet(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    """The columns of a file."""
    parquet = extra_package("pyarrow.parquet")
    with parquet.ParquetFile(path) as file:
        yield _Columns(file)


class _Columns(Mapping[str, np.ndarray]):
    """Columns that are read when they are asked for."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._file.schema_arrow.names:
            raise KeyError(name)
        column = self._file.read(columns=[name], use_pandas_metadata=False).column(name).to_numpy(zero_copy_only=False)
        if column.dtype != object:
            return column
        if len(column) and isinstance(column[0], np.ndarray):
            return np.stack(column)
        return _without_none(column)

    def __iter__(self) -> Iterator[str]:
        return iter(self._file.schema_arrow.names)

    def __len__(self) -> int:
        return len(self._file.schema_arrow.names)


def _without_none(column: np.ndarray) -> np.ndarray:
    """Texts or truth values, of which those that are missing are empty or NaN."""
    if any(isinstance(cell, str) for cell in column):
        return np.array(["" if cell is None else str(cell) for cell in column], dtype=np.str_)
    return np.array([np.nan if cell is None else float(cell) for cell in column], dtype=np.float64)
