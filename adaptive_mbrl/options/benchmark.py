"""Flags of the sub-commands that train and compare all methods of a suite."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adaptive_mbrl.options.common import Device, OptionalFile, OptionalInt, OptionalPath, require_at_least


@dataclass(frozen=True)
class BenchmarkOptions:
    """Run every method of a suite on every scenario, and report; an interrupted run goes on where it stopped.

    Example: adaptive-mbrl benchmark --suite smoke

    Attributes:
        suite: what is compared: a YAML file, or the name of one in configs/suites (smoke, standard, full).
        out: folder of the results, and of report.html, report.md and report.json; runs/benchmark/NAME if not given.
        runs: folder that `train-suite` trains in.
        episodes: episodes of every arm on every scenario; the suite's own number if not given.
        processes: number of processes that run at once, each with one thread; one per core if not given.
        skip_missing: leave out checkpoints that are not there yet, instead of refusing.
        ledger: CSV file that gets a line for every model that was run on held-out changes; test_ledger.csv in the folder of the
            results if not given.
        reason: why one looks, for the ledger's lines.
    """

    suite: str = "standard"
    out: OptionalPath = None
    runs: Path = Path("runs/suite")
    episodes: OptionalInt = None
    processes: OptionalInt = None
    skip_missing: bool = False
    ledger: OptionalFile = None
    reason: str = ""

    def __post_init__(self) -> None:
        require_at_least("--episodes", self.episodes, 1)
        require_at_least("--processes", self.processes, 1)


@dataclass(frozen=True)
class TrainSuiteOptions:
    """Train every method of a suite with every training seed; finished runs are skipped, and half-done ones go on.

    Example: adaptive-mbrl train-suite --suite smoke --processes 2

    Attributes:
        suite: what is trained: a YAML file, or the name of one in configs/suites (smoke, standard, full).
        runs: folder of the runs: each is NAME/seed_N in it, with its output in NAME/seed_N.log.
        processes: number of trainings that run at once, each with one thread; one per core if not given.
        device: where the networks run; auto takes a GPU when there is one.
    """

    suite: str = "standard"
    runs: Path = Path("runs/suite")
    processes: OptionalInt = None
    device: Device = "auto"

    def __post_init__(self) -> None:
        require_at_least("--processes", self.processes, 1)
