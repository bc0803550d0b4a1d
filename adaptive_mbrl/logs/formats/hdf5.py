"""HDF5 files, by h5py. A data set's name is its path in the file, such as `robot/pose`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.logs.formats.columns import Arrays, Columns


@contextmanager
def open_hdf5(path: Path) -> Iterator[Columns]:
    """The data sets of a file."""
    h5py = extra_package("h5py", "logs")
    with h5py.File(path, "r") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        yield _Datasets(file, names)


class _Datasets:
    def __init__(self, file: Any, names: Sequence[str]) -> None:
        self._file, self.names = file, names

    def read(self, names: Collection[str], as_written: Collection[str]) -> Arrays:
        return Arrays({name: _array(self._file[name][()]) for name in names})


def _array(data: Any) -> np.ndarray:
    if isinstance(data, np.ndarray) and data.dtype == object:
        return np.array([cell.decode() if isinstance(cell, bytes) else str(cell) for cell in data], dtype=np.str_)
    return np.asarray(data)
