"""`train --seeds`: the same training with several seeds, and what they reach together."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from adaptive_mbrl.console import make_console
from adaptive_mbrl.errors import AdaptiveMBRLError, ConfigError
from adaptive_mbrl.options import TrainOptions
from adaptive_mbrl.options.seeds import parse_seeds
from adaptive_mbrl.progress import shown_progress
from adaptive_mbrl.training.card import CARD_FILE
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.job import FINISHED, Job
from adaptive_mbrl.training.loggers import prepare_loggers
from adaptive_mbrl.training.run_folder import CONFIG_FILE
from adaptive_mbrl.training.seed_table import print_seeds
from adaptive_mbrl.training.side_by_side import run_jobs
from adaptive_mbrl.training.stopping import Stopped, exit_after
from adaptive_mbrl.training.words import words_of


class SeedError(AdaptiveMBRLError):
    """Trainings of some seeds failed; those of the others are done."""


def train_seeds(options: TrainOptions, config: TrainConfig) -> None:
    """Train every seed that is not done, then print the figures over all that are.

    Args:
        options: what the user asked for.
        config: the configuration; its seed does not matter.

    Raises:
        SeedError: some trainings failed.
        ConfigError: a run folder is that of another configuration.
    """
    assert options.seeds is not None
    prepare_loggers(options.loggers)
    folders = {seed: options.run_folder / f"seed_{seed}" for seed in parse_seeds(options.seeds)}
    jobs = [_job(options, config, seed, folder) for seed, folder in folders.items()]
    if options.resume and not any((folder / CONFIG_FILE).is_file() for folder in folders.values()):
        raise ConfigError(f"--resume: no run to go on with in {options.run_folder}; leave --resume out to start one")
    for job in jobs:
        job.check()
    try:
        with shown_progress(make_console(stderr=True), "train") as progress:
            failed = run_jobs(jobs, options.jobs, progress, threads=_threads(options))
    except (KeyboardInterrupt, Stopped) as error:
        raise exit_after(error, ["adaptive-mbrl", *words_of(options)]) from None
    done = [job.folder for job in jobs if job.is_done]
    if done:
        print_seeds(options.run_folder, done)
    if failed:
        first, why = next(iter(failed.items()))
        raise SeedError(f"{len(failed)} of {len(jobs)} trainings failed, the first was {first}: {why}")


def _threads(options: TrainOptions) -> int | None:
    """The threads of each training."""
    return 1 if options.jobs > 1 else options.threads


def _job(options: TrainOptions, config: TrainConfig, seed: int, folder: Path) -> Job:
    """The training of one seed."""
    settings = (*options.set, f"seed={seed}")
    own = dataclasses.replace(options, set=settings, run=folder, seeds=None, jobs=1, threads=_threads(options))
    compared = options.data is not None and options.compare
    return Job(
        folder,
        dataclasses.replace(config, seed=seed),
        (sys.executable, "-m", "adaptive_mbrl", *words_of(own)),
        kind="seed",
        asked_for=f"'{options.source}' with --set {' '.join(own.set)}",
        # the card is written behind the comparison
        finished=f"checkpoint/{CARD_FILE}" if compared else FINISHED,
    )
