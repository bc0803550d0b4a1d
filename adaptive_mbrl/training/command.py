"""The sub-command `train`: what it does around a training, wherever the episodes come from.

`adaptive_mbrl/cli.py` decides who runs it: `sim` if the configuration names scenarios, this package alone otherwise.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from adaptive_mbrl.device import resolve_device
from adaptive_mbrl.distributed import process_of_launcher
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import TrainOptions
from adaptive_mbrl.runtime import is_first_process, is_launched
from adaptive_mbrl.training.config import config_for_recordings, read_train_config
from adaptive_mbrl.training.execution import Execution
from adaptive_mbrl.training.from_episodes import train_and_compare, train_from_episodes
from adaptive_mbrl.training.given_episodes import KEY, folder_of_episodes
from adaptive_mbrl.training.loggers import prepare_loggers
from adaptive_mbrl.training.plain_progress import plain_bars
from adaptive_mbrl.training.report.reporter import Report
from adaptive_mbrl.training.report.worst import Film
from adaptive_mbrl.training.run_folder import RunFolderError
from adaptive_mbrl.training.seeds import train_seeds
from adaptive_mbrl.training.stopping import Stopped, StopRequest, exit_after
from adaptive_mbrl.training.words import words_of


def train(options: TrainOptions) -> None:
    """Start or resume a training on recorded episodes alone."""
    path = None if options.config is None else Path(options.config)
    if options.data is not None:
        folder_of_episodes(options.data, "--data")
    if path is None or options.data is not None:
        config = config_for_recordings(path, options.settings)
    else:
        config = read_train_config(path, options.settings)
    if options.collectors:
        raise ConfigError(f"--collectors: {options.source} names no scenarios to simulate; allowed: no --collectors")
    if options.seeds is not None:
        train_seeds(options, config)
        return
    device = resolve_device(options.device)
    compared = options.data is not None and options.compare
    start = train_and_compare if compared else train_from_episodes
    run_with_hints(options, lambda run, execution: start(config, run, device, execution))


def run_with_hints(options: TrainOptions, start: Callable[[Path, Execution], Path], film: Film | None = None) -> None:
    """Run a training in its folder, and tell how to go on where it stops.

    Args:
        options: what the user asked for.
        start: runs or resumes the training in the folder that it is given, in the way that it is told, and returns the folder of
            the checkpoint.
        film: draws an episode for the run's page; None where there is no simulator.
    """
    prepare_loggers(options.loggers)
    run = options.run_folder
    if options.resume and not (run / "config.yaml").is_file():
        raise ConfigError(f"--resume: no run to go on with in {run} (it has no config.yaml); leave --resume out to start one")
    again = [*(("torchrun", "...", "-m", "--", "adaptive_mbrl") if is_launched() else ("adaptive-mbrl",)), *words_of(options)]
    stop, report = StopRequest(), Report(film) if options.report else None
    try:
        with stop.on_signals(), plain_bars(), process_of_launcher() as process:
            checkpoint = start(run, Execution(process, options.save_every, options.loggers, report, stop))
    except ConfigError as error:
        # some mistakes in a configuration are only found by a training, which does not know the file's name
        line = str(error) if options.data is None else str(error).replace(KEY, "--data")
        raise ConfigError(f"{options.source}: {line}" if line.startswith("key ") else line) from error
    except OSError as error:
        if error.filename is not None:
            raise
        raise RunFolderError(
            f"{run}: {error.strerror or error}; what is done is kept, go on with: {shlex.join(again)}"
        ) from error
    except (KeyboardInterrupt, Stopped) as asked:
        raise exit_after(asked, again, quiet=not is_first_process()) from None
    if process.is_main:
        print(f"Checkpoint: {checkpoint}")
