"""A logger that cannot stop a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tqdm import tqdm

from adaptive_mbrl.errors import reason_of
from adaptive_mbrl.training.loggers.base import Logger


class GuardedLogger:
    """Starts a logger when there is something to log, so that a finished run is left alone, and goes on when it fails.

    The first failure is told in one line. A logger that could not be started is not tried again; one that failed later is,
    because a full disk may have room again.

    Args:
        name: what it is called in the warning.
        logger: the logger.
        config: the configuration of the run, as plain values.
    """

    def __init__(self, name: str, logger: Logger, config: Mapping[str, Any]) -> None:
        self._name, self._logger, self._config = name, logger, config
        self._started = self._given_up = self._warned = False

    def scalars(self, values: Mapping[str, float], updates: int) -> None:
        """Add a point to each curve, if that works."""
        if not self._started and not self._given_up:
            self._started = self._works(lambda: self._logger.start(self._config), "is left out of this training")
            self._given_up = not self._started
        if self._started:
            self._works(lambda: self._logger.scalars(values, updates), "some of its figures are lost")

    def close(self) -> None:
        """Close the logger, if it was started."""
        if self._started:
            self._works(self._logger.close, "some of its figures may be lost")
        self._started = False

    def _works(self, call: Callable[[], None], consequence: str) -> bool:
        try:
            call()
        except Exception as error:  # whatever a logger raises, the training is worth more
            if not self._warned:
                self._warned = True
                reason = reason_of(error).rstrip(".")
                tqdm.write(f"warning: logger {self._name}: {reason}; {consequence}, and the training goes on")
            return False
        return True
