"""A log file as a table: columns of one length, each with a name, whatever the file's format.

An array with two dimensions is as many columns: `pose[0]`, `pose[1]` and so on, for which `pose.0` may be written, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import AdaptiveMBRLError, ConfigError
from adaptive_mbrl.logs.bags.files import STORAGE
from adaptive_mbrl.logs.formats.columns import Arrays, Columns
from adaptive_mbrl.logs.formats.hdf5 import open_hdf5
from adaptive_mbrl.logs.formats.npz import open_npz
from adaptive_mbrl.logs.formats.parquet import open_parquet
from adaptive_mbrl.logs.formats.text import open_text

Opener = Callable[[Path], AbstractContextManager[Columns]]
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


@dataclass(frozen=True)
class Table:
    """What is wanted of a log file.

    Attributes:
        columns: the columns, (S,) each, as they stand there: numbers, texts, dates or durations.
        lines: line of the file in which each row stands, counted from 1, (S,); None for a format without lines.
        notes: sentences that a user should read about the file.
    """

    columns: Mapping[str, np.ndarray]
    lines: NDArray[np.int64] | None
    notes: tuple[str, ...]


def is_log(path: Path) -> bool:
    """Whether a file's name ends as that of a log."""
    return _ending(path) in FORMATS


def read_table(path: Path, wanted: Mapping[str, str], as_written: Collection[str] = ()) -> Table:
    """Read some columns of a log file.

    Args:
        path: the file.
        wanted: for each wanted column, the key of the YAML file that names it.
        as_written: the columns in which cells that differ must stay different; those of a text file are texts.

    Raises:
        ConfigError: the file cannot be read, is of no known format, lacks a column, or its columns differ in length.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    if not is_log(path):
        raise ConfigError(f"{path}: not a log file; allowed: names that end in {', '.join((*FORMATS, *STORAGE))}")
    try:
        with FORMATS[_ending(path)](path) as columns:
            places = {name: _place(columns.names, name, key) for name, key in wanted.items()}
            bases = {base for base, _ in places.values()}
            read = columns.read(bases, {places[name][0] for name in as_written})
            table = {name: _column(read.arrays[base], base, index, name) for name, (base, index) in places.items()}
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
    notes = _about_not_finite({name: table[name] for name in wanted if name not in as_written}, places, read)
    return Table(table, read.lines, (*read.notes, *notes))


def _about_not_finite(table: Mapping[str, np.ndarray], places: Mapping[str, tuple[str, int | None]], read: Arrays) -> list[str]:
    """What there is to say about cells that hold something, but no finite number."""
    counts = {
        name: int((~np.isfinite(column)).sum()) - read.empty.get(places[name][0], 0)
        for name, column in table.items()
        if column.dtype.kind == "f"
    }
    found = [f"{num} of '{name}'" for name, num in counts.items() if num > 0]
    return [f"cells that are not finite (nan, inf) count as empty: {', '.join(found)}"] if found else []


def _ending(path: Path) -> str:
    endings = [ending for ending in FORMATS if path.name.lower().endswith(ending)]
    return max(endings, key=len, default="")


def _place(names: Sequence[str], name: str, key: str) -> tuple[str, int | None]:
    """The array that holds a column, and which of its columns it is; None for an array that is the column itself."""
    indexed = _INDEXED.fullmatch(name)
    if name in names:
        return name, None
    if indexed is not None and indexed[1] in names:
        return indexed[1], int(indexed[2] or indexed[3])
    known = sorted(names)
    shown = ", ".join(known[:_MOST_NAMES]) + (", ..." if len(known) > _MOST_NAMES else "")
    raise ConfigError(f"no column '{name}' (key '{key}'){did_you_mean(name, known)}; columns: {shown}")


def _column(array: np.ndarray, base: str, index: int | None, name: str) -> np.ndarray:
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    if array.dtype.kind not in "biufUmM":
        raise ConfigError(
            f"column '{name}' has the type {array.dtype}; allowed: numbers, texts, truth values, dates and durations"
        )
    if array.ndim == 1 and index is None:
        return array
    if array.ndim == 2 and index is not None and index < array.shape[1]:
        return array[:, index]
    allowed = f"'{base}[0]' to '{base}[{array.shape[1] - 1}]'" if array.ndim == 2 else f"'{base}'" if array.ndim == 1 else "none"
    raise ConfigError(f"column '{name}': '{base}' has the shape {array.shape}; allowed: {allowed}")
