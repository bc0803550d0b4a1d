"""Curves for trackio (https://huggingface.co/docs/trackio), the extra `trackio`: a local database that `trackio show` shows.

Its own environment variables say where to: `TRACKIO_DIR` for the database, `TRACKIO_SPACE_ID` for a Space.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any

from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.training.loggers.base import PROJECT, LoggedRun


class TrackioLogger:
    """Logs to a run of trackio; the next process in the same run folder goes on with it.

    Args:
        run: the run.
    """

    def __init__(self, run: LoggedRun) -> None:
        self._trackio = extra_package("trackio", "trackio")
        self._logged = run
        self._run: Any = None

    def start(self, config: Mapping[str, Any]) -> None:
        """Begin the run, or go on with it."""
        # trackio knows a run by its name alone
        name = f"{self._logged.name}-{self._logged.identity()}"
        with _as_messages():
            self._run = self._trackio.init(
                PROJECT, name, group=self._logged.group, config=dict(config), resume="allow", embed=False
            )

    def scalars(self, values: Mapping[str, float], updates: int) -> None:
        """Add a point to each curve."""
        self._run.log(dict(values), step=updates)

    def close(self) -> None:
        """Wait until everything is written."""
        with _as_messages():
            # not the run's own method, after which trackio would finish it again when the process ends
            self._trackio.finish()


@contextmanager
def _as_messages() -> Iterator[None]:
    """What trackio prints goes where messages go, not between the results of a command."""
    with redirect_stdout(sys.stderr):
        yield
