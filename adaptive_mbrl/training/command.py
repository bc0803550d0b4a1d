"""The sub-command `train`: what it does around a training, wherever the episodes come from.

`adaptive_mbrl/cli.py` decides who runs it: `sim` if the configuration names scenarios, this package alone otherwise.
"""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from adaptive_mbrl.device import resolve_device
from adaptive_mbrl.distributed import process_of_launcher
from adaptive_mbrl.errors import EXIT_INTERRUPTED, ConfigError
from adaptive_mbrl.options import TrainOptions
from adaptive_mbrl.options.training import SAVE_EVERY
from adaptive_mbrl.training.config import config_for_recordings, read_train_config
from adaptive_mbrl.training.execution import Execution
from adaptive_mbrl.training.from_episodes import train_and_compare, train_from_episodes
from adaptive_mbrl.training.plain_progress import plain_bars
from adaptive_mbrl.training.run_folder import RunFolderError
from adaptive_mbrl.training.stopping import Stopped


def train(options: TrainOptions) -> None:
    """Start or resume a training on recorded episodes alone."""
    path = None if options.config is None else Path(options.config)
    if path is None or options.data is not None:
        config = config_for_recordings(path, options.settings)
    else:
        config = read_train_config(path, options.settings)
    device = resolve_device(options.device)
    compared = options.data is not None and options.compare
    start = train_and_compare if compared else train_from_episodes
    run_with_hints(options, lambda run, execution: start(config, run, device, execution))


def run_with_hints(options: TrainOptions, start: Callable[[Path, Execution], Path]) -> None:
    """Run a training in its folder, and tell how to go on where it stops.

    Args:
        options: what the user asked for.
        start: runs or resumes the training in the folder that it is given, in the way that it is told, and returns the folder of
            the checkpoint.
    """
    run = options.run_folder
    if options.resume and not (run / "config.yaml").is_file():
        raise ConfigError(f"--resume: no run to go on with in {run} (it has no config.yaml); leave --resume out to start one")
    again = shlex.join(["adaptive-mbrl", "train", *_source(options), "--run", str(run), *_as_before(options)])
    try:
        with plain_bars(), process_of_launcher() as process:
            checkpoint = start(run, Execution(process, options.save_every))
    except ConfigError as error:
        # some mistakes in a configuration are only found by a training, which does not know the file's name
        raise ConfigError(f"{options.source}: {error}" if str(error).startswith("key ") else str(error)) from error
    except OSError as error:
        if error.filename is not None:
            raise
        raise RunFolderError(f"{run}: {error.strerror or error}; finished rounds are kept, go on with: {again}") from error
    except (KeyboardInterrupt, Stopped) as stop:
        by_scheduler = isinstance(stop, Stopped) and stop.number == signal.SIGTERM
        kept = "what is done is saved" if isinstance(stop, Stopped) else "finished rounds are kept"
        print(f"\n{'stopped' if by_scheduler else 'interrupted'}; {kept}, go on with: {again}", file=sys.stderr)
        # to a scheduler, a training that has saved what it has is no failure
        raise SystemExit(0 if by_scheduler else EXIT_INTERRUPTED) from None
    if process.is_main:
        print(f"Checkpoint: {checkpoint}")


def _source(options: TrainOptions) -> list[str]:
    """The flags that say what is trained."""
    given = {"--config": options.config, "--data": options.data}
    return [word for flag, value in given.items() if value is not None for word in (flag, str(value))]


def _as_before(options: TrainOptions) -> list[str]:
    """The other flags of a training, as far as they were given."""
    settings = ["--set", *options.set] if options.set else []
    compare = [] if options.compare else ["--no-compare"]
    device = [] if options.device == "auto" else ["--device", options.device]
    saves = [] if options.save_every == SAVE_EVERY else ["--save-every", f"{options.save_every:g}"]
    return settings + compare + device + saves + ([] if options.threads is None else ["--threads", str(options.threads)])
