"""Flags of the sub-commands that make training data of what a robot recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class ImportLogsOptions:
    """Turn a robot's logs (CSV, TSV, Parquet, NPZ, HDF5) into episodes for training.

    Parquet and HDF5 need the extra packages of 'adaptive-mbrl[logs]'. A file that cannot be read is skipped; the others are
    imported, and the exit code is 2.

    Attributes:
        files: log files, and folders that hold some.
        config: YAML file that says what the columns mean.
        out: folder of the episodes; new ones are appended, and a file that was imported before is left out.
    """

    files: Positional[tuple[Path, ...]]
    config: Path
    out: Path
