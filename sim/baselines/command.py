"""What the sub-command `train-baseline` does."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from adaptive_mbrl.device import resolve_device
from adaptive_mbrl.errors import EXIT_INTERRUPTED, ConfigError
from adaptive_mbrl.options import TrainBaselineOptions
from adaptive_mbrl.training.plain_progress import plain_bars
from sim.baselines.config import load_baseline_config
from sim.baselines.library import require_library


def train_baseline(options: TrainBaselineOptions) -> None:
    """Start or resume the training of a baseline."""
    require_library()
    from sim.baselines.train import train_baseline as run_training

    config = load_baseline_config(options.config)
    run = options.run or Path("runs/baselines") / Path(options.config).stem
    if options.resume and not (run / "config.yaml").is_file():
        raise ConfigError(f"--resume: no run to go on with in {run} (it has no config.yaml); leave --resume out to start one")
    try:
        with plain_bars():
            policy = run_training(config, run, resolve_device(options.device))
    except ConfigError as error:
        # some mistakes in a configuration are only found by a training, which does not know the file's name
        raise ConfigError(f"{options.config}: {error}" if str(error).startswith("key ") else str(error)) from error
    except KeyboardInterrupt:
        threads = [] if options.threads is None else ["--threads", str(options.threads)]
        flags = ["--config", options.config, "--run", str(run), "--device", options.device, *threads]
        again = shlex.join(["adaptive-mbrl", "train-baseline", *flags])
        print(f"\ninterrupted; finished rounds are kept, go on with: {again}", file=sys.stderr)
        raise SystemExit(EXIT_INTERRUPTED) from None
    print(f"Baseline: {policy}")
