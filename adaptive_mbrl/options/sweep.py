"""Flags of the sub-command that searches for good settings of a training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options.common import (
    Device,
    OptionalInt,
    OptionalName,
    OptionalPath,
    require_at_least,
    require_seed,
    require_threads,
)
from adaptive_mbrl.options.loggers import DEFAULT_LOGGER, LoggerNames, require_loggers
from adaptive_mbrl.options.training import TrainOptions


@dataclass(frozen=True)
class SweepOptions:
    """Search for good settings of a training with Optuna; an interrupted sweep goes on where it stopped.

    Needs the extra packages of 'adaptive-mbrl[sweep]'. Each trial is a training in RUN/trial_NNNN with its output in
    RUN/trial_NNNN.log. The best one's configuration is RUN/best.yaml. Several processes may work on one sweep: run the same
    command again.

    Example: adaptive-mbrl sweep --config cartpole --space examples/sweep/space.yaml --trials 30

    Attributes:
        space: YAML file with the settings that are searched, their ranges, and the figure that is to become good.
        config: training configuration: a YAML file, or the name of one in configs/train. With --data it may be left out.
        data: folder of recorded episodes to train on.
        trials: number of trials of the whole sweep, those of other processes included.
        jobs: number of trials that this process trains at once, each with one thread; with 1, the default, a trial has all.
        set: settings that all trials have, as KEY=VALUE.
        run: folder of the sweep; runs/sweep/NAME if not given, where NAME is that of the configuration or of the data.
        storage: address of a database that Optuna can use, for sweeps on several machines; the file study.db in RUN if not given.
        seed: seed of the search, for one process; a new one every time if not given.
        logger: where the curves are shown: tensorboard, wandb, trackio, several of them, or none.
        device: where the networks run; auto takes a GPU when there is one.
        threads: number of threads of torch and of the simulator if --jobs is 1.
    """

    space: Path
    config: OptionalName = None
    data: OptionalPath = None
    trials: int = 30
    jobs: int = 1
    set: Annotated[tuple[str, ...], arg(metavar="KEY=VALUE", help_behavior_hint="")] = ()
    run: OptionalPath = None
    storage: OptionalName = None
    seed: OptionalInt = None
    logger: LoggerNames = (DEFAULT_LOGGER,)
    device: Device = "auto"
    threads: OptionalInt = None

    def __post_init__(self) -> None:
        require_at_least("--trials", self.trials, 1)
        require_at_least("--jobs", self.jobs, 1)
        require_seed("--seed", self.seed)
        require_threads(self.threads)
        require_loggers(self.logger)
        if self.config is None and self.data is None:
            raise ConfigError("sweep: got neither of --config and --data; give one, or both")
        # the same rules as for a training
        self.training(())

    def training(self, settings: tuple[str, ...], run: Path | None = None) -> TrainOptions:
        """The training of a trial.

        Args:
            settings: those of the trial, as ``KEY=VALUE``.
            run: its run folder.
        """
        return TrainOptions(
            self.config,
            self.data,
            (*self.set, *settings),
            compare=False,
            run=run,
            logger=self.logger,
            # of many trials few are ever looked at, and these get one by 'adaptive-mbrl report'
            report=False,
            device=self.device,
            threads=1 if self.jobs > 1 else self.threads,
        )

    @property
    def logger_names(self) -> tuple[str, ...]:
        """The loggers of --logger, without the word for none."""
        return self.training(()).loggers

    @property
    def folder(self) -> Path:
        """The folder of the sweep."""
        return Path("runs/sweep") / self.training(()).run_folder.name if self.run is None else self.run

    @property
    def needs_simulator(self) -> bool:
        """Whether the configuration names scenarios."""
        return self.training(()).needs_simulator
