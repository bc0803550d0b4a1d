"""Parquet files of a dataset: written one after another up to a size, and read as NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.stores.lerobot.layout import FILES_PER_CHUNK, MEGABYTES_PER_FILE


class RollingFiles:
    """Tables in numbered files; the next file begins when one is full.

    Args:
        root: folder of the dataset.
        pattern: path of a file in it, with the numbers `chunk_index` and `file_index`.
        most_bytes: size of a file in memory, before it is compressed.
    """

    def __init__(self, root: Path, pattern: str, most_bytes: int = MEGABYTES_PER_FILE << 20) -> None:
        self._root, self._pattern, self._most_bytes = root, pattern, most_bytes
        self._number, self._bytes = 0, 0
        self._writer: Any = None

    def place(self, num_bytes: int) -> tuple[int, int]:
        """The numbers of the chunk and of the file that a table of this size comes into."""
        if self._bytes > 0 and self._bytes + num_bytes > self._most_bytes:
            self.close()
            self._number, self._bytes = self._number + 1, 0
        return divmod(self._number, FILES_PER_CHUNK)

    def write(self, table: Any) -> None:
        """Append a table to the file that `place` has said, as one group of rows."""
        if self._writer is None:
            chunk, file = divmod(self._number, FILES_PER_CHUNK)
            path = self._root / self._pattern.format(chunk_index=chunk, file_index=file)
            path.parent.mkdir(parents=True, exist_ok=True)
            # a dictionary of measured numbers is as large as these, and the file would be larger than its limit
            self._writer = extra_package("pyarrow.parquet", "lerobot").ParquetWriter(path, table.schema, use_dictionary=False)
        self._writer.write_table(table)
        self._bytes += table.nbytes

    def close(self) -> None:
        """Complete the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def read_columns(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns of a file: numbers as (rows,), lists of one length as (rows, length), texts as objects.

    Raises:
        ConfigError: the file is damaged, or lacks a column.
    """
    parquet = extra_package("pyarrow.parquet", "lerobot")
    with damage_named(path):
        table = parquet.read_table(path, columns=list(names))
        missing = [name for name in names if name not in table.column_names]
        if missing:
            raise ValueError(f"it has no column '{missing[0]}'")
        return {name: _array(table.column(name).combine_chunks(), name) for name in names}


def _array(column: Any, name: str) -> np.ndarray:
    types = extra_package("pyarrow", "lerobot").types
    is_list = types.is_list(column.type) or types.is_fixed_size_list(column.type) or types.is_large_list(column.type)
    if not is_list or types.is_string(column.type.value_type):
        return column.to_numpy(zero_copy_only=False)
    values = column.flatten().to_numpy(zero_copy_only=False)
    if column.null_count or len(values) % max(1, len(column)):
        raise ValueError(f"the arrays of column '{name}' have different lengths")
    return values.reshape(len(column), -1)


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Say which file cannot be read, and why.

    Raises:
        ConfigError: it cannot.
    """
    errors = extra_package("pyarrow", "lerobot").ArrowException
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (errors, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path}: damaged: {error}") from error
