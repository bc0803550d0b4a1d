"""Archives of NumPy arrays (.npz)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def open_npz(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    """The arrays of an archive. Arrays of Python objects are refused, because reading them may run code."""
    # opened here, because NumPy leaves a damaged file open
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        yield arrays
