"""The sub-command `report`: the page of a run, for one that has none or an old one."""

from __future__ import annotations

from collections.abc import Callable

from adaptive_mbrl.options import ReportOptions
from adaptive_mbrl.training.report.history import History, read_history
from adaptive_mbrl.training.report.page import Progress, write_page
from adaptive_mbrl.training.report.worst import Film
from adaptive_mbrl.training.runs import state_of


def report(options: ReportOptions) -> None:
    """Write the page of runs without a simulator."""
    write_pages(options, lambda history: None)


def write_pages(options: ReportOptions, film_of: Callable[[History], Film | None]) -> None:
    """Write the page of each run into its folder, or where it is wanted.

    Args:
        options: what the user asked for.
        film_of: what draws episodes of a run; None for nothing.
    """
    for run in options.runs:
        history = read_history(run, predicts=True)
        path = write_page(history, progress_of(history), film_of(history), options.out)
        print(f"Written: {path}")


def progress_of(history: History) -> Progress:
    """How far a run is, from its folder; what is left is estimated from the time that an outer step has taken."""
    run, config, record = history.folder, history.config, history.last.record
    state = state_of(run)
    if len(history.rounds) == config.num_rounds:
        return Progress("done")
    updates = sum(config.updates_of(index) for index in range(config.num_rounds))
    return Progress(state, (updates / max(1, record.updates) - 1) * record.seconds)
