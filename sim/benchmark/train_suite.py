"""The sub-command `train-suite`: every training of a suite, several at once, each as a process of `train` with one thread."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from adaptive_mbrl.console import make_console
from adaptive_mbrl.errors import AdaptiveMBRLError
from adaptive_mbrl.options import TrainSuiteOptions
from adaptive_mbrl.progress import shown_progress
from adaptive_mbrl.training.job import Job
from adaptive_mbrl.training.side_by_side import run_jobs
from adaptive_mbrl.training.stopping import Stopped, exit_after
from sim.benchmark.suite import Suite, load_suite
from sim.training.config import load_train_config

DEFAULT_RUNS = Path("runs/train")
"""Where a shipped configuration expects the run whose episodes it takes."""


class TrainSuiteError(AdaptiveMBRLError):
    """Trainings of a suite failed."""


def train_suite(options: TrainSuiteOptions) -> None:
    """Run the trainings of a suite that are not done."""
    suite = load_suite(options.suite)
    jobs = suite_jobs(suite, options.runs, options.device)
    if not jobs:
        print(f"suite {suite.name}: nothing to train, all its checkpoints are given")
        return
    for job in jobs:
        job.check()
    console = make_console(stderr=True)
    try:
        with shown_progress(console, f"train-suite {suite.name}") as progress:
            failed = run_jobs(jobs, options.processes or len(os.sched_getaffinity(0)), progress)
    except (KeyboardInterrupt, Stopped) as stop:
        again = ["adaptive-mbrl", "train-suite", "--suite", options.suite, "--runs", str(options.runs)]
        raise exit_after(stop, again) from None
    if failed:
        first, error = next(iter(failed.items()))
        raise TrainSuiteError(f"{len(failed)} of {len(jobs)} trainings failed, the first was {first}: {error}")
    compare = ["adaptive-mbrl", "benchmark", "--suite", options.suite, "--runs", str(options.runs)]
    print(f"Trainings done: {len(jobs)}; compare them: {shlex.join(compare)}")


def suite_jobs(suite: Suite, runs: Path, device: str = "auto") -> list[Job]:
    """Every training of a suite once; one that takes the episodes of another follows after it.

    Args:
        suite: what is trained.
        runs: folder of the runs.
        device: where the networks run.
    """
    methods = [method for protocol in suite.protocols for method in protocol.methods]
    found = {m.run_folder(seed, runs): (m.train, seed) for m in methods if m.train is not None for seed in m.seeds}
    takes = {config: load_train_config(config).data.episodes_from for config in {config for config, _ in found.values()}}
    sources = {folder: _same_seed(takes[config], seed, runs) for folder, (config, seed) in found.items()}
    jobs = [
        _job(folder, config, seed, source if (source := sources[folder]) in found else None, device)
        for folder, (config, seed) in found.items()
    ]
    # stable, so that the suite's order is kept among those that need nothing
    return sorted(jobs, key=lambda job: job.source is not None)


def _job(folder: Path, config: str, seed: int, source: Path | None, device: str) -> Job:
    settings = [f"seed={seed}", *([] if source is None else [f"data.episodes_from={source}"])]
    words = ["train", "--config", config, "--set", *settings, "--run", str(folder), "--device", device, "--threads", "1"]
    return Job(
        folder,
        load_train_config(config, settings),
        (sys.executable, "-m", "adaptive_mbrl", *words),
        kind=config,
        asked_for=f"'{config}' with --set {' '.join(settings)}",
        source=source,
    )


def _same_seed(source: Path | None, seed: int, runs: Path) -> Path | None:
    """The run of this seed that `episodes_from: runs/train/NAME` means within a suite."""
    return runs / source.name / f"seed_{seed}" if source is not None and source.parent == DEFAULT_RUNS else None
