"""The work of collectors in parts: some episodes of one iteration each, handed out again when a collector is lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adaptive_mbrl.training.seen import PUSHED


@dataclass(frozen=True, order=True)
class Part:
    """Consecutive episodes of one iteration. Their random numbers follow from these numbers, whoever collects them, and when.

    Attributes:
        iteration: number of the iteration, from 1; in a training that alternates it is the round that collects them.
        first: number of the first episode within the iteration.
        num: number of episodes.
    """

    iteration: int
    first: int
    num: int

    @property
    def numbers(self) -> range:
        """The numbers of the episodes within the iteration."""
        return range(self.first, self.first + self.num)

    def __str__(self) -> str:
        last = self.first + self.num - 1
        return (
            f"episodes {self.first} to {last} of iteration {self.iteration}"
            if self.num > 1
            else f"episode {last} of iteration {self.iteration}"
        )


class Plan:
    """Which episodes of a training are still to be collected, and which are being collected.

    Args:
        iterations: number of iterations.
        episodes: number of episodes of each.
        size: number of episodes of a part; the last one of an iteration may have fewer.
        abouts: facts about the batches that are there already.

    Attributes:
        iterations: number of iterations.
    """

    def __init__(self, iterations: int, episodes: int, size: int, abouts: Sequence[Mapping[str, Any]] = ()) -> None:
        self._size, self.iterations = size, iterations
        self._missing = {iteration: set(range(episodes)) for iteration in range(1, iterations + 1)}
        self._free = {iteration: set(numbers) for iteration, numbers in self._missing.items()}
        for part in collected_parts(abouts, episodes):
            self._take(part)
            self.finish(part)

    def next(self, last: int) -> Part | None:
        """The next part to collect, which nobody else gets then; None if there is none.

        Args:
            last: number of the last iteration that may be collected now.
        """
        for iteration, numbers in self._free.items():
            if numbers and iteration <= last:
                first = min(numbers)
                num = next(n for n in range(1, self._size + 1) if n == self._size or first + n not in numbers)
                part = Part(iteration, first, num)
                self._take(part)
                return part
        return None

    def give_back(self, part: Part) -> None:
        """Let somebody else collect a part that was lost."""
        self._free[part.iteration] |= set(part.numbers)

    def finish(self, part: Part) -> None:
        """Count a part as collected."""
        if part.iteration in self._missing:
            self._missing[part.iteration] -= set(part.numbers)

    def is_complete(self, last: int) -> bool:
        """Whether all iterations up to `last` are collected."""
        return not any(numbers for iteration, numbers in self._missing.items() if iteration <= last)

    def _take(self, part: Part) -> None:
        if part.iteration in self._free:
            self._free[part.iteration] -= set(part.numbers)


def collected_parts(abouts: Iterable[Mapping[str, Any]], episodes: int) -> Iterable[Part]:
    """The parts that batches hold.

    Args:
        abouts: facts about the batches. One without a part is that of a round of a training that alternates, the first of all
            those episodes that no controller collected; batches that somebody pushed count for no part.
        episodes: number of episodes of an iteration.
    """
    rounds = 0
    for about in abouts:
        if "part" in about:
            yield Part(**about["part"])
        elif PUSHED not in about:
            if rounds:
                yield Part(rounds, 0, episodes)
            rounds += 1
