"""Archives of NumPy arrays (.npz)."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.formats.columns import Arrays, Columns


@contextmanager
def open_npz(path: Path) -> Iterator[Columns]:
    """The arrays of an archive. Arrays of Python objects are refused, because reading them may run code.

    Raises:
        ConfigError: the file is no such archive.
    """
    # opened here, because NumPy leaves a damaged file open
    with path.open("rb") as file:
        # of another file, NumPy would say that it may be loaded unsafely
        if not zipfile.is_zipfile(file):
            raise ConfigError("it is no NPZ archive of plain arrays, as numpy.savez writes it, or it was cut")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            yield _Archive(arrays)


class _Archive:
    def __init__(self, arrays: Any) -> None:
        self._arrays = arrays

    @property
    def names(self) -> Sequence[str]:
        return self._arrays.files

    def read(self, names: Collection[str], as_written: Collection[str]) -> Arrays:
        return Arrays({name: self._array(name) for name in names})

    def _array(self, name: str) -> np.ndarray:
        try:
            return np.asarray(self._arrays[name])
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            raise ConfigError(f"'{name}' is an array of Python objects; allowed: arrays of numbers, texts or dates") from None
