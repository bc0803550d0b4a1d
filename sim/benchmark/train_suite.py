"""The sub-command `train-suite`: every training of a suite, several at once, each as a process of `train` with one thread."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adaptive_mbrl.checkpoint import DESCRIPTION_FILE
from adaptive_mbrl.config import load_yaml, read_mapping
from adaptive_mbrl.console import make_console
from adaptive_mbrl.errors import EXIT_INTERRUPTED, AdaptiveMBRLError, ConfigError
from adaptive_mbrl.options import TrainSuiteOptions
from adaptive_mbrl.runtime import THREADS
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.run_folder import CONFIG_FILE
from sim.benchmark.progress import Progress, shown_progress
from sim.benchmark.suite import Suite, load_suite
from sim.training.config import load_train_config

SECONDS_BETWEEN_LOOKS = 20.0
"""How often running trainings are asked how far they are."""
DEFAULT_RUNS = Path("runs/train")
"""Where a shipped configuration expects the run whose episodes it takes."""


class TrainSuiteError(AdaptiveMBRLError):
    """Trainings of a suite failed."""


@dataclass(frozen=True)
class RunState:
    """How far a training is.

    Attributes:
        rounds: number of finished rounds.
        seconds: how long they took [s].
        expected: how long all rounds will have taken [s], in proportion to the updates; None before the first round.
    """

    rounds: int
    seconds: float
    expected: float | None


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        config: training configuration, as `train --config` takes it.
        seed: the training seed.
        folder: its run folder.
        source: run folder of the same seed whose episodes it takes; None where the suite trains no such run.
    """

    config: str
    seed: int
    folder: Path
    source: Path | None = None

    @property
    def label(self) -> str:
        """The training in words."""
        return label_of(self.folder)

    @property
    def settings(self) -> list[str]:
        """What `--set` replaces in the configuration."""
        return [f"seed={self.seed}", *([] if self.source is None else [f"data.episodes_from={self.source}"])]

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder.with_suffix(".log")

    @property
    def is_done(self) -> bool:
        """Whether its checkpoint is there."""
        return is_done(self.folder)

    def state(self) -> RunState:
        """How far it is, from the last round that it finished."""
        rounds = sorted((self.folder / "rounds").glob(f"[0-9]*/{DESCRIPTION_FILE}"))
        if not rounds:
            return RunState(0, 0.0, None)
        config, about = load_train_config(self.config), read_mapping(rounds[-1])["provenance"]
        updates = config.updates_initial + config.data.iterations * config.updates_per_iteration + config.updates_final
        seconds = float(about["seconds"])
        return RunState(len(rounds), seconds, seconds * updates / max(about["updates"], 1))

    def command(self, device: str) -> list[str]:
        """What is run; `train` goes on where an earlier process stopped."""
        words = ["train", "--config", self.config, "--set", *self.settings, "--run", str(self.folder)]
        return [sys.executable, "-m", "adaptive_mbrl", *words, "--device", device, "--threads", "1"]


def is_done(folder: Path) -> bool:
    """Whether the checkpoint of a run folder is there."""
    return (folder / "checkpoint" / DESCRIPTION_FILE).is_file()


def label_of(folder: Path) -> str:
    """The training of a run folder in words."""
    return f"{folder.parent.name} {folder.name.replace('_', ' ')}"


def train_suite(options: TrainSuiteOptions) -> None:
    """Run the trainings of a suite that are not done."""
    suite = load_suite(options.suite)
    runs = suite_runs(suite, options.runs)
    if not runs:
        print(f"suite {suite.name}: nothing to train, all its checkpoints are given")
        return
    for run in runs:
        _check(run)
    console = make_console(stderr=True)
    try:
        with shown_progress(console, f"train-suite {suite.name}") as progress:
            failed = run_trainings(runs, options.device, options.processes or len(os.sched_getaffinity(0)), progress)
    except KeyboardInterrupt:
        again = shlex.join(["adaptive-mbrl", "train-suite", "--suite", options.suite, "--runs", str(options.runs)])
        print(f"\ninterrupted; finished rounds are kept, go on with: {again}", file=sys.stderr)
        raise SystemExit(EXIT_INTERRUPTED) from None
    if failed:
        first, error = next(iter(failed.items()))
        raise TrainSuiteError(f"{len(failed)} of {len(runs)} trainings failed, the first was {first}: {error}")
    compare = ["adaptive-mbrl", "benchmark", "--suite", options.suite, "--runs", str(options.runs)]
    print(f"Trainings done: {len(runs)}; compare them: {shlex.join(compare)}")


def suite_runs(suite: Suite, runs: Path) -> list[Run]:
    """Every training of a suite once; one that takes the episodes of another follows after it."""
    methods = [method for protocol in suite.protocols for method in protocol.methods]
    found = {m.run_folder(seed, runs): (m.train, seed) for m in methods if m.train is not None for seed in m.seeds}
    takes = {config: load_train_config(config).data.episodes_from for config in {config for config, _ in found.values()}}
    sources = {folder: _same_seed(takes[config], seed, runs) for folder, (config, seed) in found.items()}
    trained = [
        Run(config, seed, folder, source if (source := sources[folder]) in found else None)
        for folder, (config, seed) in found.items()
    ]
    # stable, so that the suite's order is kept among those that need nothing
    return sorted(trained, key=lambda run: run.source is not None)


def _same_seed(source: Path | None, seed: int, runs: Path) -> Path | None:
    """The run of this seed that `episodes_from: runs/train/NAME` means within a suite."""
    return runs / source.name / f"seed_{seed}" if source is not None and source.parent == DEFAULT_RUNS else None


def run_trainings(runs: Sequence[Run], device: str, processes: int, progress: Progress) -> dict[str, str]:
    """Run trainings side by side; one that fails does not stop the others.

    Args:
        runs: the trainings; those that are done are skipped. One that takes another's episodes begins when that one has ended,
            and must follow after it.
        device: where the networks run.
        processes: how many run at once.
        progress: is told about every training.

    Returns:
        What went wrong, by the training in words.
    """
    todo = [run for run in runs if not run.is_done]
    for run in runs:
        if run.is_done:
            progress.reused(run.config, run.state().seconds)
    progress.begin([run.config for run in todo], processes)
    failed: dict[str, str] = {}
    with _threads(processes) as (pool, started):
        futures: dict[Path, Future[int | None]] = {}
        for run in todo:
            before = None if run.source is None else futures.get(run.source)
            futures[run.folder] = pool.submit(_train_after, before, run, device, started)
        waiting = {futures[run.folder]: run for run in todo}
        rounds = {run.folder: run.state().rounds for run in todo}
        while waiting:
            ended = wait(waiting, timeout=SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED).done
            for future in ended:
                run = waiting.pop(future)
                code = future.result()
                if code == 0 and run.is_done:
                    progress.done(run.config, run.label, run.state().seconds)
                else:
                    failed[run.label] = _why_not(run, code)
                    progress.failed(run.config, run.label, failed[run.label])
            _tell_rounds(list(waiting.values()), rounds, progress)
    return failed


def _tell_rounds(runs: Sequence[Run], rounds: dict[Path, int], progress: Progress) -> None:
    """Tell the rounds that trainings have finished since the last look; `rounds` is what was known then."""
    states = {run: run.state() for run in runs}
    new = [run for run, state in states.items() if state.rounds > rounds[run.folder]]
    expected = {run.config: state.expected for run, state in states.items() if state.expected is not None}
    for run in new:
        rounds[run.folder] = states[run].rounds
        line = f"{run.label}: round {states[run].rounds} of {_num_rounds(run)} is done"
        progress.under_way(expected, {run.label: state.seconds for run, state in states.items()}, line)


def _num_rounds(run: Run) -> int:
    config = load_train_config(run.config)
    return 1 + config.data.iterations + (config.updates_final > 0)


def _train_after(
    before: Future[int | None] | None, run: Run, device: str, started: Callable[[subprocess.Popen[bytes]], None]
) -> int | None:
    """Train when the source has ended; None if it has no checkpoint, so that there is nothing to train on."""
    if before is not None:
        # it began earlier, in another thread: the pool takes trainings in their order
        wait([before])
    if run.source is not None and not is_done(run.source):
        return None
    return _train(run, device, started)


def _why_not(run: Run, code: int | None) -> str:
    """Why a training has no checkpoint, in a line; `code` is its exit status, or None if it was not started."""
    if code is None and run.source is not None:
        return f"not started, because it takes the episodes of {label_of(run.source)}, which is not done"
    return f"{_last_line(run.log)} (see {run.log})"


def _train(run: Run, device: str, started: Callable[[subprocess.Popen[bytes]], None]) -> int:
    run.folder.mkdir(parents=True, exist_ok=True)
    with run.log.open("ab") as log:
        process = subprocess.Popen(
            run.command(device), stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, THREADS: "1"}
        )
        started(process)
        return process.wait()


@contextmanager
def _threads(processes: int) -> Iterator[tuple[ThreadPoolExecutor, Callable[[subprocess.Popen[bytes]], None]]]:
    """Threads that each wait for one process; the processes are ended where the block is left by Ctrl-C or an error."""
    children: list[subprocess.Popen[bytes]] = []
    pool = ThreadPoolExecutor(processes)
    try:
        yield pool, children.append
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in children:
            # a run can be killed at any moment, and goes on from its last round
            child.terminate()
        raise
    finally:
        pool.shutdown()


def _check(run: Run) -> None:
    """A run folder that was trained with another configuration must not count as done."""
    stored = run.folder / CONFIG_FILE
    if stored.is_file() and load_yaml(stored, TrainConfig) != load_train_config(run.config, run.settings):
        raise ConfigError(
            f"{stored}: this run was trained with another configuration than '{run.config}' with --set {' '.join(run.settings)}; "
            "delete it, or choose another --runs"
        )


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "no output"
