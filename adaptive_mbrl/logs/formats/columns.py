"""What each format makes of an open file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Arrays:
    """Some arrays of a file.

    Attributes:
        arrays: the arrays by their names.
        empty: how many cells of an array are empty, and NaN for that reason; an array that is not there has none.
        lines: line of the file in which each row stands, counted from 1, (S,); None for a format without lines.
        notes: sentences that a user should read about the file.
    """

    arrays: Mapping[str, np.ndarray]
    empty: Mapping[str, int] = field(default_factory=dict)
    lines: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()


class Columns(Protocol):
    """The arrays of an open file, of which only those that are asked for are read."""

    @property
    def names(self) -> Sequence[str]:
        """The names of all arrays."""

    def read(self, names: Collection[str], as_written: Collection[str]) -> Arrays:
        """Read some arrays; it can be called once.

        Args:
            names: which arrays.
            as_written: those in which cells that differ must stay different. In others, a text or an integer may become a float.
        """
