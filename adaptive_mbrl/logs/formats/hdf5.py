"""HDF5 files, by h5py. A data set's name is its path in the file, such as `robot/pose`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.logs.formats.extra import extra_package


@contextmanager
def open_hdf5(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    """The data sets of a file."""
    h5py = extra_package("h5py")
    with h5py.File(path, "r") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        yield _Datasets(file, tuple(names))


class _Datasets(Mapping[str, np.ndarray]):
    """Data sets that are read when they are asked for."""

    def __init__(self, file: Any, names: tuple[str, ...]) -> None:
        self._file, self._names = file, names

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        data = self._file[name][()]
        if isinstance(data, np.ndarray) and data.dtype == object:
            return np.array([cell.decode() if isinstance(cell, bytes) else str(cell) for cell in data], dtype=np.str_)
        return np.asarray(data)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
