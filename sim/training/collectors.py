"""Hands the parts of a collection out to collectors while the training fits, and gives what a lost one had to another one."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from tqdm import tqdm

from adaptive_mbrl.data.batch_facts import BatchFacts
from adaptive_mbrl.errors import AdaptiveMBRLError
from adaptive_mbrl.training.rounds import round_folder
from sim.training.parts import Part, Plan

LOOK_SECONDS = 0.2
"""Longest wait for an outcome before somebody looks for new work [s]."""
ATTEMPTS = 3
"""A collector that is lost so many times without finishing anything in between is not started again."""


class CollectorError(AdaptiveMBRLError):
    """No collector works."""


@dataclass(frozen=True)
class Outcome:
    """What became of a collector's work.

    Attributes:
        collector: number of the collector.
        lost: why the collector is lost, and with it what is not in the store of its part; empty if it has finished its part.
    """

    collector: int
    lost: str = ""


class Engine(Protocol):
    """Runs collectors in processes of their own. Its methods are called from one thread at a time."""

    def start(self, collector: int) -> None:
        """Start a collector, or start it anew."""

    def collect(self, collector: int, part: Part, checkpoint: Path) -> None:
        """Let a collector that has nothing to do collect episodes with a checkpoint; they go into the store."""

    def outcomes(self, seconds: float) -> Sequence[Outcome]:
        """What became of collectors; wait at most so many seconds if there is nothing to tell [s]."""

    def close(self) -> None:
        """End all collectors at once, and return when they have ended. A second call changes nothing."""


class Collectors:
    """Collects the episodes of a plan while the block runs.

    Iteration k is collected with the checkpoint of round k - 1, once it is there; so collectors do not run ahead of the learner,
    and what they collect does not depend on how fast they are, or on who was lost.

    Args:
        engine: runs the collectors.
        num: number of collectors.
        plan: what is to be collected.
        run: the run folder, whose rounds are the checkpoints. What is in its store is collected, whatever a collector says.
    """

    def __init__(self, engine: Engine, num: int, plan: Plan, run: Path) -> None:
        self._engine, self._plan, self._run = engine, plan, run
        self._facts = BatchFacts(run / "episodes")
        self._idle = list(range(num))
        self._parts: dict[int, Part] = {}
        self._losses: Counter[int] = Counter()
        self._saved = -1
        self._error: Exception | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="collectors", daemon=True)

    def __enter__(self) -> Collectors:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._engine.close()

    def saved(self, index: int) -> None:
        """Say that round `index` is saved."""
        with self._changed:
            self._saved = index

    def wait_for(self, iteration: int) -> None:
        """Wait until all iterations up to this one are collected.

        Raises:
            CollectorError: no collector is left.
        """
        with tqdm(desc=f"waiting for iteration {iteration}", bar_format="{desc}: {elapsed}", leave=False) as bar, self._changed:
            while not self._plan.is_complete(iteration):
                if self._error is not None:
                    raise self._error
                self._changed.wait(LOOK_SECONDS)
                bar.refresh()

    def _work(self) -> None:
        try:
            for collector in self._idle:
                self._engine.start(collector)
            while not (self._stop.is_set() or self._is_done()):
                self._hand_out()
                for outcome in self._engine.outcomes(LOOK_SECONDS):
                    self._receive(outcome)
        except Exception as error:
            # the learner's thread raises it
            self._error = error
        finally:
            # the cores are for the last round
            self._engine.close()

    def _is_done(self) -> bool:
        with self._changed:
            return self._plan.is_complete(self._plan.iterations)

    def _hand_out(self) -> None:
        while self._idle:
            with self._changed:
                # iterations count from 1, so there is nothing to do before round 0 is saved
                part = self._plan.next(self._saved + 1)
            if part is None:
                return
            collector = self._idle.pop(0)
            self._parts[collector] = part
            self._engine.collect(collector, part, round_folder(self._run, part.iteration - 1))

    def _receive(self, outcome: Outcome) -> None:
        collector = outcome.collector
        part = self._parts.pop(collector, None)
        is_left = part is not None and self._is_left(part)
        if not outcome.lost:
            self._losses[collector] = 0
            self._idle.append(collector)
            return
        self._losses[collector] += 1
        again = self._losses[collector] < ATTEMPTS
        if collector in self._idle:
            self._idle.remove(collector)
        what = "it had nothing to do" if part is None else f"{part} are {'collected again' if is_left else 'in the store'}"
        then = "it is started anew" if again else f"it is not started a {ATTEMPTS + 1}th time"
        tqdm.write(f"collector {collector} is lost: {outcome.lost}; {what}, and {then}")
        if again:
            self._engine.start(collector)
            self._idle.append(collector)
        elif not (self._idle or self._parts):
            raise CollectorError(f"no collector works: {outcome.lost}; what was collected is kept, run the same command again")

    def _is_left(self, part: Part) -> bool:
        """Count what the store has, since a collector may be killed before it has said so; whether the part is not all there."""
        abouts = self._facts.read()
        with self._changed:
            self._plan.count(abouts)
            self._changed.notify_all()
            return self._plan.give_back(part)
