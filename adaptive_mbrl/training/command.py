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
from adaptive_mbrl.training.config import config_for_recordings, read_train_config
from adaptive_mbrl.training.from_episodes import train_and_compare, train_from_episodes
from adaptive_mbrl.training.plain_progress import plain_bars
from adaptive_mbrl.training.run_folder import RunFolderError


def train(options: TrainOptions) -> None:
    """Start or resume a training on recorded episodes alone."""
    path = None if options.config is None else Path(options.config)
    if path is None or options.data is not None:
        config = config_for_recordings(path, options.settings)
    else:
        config = read_train_config(path, options.settings)
    if options.collectors:
        raise ConfigError(f"--collectors: {options.source} names no scenarios to simulate; allowed: no --collectors")
    device = resolve_device(options.device)
    compared = options.data is not None and options.compare
    start = train_and_compare if compared else train_from_episodes
    run_with_hints(options, lambda run: start(config, run, device))


def run_with_hints(options: TrainOptions, start: Callable[[Path], Path]) -> None:
    """Run a training in its folder, and tell how to go on where it stops.

    Args:
        options: what the user asked for.
        start: runs or resumes the training in the folder that it is given, and returns that of the checkpoint.
    """
    run = options.run_folder
    if options.resume and not (run / "config.yaml").is_file():
        raise ConfigError(f"--resume: no run to go on with in {run} (it has no config.yaml); leave --resume out to start one")
    again = shlex.join(["adaptive-mbrl", "train", *_source(options), "--run", str(run), *_as_before(options)])
    try:
        with plain_bars():
            checkpoint = start(run)
    except ConfigError as error:
        # some mistakes in a configuration are only found by a training, which does not know the file's name
        raise ConfigError(f"{options.source}: {error}" if str(error).startswith("key ") else str(error)) from error
    except OSError as error:
        if error.filename is not None:
            raise
        raise RunFolderError(f"{run}: {error.strerror or error}; finished rounds are kept, go on with: {again}") from error
    except KeyboardInterrupt:
        print(f"\ninterrupted; finished rounds are kept, go on with: {again}", file=sys.stderr)
        raise SystemExit(EXIT_INTERRUPTED) from None
    print(f"Checkpoint: {checkpoint}")


def _source(options: TrainOptions) -> list[str]:
    """The flags that say what is trained."""
    given = {"--config": options.config, "--data": options.data}
    return [word for flag, value in given.items() if value is not None for word in (flag, str(value))]


def _as_before(options: TrainOptions) -> list[str]:
    """The other flags of a training, as far as they were given."""
    settings = ["--set", *options.set] if options.set else []
    compare = [] if options.compare else ["--no-compare"]
    collectors = ["--collectors", str(options.collectors)] if options.collectors else []
    engine = [] if options.engine == "local" else ["--engine", options.engine]
    device = [] if options.device == "auto" else ["--device", options.device]
    threads = [] if options.threads is None else ["--threads", str(options.threads)]
    return settings + compare + collectors + engine + device + threads
