"""What the cells of a column say: numbers, or whether something is true."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.samples import Array

_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")


def number_of(cell: str) -> float:
    """The number in a cell; NaN for an empty one.

    Raises:
        ValueError: it is no number.
    """
    if "_" in cell:
        # Python would read 2024_05_31 as a number
        raise ValueError(cell)
    return float(cell or "nan")


def numbers(column: np.ndarray, name: str, lines: NDArray[np.int64] | None = None) -> Array:
    """A column as numbers, (S,); NaN for an empty cell and for what is not finite.

    Args:
        column: the column, (S,).
        name: its name, for the error message.
        lines: line of the file in which each cell stands, (S,); without them, rows are counted from 1.

    Raises:
        ConfigError: a cell is a text, a date or a duration.
    """
    if column.dtype.kind in "mM":
        # NumPy would make a number of some of them, in whatever unit they have
        raise ConfigError(f"column '{name}' has {'dates' if column.dtype.kind == 'M' else 'durations'}; allowed: numbers")
    if column.dtype.kind in "biuf":
        found = column.astype(np.float64)
    else:
        found = np.zeros(len(column))
        for row, cell in enumerate(column):
            try:
                found[row] = number_of(str(cell))
            except ValueError:
                where = f"row {row + 1}" if lines is None else f"line {lines[row]}"
                hint = "; use a decimal point" if _DECIMAL_COMMA.fullmatch(str(cell)) else ""
                raise ConfigError(f"column '{name}', {where}: {str(cell)!r} is no number{hint}") from None
    return np.where(np.isfinite(found), found, np.nan)


def truths(column: np.ndarray, name: str, lines: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
    """Where a column is true, or a number other than 0, (S,). An empty cell is false. Arguments as of `numbers`.

    Raises:
        ConfigError: a cell is neither true, false nor a number.
    """
    if column.dtype.kind == "U":
        words = np.char.lower(column)
        known = (words == "true") | (words == "false")
        try:
            values = numbers(np.where(known, "", column), name, lines)
        except ConfigError as error:
            raise ConfigError(f"{error}; allowed: true, false and numbers") from error
        return (words == "true") | (np.isfinite(values) & (values != 0))
    values = numbers(column, name, lines)
    return np.isfinite(values) & (values != 0)
