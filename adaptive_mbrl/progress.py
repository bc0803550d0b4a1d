"""How far a benchmark or a suite of trainings is, and how long it will still take: a bar in a terminal, plain lines in a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars


class Progress:
    """Counts what is done, and estimates the rest from how long things of the same kind took.

    Args:
        say: prints one line.
        show: is told the number of things done, their total and the words for the time left; for a bar.
        clock: the time [s].
    """

    def __init__(
        self,
        say: Callable[[str], None],
        show: Callable[[int, int, str], None] = lambda done, total, left: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say, self._show, self._clock = say, show, clock
        self._seconds: dict[str, list[float]] = {}
        self._waiting: list[str] = []
        self._expected: dict[str, float] = {}
        self._spent: dict[str, float] = {}
        self._total = self._reused = 0
        self._processes, self._begun = 1, clock()

    def reused(self, kind: str, seconds: float) -> None:
        """A result is there from an earlier run, in which it took so many seconds."""
        self._reused += 1
        self._seconds.setdefault(kind, []).append(seconds)

    def begin(self, kinds: Sequence[str], processes: int) -> None:
        """Begin with what is to be done; `processes` run at once."""
        self._waiting, self._total, self._processes = list(kinds), len(kinds), processes
        self._begun = self._clock()
        before = f"; {self._reused} are there from before" if self._reused else ""
        self._say(f"{self._total} to run, {processes} at once{before}{self._left('; about {} in all')}")
        self._show(0, self._total, self._left("about {} left"))

    def under_way(self, expected: dict[str, float], spent: dict[str, float], line: str) -> None:
        """What is running has come further.

        Args:
            expected: how long one of a kind will have taken when it is done [s], for kinds of which that is known.
            spent: how long each that is running has taken so far [s], by its label.
            line: what has happened, in words.
        """
        self._expected, self._spent = dict(expected), dict(spent)
        self._say(f"{line}{self._left(', about {} left in all')}")
        self._show(self._total - len(self._waiting), self._total, self._left("about {} left"))

    def done(self, kind: str, label: str, seconds: float) -> None:
        """One of them is done."""
        self._seconds.setdefault(kind, []).append(seconds)
        self._finish(kind, label, duration(seconds))

    def failed(self, kind: str, label: str, error: str) -> None:
        """One of them has failed."""
        self._finish(kind, label, f"FAILED: {error}")

    def seconds_left(self) -> float | None:
        """How long the rest will take [s]; None before anything is known."""
        means = self._expected | {kind: sum(seconds) / len(seconds) for kind, seconds in self._seconds.items()}
        if not means:
            return None
        overall = sum(means.values()) / len(means)
        return max(sum(means.get(kind, overall) for kind in self._waiting) - sum(self._spent.values()), 0.0) / self._processes

    def _finish(self, kind: str, label: str, outcome: str) -> None:
        self._waiting.remove(kind)
        # the time that it took counts for what is left no more
        self._spent.pop(label, None)
        done = self._total - len(self._waiting)
        elapsed = duration(self._clock() - self._begun)
        self._say(f"{done} of {self._total} after {elapsed}{self._left(', about {} left')}; {label}: {outcome}")
        self._show(done, self._total, self._left("about {} left"))

    def _left(self, words: str) -> str:
        seconds = self.seconds_left()
        return "" if seconds is None or not self._waiting else words.format(duration(seconds))


def duration(seconds: float) -> str:
    """A time in the words of people, for example ``2 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


@contextmanager
def shown_progress(console: Console, what: str) -> Iterator[Progress]:
    """Progress on a console; `what` are the words before the bar."""

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    if not console.is_terminal:
        yield Progress(say)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Bars(*columns, console=console) as bars:
        task: TaskID = bars.add_task(what, total=None, left="")
        yield Progress(say, lambda done, total, left: bars.update(task, completed=done, total=total, left=left))
