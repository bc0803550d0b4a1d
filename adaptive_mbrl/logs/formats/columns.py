"""What each format makes of an open file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np


class Columns(Protocol):
    """The arrays of an open file, of which only those that are asked for are read."""

    @property
    def names(self) -> Sequence[str]:
        """The names of all arrays."""

    def read(self, names: Collection[str], as_written: Collection[str]) -> dict[str, np.ndarray]:
        """Read some arrays; it can be called once.

        Args:
            names: which arrays.
            as_written: those in which cells that differ must stay different. In others, a text or an integer may become a float.
        """
