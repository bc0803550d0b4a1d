"""Run the cells that have no result yet, several at once, each in a process with one thread."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adaptive_mbrl.runtime import prepare_process, use_threads
from adaptive_mbrl.storage import remove_leftovers
from sim.benchmark.cells import PREDICTION, Cell, Plan
from sim.benchmark.progress import Progress
from sim.benchmark.run_cell import read_result, run_cell


@dataclass(frozen=True)
class Outcome:
    """What a run of a plan did.

    Attributes:
        ran: the cells that ran now, and whose result was not there before.
        failed: what went wrong, by the words for the cell.
    """

    ran: tuple[Cell, ...]
    failed: dict[str, str]


def run_plan(plan: Plan, out: Path, processes: int, progress: Progress) -> Outcome:
    """Run what is missing; an interrupted run goes on where it stopped.

    A cell that fails does not stop the others.

    Args:
        plan: the cells.
        out: folder of the benchmark.
        processes: number of cells that run at once.
        progress: is told about every cell.
    """
    for folder in (out, *(out / "cells").glob("*")):
        remove_leftovers(folder)
    cells, labels = plan.cells(), plan.labels()
    todo = []
    for cell in cells:
        result = read_result(cell, out)
        if result is None:
            todo.append(cell)
        else:
            progress.reused(cell.arm, result["seconds"])
    progress.begin([cell.arm for cell in todo], processes)
    ran: list[Cell] = []
    failed: dict[str, str] = {}
    # predictions need the oracle's episodes
    for phase in ([c for c in todo if c.arm != PREDICTION], [c for c in todo if c.arm == PREDICTION]):
        for cell, error in _each(phase, out, processes):
            result = None if error else read_result(cell, out)
            if result is None:
                failed[labels[cell.key]] = error or "its result cannot be read"
                progress.failed(cell.arm, labels[cell.key], failed[labels[cell.key]])
            else:
                ran.append(cell)
                progress.done(cell.arm, labels[cell.key], result["seconds"])
    return Outcome(tuple(ran), failed)


def _each(cells: Sequence[Cell], out: Path, processes: int) -> Iterator[tuple[Cell, str]]:
    """Run cells and yield each as it ends, with the error in one line, or an empty one."""
    if processes == 1 or len(cells) < 2:
        for cell in cells:
            yield cell, _error_of(lambda cell=cell: run_cell(cell, out))  # type: ignore[misc]
        return
    with _pool(min(processes, len(cells))) as pool:
        futures: dict[Future[None], Cell] = {pool.submit(run_cell, cell, out): cell for cell in cells}
        for future in as_completed(futures):
            yield futures[future], _error_of(future.result)


def _error_of(call: Callable[[], None]) -> str:
    try:
        call()
    except Exception as error:
        # one cell must not end a night of others, whatever happened in it
        return " ".join(f"{type(error).__name__}: {error}".split())
    return ""


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes; they are ended at once where the block is left by Ctrl-C or an error."""
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_prepare_worker)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    pool.shutdown()


def _prepare_worker() -> None:
    # Ctrl-C reaches the whole group of processes; the main one ends the workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare_process()
    use_threads(1)
