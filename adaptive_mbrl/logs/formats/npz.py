"""Archives of NumPy arrays (.npz)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def open_npz(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    """The arrays of an archive. Arrays of Python objects are refused, because reading them may run code."""
    with np.load(path, allow_pickle=False) as arrays:
        yield arrays
