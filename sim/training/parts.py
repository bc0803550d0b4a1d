"""The work of collectors in parts: some episodes of one iteration each, handed out again when a collector is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
        self._size, self._episodes, self.iterations = size, episodes, iterations
        self._missing = {iteration: set(range(episodes)) for iteration in range(1, iterations + 1)}
        self._free = {iteration: set(numbers) for iteration, numbers in self._missing.items()}
        self.count(abouts)

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
                numbers -= set(part.numbers)
                return part
        return None

    def count(self, abouts: Sequence[Mapping[str, Any]]) -> None:
        """Count what is in the store as collected, whoever has collected it.

        Args:
            abouts: facts about all of its batches.
        """
        for part in collected_parts(abouts, self._episodes):
            for episodes in (self._missing, self._free):
                if part.iteration in episodes:
                    episodes[part.iteration] -= set(part.numbers)

    def give_back(self, part: Part) -> bool:
        """Let somebody else collect what has not been counted of a part.

        Returns:
            Whether there is anything left to collect.
        """
        left = self._missing[part.iteration] & set(part.numbers)
        self._free[part.iteration] |= left
        return bool(left)

    def is_complete(self, last: int) -> bool:
        """Whether all iterations up to `last` are collected."""
        return not any(numbers for iteration, numbers in self._missing.items() if iteration <= last)


def parts_of(abouts: Iterable[Mapping[str, Any]], episodes: int) -> Iterator[Part | None]:
    """The part that each batch holds; None for one that somebody pushed, and for the episodes that no controller collected.

    Args:
        abouts: facts about the batches. One without a part is that of a round of a training that alternates; the first of them
            was collected without a controller.
        episodes: number of episodes of an iteration.
    """
    rounds = 0
    for about in abouts:
        if "part" in about:
            yield Part(**about["part"])
        elif PUSHED in about:
            yield None
        else:
            yield Part(rounds, 0, episodes) if rounds else None
            rounds += 1


def repeated_batches(abouts: Iterable[Mapping[str, Any]], episodes: int) -> set[int]:
    """Numbers of the batches that do not count, because an earlier batch has one of their episodes.

    Such a batch comes from a collector that was still writing it when its training was killed and started anew.

    Args:
        abouts: facts about the batches.
        episodes: number of episodes of an iteration.
    """
    there: set[tuple[int, int]] = set()
    repeated = set()
    for number, part in enumerate(parts_of(abouts, episodes)):
        new = set() if part is None else {(part.iteration, episode) for episode in part.numbers}
        if new & there:
            repeated.add(number)
        else:
            there |= new
    return repeated


def collected_parts(abouts: Sequence[Mapping[str, Any]], episodes: int) -> list[Part]:
    """The parts that batches hold, each episode once; see `parts_of` and `repeated_batches`."""
    repeated = repeated_batches(abouts, episodes)
    return [part for number, part in enumerate(parts_of(abouts, episodes)) if part is not None and number not in repeated]
