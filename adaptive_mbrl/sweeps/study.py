"""The trials of a sweep in Optuna's storage: which there are, which come next, and which have died."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from adaptive_mbrl.errors import AdaptiveMBRLError, ConfigError, reason_of
from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.sweeps.space import SweepConfig
from adaptive_mbrl.sweeps.workers import SECONDS_UNTIL_DEAD, Worker, alone

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

STUDY_FILE = "study.db"
ASKED_FOR = "asked_for"
RETRY_OF, WORKER, WHY = "retry_of", "worker", "why"
"""Attributes of a trial: number of the trial that it takes up again, who works on it, why it failed."""
_SECONDS_FOR_DATABASE = 60.0


class SweepError(AdaptiveMBRLError):
    """A sweep has no result, or its storage cannot be used."""


class Trials:
    """The trials of a sweep, which several processes may share.

    Args:
        folder: the folder of the sweep.
        storage: address of the database; None for a file in the folder.
        config: the file of the sweep.
        asked_for: everything that makes it this sweep, as plain values.
        num: number of trials of the whole sweep.
        seed: seed of the search; None for a new one.
        worker: this process.

    Raises:
        ConfigError: the folder is that of another sweep, or Optuna is not installed.
        SweepError: the database cannot be used.
    """

    def __init__(
        self, folder: Path, storage: str | None, config: SweepConfig, asked_for: Any, num: int, seed: int | None, worker: Worker
    ) -> None:
        self._optuna = extra_package("optuna", "sweep")
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        self.num, self._worker, self._lock = num, worker, Lock()
        self._folder = folder
        text = json.dumps(asked_for, sort_keys=True)
        with alone(folder):
            # two processes that begin a sweep at the same moment would both make its tables
            self.study = self._open(storage, config, seed)
            stored = self.study.user_attrs.get(ASKED_FOR)
            if stored is None:
                self.study.set_user_attr(ASKED_FOR, text)
        if stored is not None and stored != text:
            raise ConfigError(f"{folder}: this sweep was begun with another configuration or space; choose another --run folder")

    def next(self) -> Trial | None:
        """A trial to work on: one that died is taken up again before a new one begins. None if all have been begun."""
        with self._lock, alone(self._folder):
            self._fail_dead()
            trials = self.study.get_trials(deepcopy=False)
            begun = sum(RETRY_OF not in t.user_attrs for t in trials)
            if begun >= self.num and not any(t.state.name == "WAITING" for t in trials):
                return None
            trial = self.study.ask()
            trial.set_user_attr(WORKER, self._worker.name)
            return trial

    def complete(self, trial: Trial, value: float) -> None:
        """A trial has reached its end."""
        self.study.tell(trial, value)

    def prune(self, trial: Trial) -> None:
        """A trial is given up, because others are better."""
        self.study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)

    def fail(self, trial: Trial, why: str) -> None:
        """A trial has no result, and would have none if it were tried again."""
        trial.set_user_attr(WHY, why)
        self.study.tell(trial, state=self._optuna.trial.TrialState.FAIL)

    def put_back(self, number: int) -> None:
        """A trial was interrupted: it fails, and a new one with the same settings will go on in its folder."""
        trial = self.study.get_trials(deepcopy=False)[number]
        try:
            self.study.tell(number, state=self._optuna.trial.TrialState.FAIL)
        except (ValueError, self._optuna.exceptions.UpdateFinishedTrialError):
            # another process was faster
            return
        self.study.enqueue_trial(trial.params, user_attrs={RETRY_OF: folder_number(trial)})

    def ended(self) -> list[FrozenTrial]:
        """The trials that have ended, without those that were or will be taken up again."""
        trials = self.study.get_trials(deepcopy=False)
        newest = {folder_number(t): t for t in trials}
        return [t for t in newest.values() if t.state.is_finished()]

    def best(self) -> FrozenTrial | None:
        """The trial that reached the best figure; None before one has reached its end."""
        complete = [t for t in self.ended() if t.state.name == "COMPLETE"]
        sign = 1 if self.study.direction.name == "MINIMIZE" else -1
        return min(complete, key=lambda t: sign * t.values[0], default=None)

    def _fail_dead(self) -> None:
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state.name == "RUNNING" and self._has_died(trial):
                self.put_back(trial.number)

    def _has_died(self, trial: FrozenTrial) -> bool:
        name = trial.user_attrs.get(WORKER)
        if name is not None:
            return self._worker.is_dead(name)
        # a trial gets its name a moment after it begins
        return trial.datetime_start is not None and (datetime.now() - trial.datetime_start).total_seconds() > SECONDS_UNTIL_DEAD

    def _open(self, storage: str | None, config: SweepConfig, seed: int | None) -> Study:
        optuna = self._optuna
        own = storage is None or storage.startswith("sqlite")
        arguments = {"connect_args": {"timeout": _SECONDS_FOR_DATABASE}} if own else {}
        address = storage or f"sqlite:///{(self._folder / STUDY_FILE).resolve()}"
        try:
            study = optuna.create_study(
                storage=optuna.storages.RDBStorage(address, engine_kwargs=arguments),
                study_name="sweep" if storage is None else str(self._folder),
                direction="minimize" if config.direction == "minimise" else "maximize",
                load_if_exists=True,
            )
        except Exception as error:  # whatever a database raises
            message = f"{storage or self._folder / STUDY_FILE}: cannot be used as storage: {reason_of(error)}"
            raise SweepError(message) from error
        # a sweep that goes on must not draw its first trials again
        seed = None if seed is None else seed + len(study.trials)
        study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        pruning = config.pruning
        study.pruner = (
            optuna.pruners.NopPruner()
            if pruning is None
            else optuna.pruners.MedianPruner(pruning.startup_trials, pruning.warmup_rounds)
        )
        return study


def folder_number(trial: FrozenTrial | Trial) -> int:
    """Number of the trial that first worked in the folder of this one."""
    return trial.user_attrs.get(RETRY_OF, trial.number)
