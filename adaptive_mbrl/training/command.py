"""The sub-command `train`: what it does around a training, wherever the episodes come from.

`adaptive_mbrl/cli.py` decides who runs it: `sim` if the configuration names scenarios, this package alone otherwise.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from adaptive_mbrl.device import resolve_device
from adaptive_mbrl.errors import EXIT_INTERRUPTED, ConfigError
from adaptive_mbrl.options import TrainOptions
from adaptive_mbrl.training.config import read_train_config
from adaptive_mbrl.training.from_episodes import train_from_episodes
from adaptive_mbrl.training.plain_progress import plain_bars
from adaptive_mbrl.training.run_folder import RunFolderError


def train(options: TrainOptions) -> None:
    """Start or resume a training on recorded episodes alone."""
    config = read_train_config(Path(options.config), options.set)
    run_with_hints(options, lambda run: train_from_episodes(config, run, resolve_device(options.device)))


def run_with_hints(options: TrainOptions, start: Callable[[Path], Path]) -> None:
    """Run a training in its folder, and tell how to go on where it stops.

    Args:
        options: what the user asked for.
        start: runs or resumes the training in the folder that it is given, and returns that of the checkpoint.
    """
    run = options.run_folder
    if options.resume and not (run / "config.yaml").is_file():
        raise ConfigError(f"--resume: no run to go on with in {run} (it has no config.yaml); leave --resume out to start one")
    again = shlex.join(["adaptive-mbrl", "train", "--config", options.config, "--run", str(run), *_as_before(options)])
    try:
        with plain_bars():
            checkpoint = start(run)
    except ConfigError as error:
        # some mistakes in a configuration are only found by a training, which does not know the file's name
        raise ConfigError(f"{options.config}: {error}" if str(error).startswith("key ") else str(error)) from error
    except OSError as error:
        if error.filename is not None:
            raise
        raise RunFolderError(f"{run}: {error.strerror or error}; finished rounds are kept, go on with: {again}") from error
    except KeyboardInterrupt:
        print(f"\ninterrupted; finished rounds are kept, go on with: {again}", file=sys.stderr)
        raise SystemExit(EXIT_INTERRUPTED) from None
    print(f"Checkpoint: {checkpoint}")


def _as_before(options: TrainOptions) -> list[str]:
    """The other flags of a training, as far as they were given."""
    settings = ["--set", *options.set] if options.set else []
    device = [] if options.device == "auto" else ["--device", options.device]
    return settings + device + ([] if options.threads is None else ["--threads", str(options.threads)])
