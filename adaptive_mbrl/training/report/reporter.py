"""Keeps the report of a training up to date: records what it needs in each round, and writes the page after it.

A report is worth less than the training: whatever fails becomes a line of warning, and the training goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from tqdm import tqdm

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.errors import reason_of
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.report.figures import RoundFigures, loss_curve, save_figures, this_machine
from adaptive_mbrl.training.report.held_out import HeldOutErrors, held_out_errors, horizons_of
from adaptive_mbrl.training.report.history import read_history
from adaptive_mbrl.training.report.page import REPORT_FILE, Progress, write_page
from adaptive_mbrl.training.report.rationed import RationedFilm
from adaptive_mbrl.training.report.worst import Film

Result = TypeVar("Result")


@dataclass(frozen=True)
class Report:
    """That a page is wanted, and how its video is drawn.

    Attributes:
        film: draws an episode; None where nothing can.
    """

    film: Film | None = None


class Reporter:
    """Records and reports the rounds of one run, in the first of its processes.

    Args:
        run: the run folder.
        config: the configuration of the run.
        wanted: the page; None to record the rounds without writing one.
        device: where the model is trained.
        processes: number of processes that train together.
    """

    def __init__(self, run: Path, config: TrainConfig, wanted: Report | None, device: torch.device, processes: int) -> None:
        self._run, self._config, self._wanted = run, config, wanted
        self._device, self._processes = device, processes
        self._held_out: HeldOutErrors | None = None
        self._film = None if wanted is None or wanted.film is None else RationedFilm(wanted.film)

    def predict(self, adapter: Adapter[Any], held_out: Sequence[Episode]) -> None:
        """Let the model, as it is after a fit, predict the held-out episodes as far as the planner looks ahead."""
        window, horizons = self._config.window, horizons_of(self._config)
        self._held_out = self._works(
            lambda: held_out_errors(adapter, held_out, window, horizons, self._device), "errors on held-out episodes"
        )

    def save(
        self,
        folder: Path,
        losses: Sequence[float],
        updates: int,
        fit_seconds: float,
        collect_seconds: float | None,
        updates_per_second: float | None,
    ) -> None:
        """Write what a round has recorded into its folder.

        Args:
            folder: the folder of the round.
            losses: the loss of each outer step of its fit.
            updates: number of outer steps since the run began.
            fit_seconds: time of the fit [s].
            collect_seconds: time of the collection [s]; None for none.
            updates_per_second: speed of the fit [1/s]; None where it is not known.
        """
        machine = this_machine(self._device, self._processes)
        curve = loss_curve(losses, updates)
        figures = RoundFigures(machine, fit_seconds, collect_seconds, updates_per_second, curve, self._held_out)
        self._works(lambda: save_figures(folder, figures), "figures of the round")

    def is_behind(self, last_round: Path) -> bool:
        """Whether the page is older than the last round, whose folder is given, or there is none."""
        page = self._run / REPORT_FILE
        return not page.is_file() or page.stat().st_mtime < last_round.stat().st_mtime

    def write(self, store: EpisodeStore | None, seconds_left: float | None, *, is_done: bool) -> None:
        """Write the page, if it is wanted.

        Args:
            store: the episodes of the run.
            seconds_left: how long the rest will take [s]; None where nobody knows.
            is_done: whether there is no rest.
        """
        wanted = self._wanted
        if wanted is None:
            return
        progress = Progress("done" if is_done else "training", None if is_done else seconds_left)
        film = wanted.film if is_done else self._film
        self._works(lambda: write_page(read_history(self._run, store), progress, film), "the page")

    def _works(self, call: Callable[[], Result], what: str) -> Result | None:
        try:
            return call()
        except Exception as error:  # whatever it is, the training is worth more
            reason = reason_of(error).rstrip(".")
            tqdm.write(f"warning: report: {what}: {reason}; the training goes on")
            return None
