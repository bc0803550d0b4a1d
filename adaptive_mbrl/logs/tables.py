"""A log file as a table: columns of one length, each with a name, whatever the file's format.

An array with two dimensions is as many columns: `pose[0]`, `pose[1]` and so on, for which `pose.0` may be written, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import AdaptiveMBRLError, ConfigError
from adaptive_mbrl.logs.formats.hdf5 import open_hdf5
from adaptive_mbrl.logs.formats.npz import open_npz
from adaptive_mbrl.logs.formats.parquet import open_parquet
from adaptive_mbrl.logs.formats.text import open_text
from adaptive_mbrl.logs.samples import Array

Opener = Callable[[Path], AbstractContextManager[Mapping[str, np.ndarray]]]
FORMATS: dict[str, Opener] = {
    ".csv": open_text,
    ".csv.gz": open_text,
    ".tsv": open_text,
    ".tsv.gz": open_text,
    ".npz": open_npz,
    ".parquet": open_parquet,
    ".h5": open_hdf5,
    ".hdf5": open_hdf5,
}
_INDEXED = re.compile(r"(.+?)(?:\[(\d+)\]|\.(\d+))")
_MOST_NAMES = 30


def is_log(path: Path) -> bool:
    """Whether a file's name ends as that of a log."""
    return _ending(path) in FORMATS


def read_table(path: Path, wanted: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Read some columns of a log file.

    Args:
        path: the file.
        wanted: for each wanted column, the key of the YAML file that names it.

    Returns:
        The columns, (S,), as they stand there: numbers, texts, dates or durations.

    Raises:
        ConfigError: the file cannot be read, is of no known format, lacks a column, or its columns differ in length.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    if not is_log(path):
        raise ConfigError(f"{path}: not a log file; allowed: names that end in {', '.join(FORMATS)}")
    try:
        with FORMATS[_ending(path)](path) as arrays:
            places = {name: _place(arrays, name, key) for name, key in wanted.items()}
            read = {base: arrays[base] for base in {base for base, _ in places.values()}}
            table = {name: _column(read[base], base, index, name) for name, (base, index) in places.items()}
    except AdaptiveMBRLError as error:
        raise ConfigError(f"{path}: {error}") from error
    except Exception as error:
        # a damaged file can fail in any way
        raise ConfigError(f"{path}: cannot be read, it may be damaged: {error or type(error).__name__}") from error
    lengths = {name: len(column) for name, column in table.items()}
    if len(set(lengths.values())) > 1:
        longest, shortest = max(lengths, key=lengths.__getitem__), min(lengths, key=lengths.__getitem__)
        raise ConfigError(
            f"{path}: '{longest}' has {lengths[longest]} rows and '{shortest}' {lengths[shortest]}; "
            "allowed: columns of one length"
        )
    return table


def numbers(column: np.ndarray, name: str) -> Array:
    """A column as numbers, (S,); NaN for an empty cell and for what is not finite.

    Raises:
        ConfigError: a cell is a text, a date or a duration.
    """
    if column.dtype.kind in "mM":
        # NumPy would make a number of some of them, in whatever unit they have
        raise ConfigError(f"column '{name}' has {'dates' if column.dtype.kind == 'M' else 'durations'}; allowed: numbers")
    if column.dtype.kind in "biuf":
        found = column.astype(np.float64)
        return np.where(np.isfinite(found), found, np.nan)
    for row, cell in enumerate(column):
        try:
            float(cell or "nan")
        except (TypeError, ValueError):
            raise ConfigError(f"column '{name}', row {row + 1}: {str(cell)!r} is no number") from None
    return numbers(np.array([float(cell or "nan") for cell in column]), name)


def _ending(path: Path) -> str:
    endings = [ending for ending in FORMATS if path.name.lower().endswith(ending)]
    return max(endings, key=len, default="")


def _place(arrays: Mapping[str, np.ndarray], name: str, key: str) -> tuple[str, int | None]:
    """The array that holds a column, and which of its columns it is; None for an array that is the column itself."""
    indexed = _INDEXED.fullmatch(name)
    if name in arrays:
        return name, None
    if indexed is not None and indexed[1] in arrays:
        return indexed[1], int(indexed[2] or indexed[3])
    known = sorted(arrays)
    shown = ", ".join(known[:_MOST_NAMES]) + (", ..." if len(known) > _MOST_NAMES else "")
    raise ConfigError(f"no column '{name}' (key '{key}'){did_you_mean(name, known)}; columns: {shown}")


def _column(array: np.ndarray, base: str, index: int | None, name: str) -> np.ndarray:
    if array.ndim == 1 and index is None:
        return array
    if array.ndim == 2 and index is not None and index < array.shape[1]:
        return array[:, index]
    allowed = f"'{base}[0]' to '{base}[{array.shape[1] - 1}]'" if array.ndim == 2 else f"'{base}'" if array.ndim == 1 else "none"
    raise ConfigError(f"column '{name}': '{base}' has the shape {array.shape}; allowed: {allowed}")
