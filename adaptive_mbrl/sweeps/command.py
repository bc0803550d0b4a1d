"""The sub-command `sweep`: many trainings with other settings, to find good ones."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping
from concurrent.futures import as_completed
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from adaptive_mbrl.config import from_mapping, read_mapping, to_mapping, with_settings
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.options import SweepOptions
from adaptive_mbrl.progress import duration
from adaptive_mbrl.sweeps.result import print_result, shown, write_best
from adaptive_mbrl.sweeps.space import Setting, SweepConfig, assignment, load_space
from adaptive_mbrl.sweeps.study import Trials, folder_number
from adaptive_mbrl.sweeps.trial import Interrupted, Pruned, TrialError, run_trial
from adaptive_mbrl.sweeps.workers import Worker
from adaptive_mbrl.training.config import TrainConfig, content_for_recordings
from adaptive_mbrl.training.given_episodes import folder_of_episodes
from adaptive_mbrl.training.job import Job
from adaptive_mbrl.training.loggers import prepare_loggers
from adaptive_mbrl.training.side_by_side import Started, child_processes
from adaptive_mbrl.training.stopping import Stopped, exit_after
from adaptive_mbrl.training.words import flags_of, words_of

if TYPE_CHECKING:
    from optuna.trial import Trial


def sweep(options: SweepOptions) -> None:
    """Begin a sweep of trainings on recorded episodes alone, or go on with it."""
    path = None if options.config is None else Path(options.config)
    if options.data is not None:
        folder_of_episodes(options.data, "--data")
    run_sweep(options, content_for_recordings(path) if path is None or options.data is not None else read_mapping(path))


def run_sweep(options: SweepOptions, content: Mapping[str, Any]) -> None:
    """Begin a sweep, or go on with it.

    Args:
        options: what the user asked for.
        content: the training configuration before any setting, as plain values.

    Raises:
        SweepError: no trial has reached its end.
    """
    training = options.training(())
    content = with_settings(content, training.settings)
    base = from_mapping(TrainConfig, content, source=training.source)
    if base.data.episodes_from is not None:
        # every trial would fail of it
        EpisodeStore.check(folder_of_episodes(base.data.episodes_from))
    config, space = load_space(options.space, content)
    prepare_loggers(options.logger_names)
    extra_package("optuna", "sweep")
    options.folder.mkdir(parents=True, exist_ok=True)
    worker = Worker(options.folder)
    asked_for = {"content": to_mapping(content), "sweep": to_mapping(config)}
    trials = Trials(options.folder, options.storage, config, asked_for, options.trials, options.seed, worker)
    print(
        f"{options.folder}: up to {options.trials} trials, {options.jobs} at once; {len(trials.ended())} have ended",
        file=sys.stderr,
    )
    try:
        with worker.alive():
            _Sweep(options, content, config, space, trials).run()
    except (KeyboardInterrupt, Stopped) as stop:
        raise exit_after(stop, ["adaptive-mbrl", *words_of_sweep(options)]) from None
    print_result(options.folder, config, trials)


def words_of_sweep(options: SweepOptions) -> list[str]:
    """The words behind `adaptive-mbrl` that begin this sweep or go on with it."""
    return ["sweep", *flags_of(dataclasses.replace(options, run=options.folder))]


class _Sweep:
    """A sweep in this process: some threads, each of which watches one trial after the other."""

    def __init__(
        self,
        options: SweepOptions,
        content: Mapping[str, Any],
        config: SweepConfig,
        space: Mapping[str, Setting],
        trials: Trials,
    ) -> None:
        self.options, self.content, self.config, self.space, self.trials = options, content, config, space, trials
        self.ended, self.lock = Event(), Lock()
        self.seconds: list[float] = []

    def run(self) -> None:
        """Work until no trial is left to begin."""
        with child_processes(self.options.jobs) as (pool, started):
            try:
                for worker in as_completed([pool.submit(self._work, started) for _ in range(self.options.jobs)]):
                    worker.result()
            finally:
                # where it leaves early, nobody begins another trial
                self.ended.set()

    def _work(self, started: Started) -> None:
        while not self.ended.is_set() and (trial := self.trials.next()) is not None:
            self._try(trial, started)

    def _try(self, trial: Trial, started: Started) -> None:
        """Run one trial and tell Optuna and the user how it went."""
        begun, figure = time.monotonic(), self.config.objective
        try:
            job = self._job(trial)
            value = run_trial(trial, job, figure, 1 if self.options.jobs > 1 else self.options.threads, started, self.ended)
        except Interrupted:
            self.trials.put_back(trial.number)
            return
        except Pruned as pruned:
            self.trials.prune(trial)
            outcome = str(pruned)
        except (TrialError, ConfigError) as error:
            self.trials.fail(trial, str(error))
            outcome = f"FAILED: {error}"
        else:
            self.trials.complete(trial, value)
            outcome = f"{figure} {value:.4g}"
        with self.lock:
            self.seconds.append(time.monotonic() - begun)
            best = write_best(self.options.folder, self.config, self.trials)
            self._tell(trial, f"{outcome}{best}")

    def _job(self, trial: Trial) -> Job:
        """The training of a trial."""
        settings = tuple(assignment(key, setting.suggest(trial, key)) for key, setting in self.space.items())
        folder = self.options.folder / f"trial_{folder_number(trial):04d}"
        config = from_mapping(TrainConfig, with_settings(self.content, settings), source=f"--set {' '.join(settings)}")
        words = words_of(self.options.training(settings, folder))
        return Job(folder, config, (sys.executable, "-m", "adaptive_mbrl", *words), "trial", " ".join(settings))

    def _tell(self, trial: Trial, outcome: str) -> None:
        settings = ", ".join(f"{key} {shown(value)}" for key, value in trial.params.items())
        ended, num = len(self.trials.ended()), self.trials.num
        left = max(0, num - ended) * sum(self.seconds) / len(self.seconds) / self.options.jobs
        rest = f", about {duration(left)} left" if left else ""
        tqdm.write(f"{ended} of {num}{rest}; trial {folder_number(trial)}: {outcome}; {settings}", file=sys.stderr)
