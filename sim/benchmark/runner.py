"""Run the cells that have no result yet, several at once, each in a process with one thread."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from adaptive_mbrl.progress import Progress
from adaptive_mbrl.runtime import prepare_process, use_threads
from adaptive_mbrl.storage import remove_leftovers
from sim.benchmark.cells import PREDICTION, Cell, Plan
from sim.benchmark.run_cell import read_result, run_cell


def run_plan(
    plan: Plan, out: Path, processes: int, progress: Progress, note: Callable[[Cell], None] = lambda cell: None
) -> dict[str, str]:
    """Run what is missing; an interrupted run goes on where it stopped.

    A cell that fails does not stop the others.

    Args:
        plan: the cells.
        out: folder of the benchmark.
        processes: number of cells that run at once.
        progress: is told about every cell.
        note: is called with every cell that has run, as soon as its result is there.

    Returns:
        What went wrong, by the key of the cell.
    """
    for folder in (out, *(out / "cells").glob("*")):
        remove_leftovers(folder)
    cells, labels = plan.cells(), plan.labels()
    todo = _without_result(cells, out, progress)
    progress.begin([cell.arm for cell in todo], processes)
    failed: dict[str, str] = {}
    # predictions need the oracle's episodes
    for phase in ([c for c in todo if c.arm != PREDICTION], [c for c in todo if c.arm == PREDICTION]):
        for cell, error in _each(phase, out, processes):
            result = None if error else read_result(cell, out)
            if result is None:
                failed[cell.key] = error or "its result cannot be read"
                progress.failed(cell.arm, labels[cell.key], failed[cell.key])
            else:
                note(cell)
                progress.done(cell.arm, labels[cell.key], result["seconds"])
    return failed


def _without_result(cells: Sequence[Cell], out: Path, progress: Progress) -> list[Cell]:
    """The cells that must run; the others are told to the progress."""
    seconds = {cell.key: result["seconds"] for cell in cells if (result := read_result(cell, out)) is not None}
    for cell in cells:
        # somebody may have deleted an oracle's episodes, which take space
        if cell.source and cell.key not in seconds and not cell.source.episodes_folder(out).is_dir():
            seconds.pop(cell.source.key, None)
    for cell in (c for c in cells if c.key in seconds):
        progress.reused(cell.arm, seconds[cell.key])
    return [cell for cell in cells if cell.key not in seconds]


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
