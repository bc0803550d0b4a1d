"""How a training is carried out; nothing of it changes what comes out, so that it may differ when a run goes on."""

from __future__ import annotations

from dataclasses import dataclass, field

from adaptive_mbrl.options.loggers import DEFAULT_LOGGER
from adaptive_mbrl.options.training import SAVE_EVERY
from adaptive_mbrl.process import SINGLE, Process
from adaptive_mbrl.training.report.reporter import Report
from adaptive_mbrl.training.stopping import StopRequest


@dataclass(frozen=True)
class Execution:
    """How a training is carried out.

    Attributes:
        process: this process among those that train together.
        save_every: time after which a fit that is going on is saved again, so that no more is lost when it is killed [s].
        loggers: names of the loggers that get the curves.
        report: the page that is written after each round; None for none.
        stop: whether it has been asked to stop; whoever starts it decides which signals are heard.
    """

    process: Process = SINGLE
    save_every: float = SAVE_EVERY
    loggers: tuple[str, ...] = (DEFAULT_LOGGER,)
    report: Report | None = None
    stop: StopRequest = field(default_factory=StopRequest)
