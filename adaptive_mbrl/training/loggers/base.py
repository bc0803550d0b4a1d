"""What a logger is: a place that shows the curves of a training."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from adaptive_mbrl.storage import write_new_bytes_atomically

PROJECT = "adaptive-mbrl"
"""The project that the runs are filed under, where a service has projects."""
ID_FILE = "logger_id"
_ID_BYTES = 6


class Logger(Protocol):
    """Shows the curves of one run. It may fail: whoever calls it warns, and goes on."""

    def start(self, config: Mapping[str, Any]) -> None:
        """Begin to log, or go on with what an earlier process logged of the same run.

        Args:
            config: the configuration of the run, as plain values.
        """

    def scalars(self, values: Mapping[str, float], updates: int) -> None:
        """Add a point to each curve.

        Args:
            values: the new value of each curve, by its name.
            updates: number of outer steps so far.
        """

    def close(self) -> None:
        """Write what is left. Only a logger that was started is closed."""


@dataclass(frozen=True)
class LoggedRun:
    """A run, as loggers know it.

    Attributes:
        folder: the run folder.
    """

    folder: Path

    @property
    def name(self) -> str:
        """What people call it: the last two names of its path, such as ``cartpole/seed_3``."""
        return "/".join(self.folder.resolve().parts[-2:])

    @property
    def group(self) -> str:
        """What it has in common with the runs beside it: the seeds of a training, the trials of a sweep."""
        return self.folder.resolve().parent.name

    def identity(self) -> str:
        """The same text for every process that trains in this folder, and another one for every folder."""
        path = self.folder / ID_FILE
        write_new_bytes_atomically(path, f"{secrets.token_hex(_ID_BYTES)}\n".encode())
        return path.read_text(encoding="utf-8").strip()
