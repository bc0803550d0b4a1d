"""Archives of NumPy arrays (.npz)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.logs.formats.columns import Columns


@contextmanager
def open_npz(path: Path) -> Iterator[Columns]:
    """The arrays of an archive. Arrays of Python objects are refused, because reading them may run code."""
    # opened here, because NumPy leaves a damaged file open
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        yield _Arrays(arrays)


class _Arrays:
    def __init__(self, arrays: Any) -> None:
        self._arrays = arrays

    @property
    def names(self) -> Sequence[str]:
        return self._arrays.files

    def read(self, names: Collection[str], as_written: Collection[str]) -> dict[str, np.ndarray]:
        return {name: self._arrays[name] for name in names}
