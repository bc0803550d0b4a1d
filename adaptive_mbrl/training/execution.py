"""How a training is carried out; nothing of it changes what comes out, so that it may differ when a run goes on."""

from __future__ import annotations

from dataclasses import dataclass

from adaptive_mbrl.options.loggers import DEFAULT_LOGGER
from adaptive_mbrl.options.training import SAVE_EVERY
from adaptive_mbrl.process import SINGLE, Process


@dataclass(frozen=True)
class Execution:
    """How a training is carried out.

    Attributes:
        process: this process among those that train together.
        loggers: names of the loggers that get the curves.
        save_every: time after which a fit that is going on is saved again, so that no more is lost when it is killed [s].
    """

    process: Process = SINGLE
    save_every: float = SAVE_EVERY
    loggers: tuple[str, ...] = (DEFAULT_LOGGER,)
