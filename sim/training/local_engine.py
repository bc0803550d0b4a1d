"""Collectors as child processes on this machine, which append to the run's store themselves."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import sim
from adaptive_mbrl.runtime import THREADS, num_threads
from sim.training.collectors import Outcome
from sim.training.parts import Part

LOGS = "collectors"
"""Folder of a run for what its collectors print."""
CLOSE_SECONDS = 5.0
"""How long a collector has to end once its pipe is closed, before it is killed [s]."""
_SOURCES = Path(sim.__file__).resolve().parent.parent


class LocalEngine:
    """Runs `sim.training.collector_process` for each collector. A collector ends when the pipe from this process closes.

    Args:
        run: the run folder.
        num: number of collectors. Each gets an equal share of the threads that `num_threads` allows, as if this process had one,
            too; it keeps all of them, for the time in which collectors wait for the next round.
    """

    def __init__(self, run: Path, num: int) -> None:
        self._run = run
        self._threads = max(1, num_threads() // (num + 1))
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._answers = selectors.DefaultSelector()

    def start(self, collector: int) -> None:
        log = self.log_of(collector)
        log.parent.mkdir(exist_ok=True)
        path = os.pathsep.join(filter(None, (str(_SOURCES), os.environ.get("PYTHONPATH"))))
        with log.open("ab") as file:
            # -P: the working directory may hold another package that is named `sim`
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "sim.training.collector_process", str(self._run)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env={**os.environ, THREADS: str(self._threads), "PYTHONPATH": path},
            )
        assert process.stdout is not None
        self._processes[collector] = process
        self._answers.register(process.stdout, selectors.EVENT_READ, collector)

    def collect(self, collector: int, part: Part, checkpoint: Path) -> None:
        stdin = self._processes[collector].stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps({"part": asdict(part), "checkpoint": str(checkpoint)}).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            # `outcomes` finds that it has ended
            return

    def outcomes(self, seconds: float) -> Sequence[Outcome]:
        return [self._outcome(key.data) for key, _ in self._answers.select(seconds)]

    def close(self) -> None:
        processes = [self._processes.pop(collector) for collector in [*self._processes]]
        for process in processes:
            self._close_pipes(process)
        for process in processes:
            try:
                process.wait(CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def log_of(self, collector: int) -> Path:
        """The file of what a collector prints."""
        return self._run / LOGS / f"{collector}.log"

    def _outcome(self, collector: int) -> Outcome:
        process = self._processes[collector]
        assert process.stdout is not None
        if os.read(process.stdout.fileno(), 1):
            return Outcome(collector)
        del self._processes[collector]
        self._close_pipes(process)
        code = process.wait()
        how = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        lines = self.log_of(collector).read_text(errors="replace").strip().splitlines() if code > 0 else []
        return Outcome(collector, f"{how}{f' ({lines[-1]})' if lines else ''}, see {self.log_of(collector)}")

    def _close_pipes(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._answers.unregister(process.stdout)
        process.stdout.close()
        try:
            process.stdin.close()
        except BrokenPipeError:
            # what was not read by then is of no use
            return
