"""The command line of a training, from its options: for the processes that are started, and for the hint how to go on."""

from __future__ import annotations

from adaptive_mbrl.options import TrainOptions
from adaptive_mbrl.options.loggers import DEFAULT_LOGGER


def words_of(options: TrainOptions) -> list[str]:
    """The words behind `adaptive-mbrl` that start or resume this training; `--resume` is not among them."""
    given = {"--config": options.config, "--data": options.data}
    source = [word for flag, value in given.items() if value is not None for word in (flag, str(value))]
    return ["train", *source, "--run", str(options.run_folder), *_others(options)]


def _others(options: TrainOptions) -> list[str]:
    """The flags that were given beside the source and the folder."""
    settings = ["--set", *options.set] if options.set else []
    compare = [] if options.compare else ["--no-compare"]
    seeds = [] if options.seeds is None else ["--seeds", options.seeds]
    jobs = [] if options.jobs == 1 else ["--jobs", str(options.jobs)]
    device = [] if options.device == "auto" else ["--device", options.device]
    loggers = [] if options.logger == (DEFAULT_LOGGER,) else ["--logger", *options.logger]
    threads = [] if options.threads is None else ["--threads", str(options.threads)]
    return settings + compare + seeds + jobs + device + loggers + threads
