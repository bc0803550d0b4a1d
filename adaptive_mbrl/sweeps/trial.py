"""One trial: a training in a process of its own, whose figure is looked at after each round."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.errors import EXIT_INTERRUPTED, ConfigError
from adaptive_mbrl.file_lock import is_held
from adaptive_mbrl.training.job import Job
from adaptive_mbrl.training.recorder import RECORD_FILE
from adaptive_mbrl.training.rounds import RoundRecord
from adaptive_mbrl.training.side_by_side import Started, last_line, start_training

if TYPE_CHECKING:
    from optuna.trial import Trial

SECONDS_BETWEEN_LOOKS = 1.0
_ASKED_TO_END = (0, EXIT_INTERRUPTED, -signal.SIGTERM, -signal.SIGINT)
"""Exit codes of a training that is not done, but that can go on."""


class Pruned(Exception):  # noqa: N818 - the trial has a result
    """Other trials were better after the same round."""


class Interrupted(Exception):  # noqa: N818 - nothing is wrong with the trial
    """The trial has not reached its end, but can go on."""


class TrialError(Exception):
    """The training of a trial failed, or does not have the figure."""


def run_trial(trial: Trial, job: Job, figure: str, threads: int | None, started: Started, ended: Event) -> float:
    """Train until the end, or until other trials are better.

    Args:
        trial: is told the figure after each round.
        job: its training.
        figure: name of the figure.
        threads: number of threads of the training.
        started: is told about the process.
        ended: is set when the sweep has been interrupted.

    Returns:
        The figure of the last round that has it.

    Raises:
        Pruned: other trials were better after the same round.
        Interrupted: the sweep or the training was asked to end; the trial can go on.
        TrialError: the training failed, or it does not have the figure.
    """
    told: dict[int, float] = {}
    # a process that a killed sweep has left behind goes on training; it costs nothing to let it
    while is_held(job.folder):
        _tell(trial, job.folder, figure, told)
        if ended.wait(SECONDS_BETWEEN_LOOKS):
            raise Interrupted
    if not job.is_done:
        _train(trial, job, figure, threads, started, ended, told)
    _tell(trial, job.folder, figure, told)
    if not told:
        raise TrialError(f"no round has the figure {figure}")
    return told[max(told)]


def _train(
    trial: Trial, job: Job, figure: str, threads: int | None, started: Started, ended: Event, told: dict[int, float]
) -> None:
    process = start_training(job, threads)
    started(process)
    if ended.is_set():
        # it began a moment after the others were ended
        process.terminate()
    while (code := _wait(process)) is None:
        try:
            _tell(trial, job.folder, figure, told)
        except (Pruned, TrialError):
            process.terminate()
            process.wait()
            raise
    if code == 0 and job.is_done:
        return
    if code in _ASKED_TO_END:
        raise Interrupted
    raise TrialError(last_line(job.log) if code > 0 else f"ended by signal {-code}")


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(SECONDS_BETWEEN_LOOKS)
    except subprocess.TimeoutExpired:
        return None


def _tell(trial: Trial, folder: Path, figure: str, told: dict[int, float]) -> None:
    """Tell the rounds that are new; `told` has those that were told before."""
    try:
        figures = figure_by_round(folder, figure)
    except ConfigError as error:
        # a figure that is not finite, for example
        raise TrialError(str(error)) from error
    for index, value in figures.items():
        if index not in told:
            told[index] = value
            trial.report(value, index)
            if trial.should_prune():
                raise Pruned(f"given up after round {index}, {figure} {value:.4g}")


def figure_by_round(folder: Path, figure: str) -> Mapping[int, float]:
    """The figure after each round of a run that has it."""
    paths = sorted((folder / "rounds").glob(f"[0-9]*/{RECORD_FILE}"))
    scalars = {int(path.parent.name): load_yaml(path, RoundRecord).scalars for path in paths}
    return {index: values[figure] for index, values in scalars.items() if figure in values}
