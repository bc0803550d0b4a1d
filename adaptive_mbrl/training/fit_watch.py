"""Watches the fit of a round: shows and records its figures, saves it from time to time, and stops it when it is asked to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from torch import Tensor
from tqdm import tqdm

from adaptive_mbrl.errors import DivergenceError
from adaptive_mbrl.meta.observer import FitObserver
from adaptive_mbrl.training.execution import Execution
from adaptive_mbrl.training.status import FitBar

STEPS_BETWEEN_QUESTIONS = 10
"""Where several processes train together, they ask each other so often whether one of them has been asked to stop."""


class FitWatch(FitObserver):
    """Watches the fit of one round.

    Args:
        bar: the bar of the fit.
        execution: how often the fit is saved, and whether it has been asked to stop.
        record: takes the figures.
        save: saves the fit, given its losses so far.
        dump: writes a step that was skipped, and says where.
        clock: the time [s].

    Attributes:
        losses: the losses of the fit so far; None before the first one.
    """

    def __init__(
        self,
        bar: FitBar,
        execution: Execution,
        record: Callable[[Mapping[str, float]], None],
        save: Callable[[Tensor], None],
        dump: Callable[[DivergenceError], DivergenceError],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bar, self._execution = bar, execution
        self._record, self._save, self._dump, self._clock = record, save, dump, clock
        self._saved = clock()
        self.losses: Tensor | None = None

    def report(self, updates: int, scalars: Mapping[str, float]) -> None:
        self._bar.report(scalars)
        if self._execution.process.is_main:
            self._record(scalars)

    def updated(self, losses: Tensor) -> None:
        self.losses = losses
        self._bar.update(len(losses) - self._bar.n)
        process, stop = self._execution.process, self._execution.stop
        # asking the others costs a message
        stopping = (process.world_size == 1 or len(losses) % STEPS_BETWEEN_QUESTIONS == 0) and stop.is_made(process)
        if process.is_main and (stopping or self._clock() - self._saved >= self._execution.save_every):
            self._save(losses)
            self._saved = self._clock()
        if stopping:
            stop.obey()

    def skipped(self, error: DivergenceError) -> None:
        if self._execution.process.is_main:
            tqdm.write(f"skipped: {self._dump(error)}")
