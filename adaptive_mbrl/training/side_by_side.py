"""Runs trainings side by side, each as a process of its own; one that fails does not stop the others."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.file_lock import is_held
from adaptive_mbrl.progress import Progress
from adaptive_mbrl.runtime import THREADS, is_launched
from adaptive_mbrl.training.job import FINISHED, Job, label_of
from adaptive_mbrl.training.stopping import PARENT, StopRequest

SECONDS_BETWEEN_LOOKS = 20.0
"""How often running trainings are asked how far they are."""
SECONDS_TO_SAVE = 60.0
"""Longest wait for a training that still holds its folder [s]."""
SECONDS_BETWEEN_TRIES = 0.5

Started = Callable[["subprocess.Popen[bytes]"], None]
"""Is told about each process that begins."""


def run_jobs(jobs: Sequence[Job], processes: int, progress: Progress, threads: int | None = 1) -> dict[str, str]:
    """Run trainings side by side.

    When it is interrupted or terminated, so are the trainings; it leaves after the last of them.

    Args:
        jobs: the trainings; those that are done are skipped. One that takes another's episodes begins when that one has ended,
            and must follow after it.
        processes: how many run at once.
        progress: is told about every training.
        threads: number of threads of each training; None for the number that this process has.

    Returns:
        What went wrong, by the training in words.
    """
    todo = [job for job in jobs if not job.is_done]
    for job in jobs:
        if job.is_done:
            progress.reused(job.kind, job.state().seconds)
    failed: dict[str, str] = {}
    with child_processes(processes) as (pool, started):
        progress.begin([job.kind for job in todo], processes)
        futures: dict[Path, Future[int | None]] = {}
        for job in todo:
            before = None if job.source is None else futures.get(job.source)
            futures[job.folder] = pool.submit(_train_after, before, job, threads, started)
        waiting = {futures[job.folder]: job for job in todo}
        rounds = {job.folder: job.state().rounds for job in todo}
        while waiting:
            for future in wait(waiting, timeout=SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED).done:
                job = waiting.pop(future)
                if future.result() == 0 and job.is_done:
                    progress.done(job.kind, job.label, job.state().seconds)
                else:
                    failed[job.label] = _why_not(job, future.result())
                    progress.failed(job.kind, job.label, failed[job.label])
            _tell_rounds(list(waiting.values()), rounds, progress)
    return failed


def start_training(job: Job, threads: int | None) -> subprocess.Popen[bytes]:
    """Start the process of a training; its output goes behind what is in its log."""
    job.folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, PARENT: str(os.getpid()), **({} if threads is None else {THREADS: str(threads)})}
    with job.log.open("ab") as log:
        return subprocess.Popen(job.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


@contextmanager
def child_processes(num: int) -> Iterator[tuple[ThreadPoolExecutor, Started]]:
    """Threads that each wait for one process; the processes are ended where the block is left by Ctrl-C, SIGTERM or an error.

    Raises:
        Stopped: after SIGTERM.
        ConfigError: this process is one of several that a launcher has started.
    """
    if is_launched():
        raise ConfigError("several trainings are started as processes of their own; allowed: without torchrun")
    children: list[subprocess.Popen[bytes]] = []
    pool = ThreadPoolExecutor(num)
    try:
        with StopRequest().on_signals():
            yield pool, children.append
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in children:
            # it saves what it has
            child.terminate()
        raise
    finally:
        pool.shutdown()


def _tell_rounds(jobs: Sequence[Job], rounds: dict[Path, int], progress: Progress) -> None:
    """Tell the rounds that trainings have finished since the last look; `rounds` is what was known then."""
    states = {job.folder: job.state() for job in jobs}
    expected = {job.kind: states[job.folder].expected for job in jobs}
    known = {kind: seconds for kind, seconds in expected.items() if seconds is not None}
    spent = {job.label: states[job.folder].seconds for job in jobs}
    for job in jobs:
        done = states[job.folder].rounds
        if done > rounds[job.folder]:
            rounds[job.folder] = done
            progress.under_way(known, spent, f"{job.label}: round {done} of {job.config.num_rounds} is done")


def _train_after(before: Future[int | None] | None, job: Job, threads: int | None, started: Started) -> int | None:
    """Train when the source has ended; None if it has no checkpoint, so that there is nothing to train on."""
    if before is not None:
        # it began earlier, in another thread: the pool takes trainings in their order
        wait([before])
    if job.source is not None and not (job.source / FINISHED).is_file():
        return None
    return _train(job, threads, started)


def _train(job: Job, threads: int | None, started: Started) -> int:
    # a training of a command that was killed saves before it ends
    until = time.monotonic() + SECONDS_TO_SAVE
    while is_held(job.folder) and time.monotonic() < until:
        time.sleep(SECONDS_BETWEEN_TRIES)
    process = start_training(job, threads)
    started(process)
    return process.wait()


def _why_not(job: Job, code: int | None) -> str:
    """Why a training is not done, in a line; `code` is its exit status, or None if it was not started."""
    if code is None and job.source is not None:
        return f"not started, because it takes the episodes of {label_of(job.source)}, which is not done"
    return f"{last_line(job.log)} (see {job.log})"
