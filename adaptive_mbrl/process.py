"""One process of a training that may have several: who it is, and how it agrees with the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm


@dataclass(frozen=True)
class Process:
    """A training in one process; `adaptive_mbrl.distributed` has the kind that speaks to the others of a group.

    All processes draw the same random numbers. Each one computes its `share` of a meta-batch and simulates its share of the
    robots, and what they find is put together in the order that a single process would have. So a result does not depend on
    their number, but for the rounding of sums, and for a few rules that docs/scaling.md names. Checkpoints and episodes are
    written where `is_main`; the others wait at a `barrier`.

    Attributes:
        rank: number of this process, from 0.
        world_size: number of all processes.
    """

    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and talks to people."""
        return self.rank == 0

    def say(self, line: str) -> None:
        """Print a line, where this is the main process; bars stay below it."""
        if self.is_main:
            tqdm.write(line)

    def share(self, total: int) -> Share:
        """The items of a list of `total` that are this process's; those before and after them are its neighbours'."""
        return Share(self, self.rank * total // self.world_size, (self.rank + 1) * total // self.world_size, total)

    def reduce(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, in place."""

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by the main process's, in place."""

    def gather(self, value: Any) -> list[Any]:
        """What each process has called this with, by rank; every process gets all of it."""
        return [value]

    def barrier(self) -> None:
        """Wait until all processes have come here."""

    def any(self, flag: bool) -> bool:
        """Whether `flag` is true in one of the processes."""
        share = torch.tensor(float(flag))
        self.reduce([share])
        return bool(share > 0)


SINGLE = Process()
"""The only process of a training."""


@dataclass(frozen=True)
class Share:
    """The part of a list that one process works on.

    Attributes:
        process: whose part it is.
        begin: the first item of it.
        end: the first item behind it.
        total: length of the whole list.
    """

    process: Process
    begin: int
    end: int
    total: int

    @property
    def size(self) -> int:
        """Number of items of the part."""
        return self.end - self.begin

    @property
    def slice(self) -> slice:
        """The part, to index the list with."""
        return slice(self.begin, self.end)

    def times(self, factor: int) -> Share:
        """The same part of the list in which `factor` others stand for each item."""
        return Share(self.process, self.begin * factor, self.end * factor, self.total * factor)

    def mean(self, own: Tensor) -> Tensor:
        """What this process contributes to the mean of the list: averaged over the processes, it is the mean.

        Args:
            own: values of its items, (end - begin,).
        """
        return own.sum() / (self.total / self.process.world_size)

    def sum(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, in place."""
        if self.process.world_size > 1:
            parts = list(tensors)
            self.process.reduce(parts)
            for part in parts:
                part.mul_(self.process.world_size)

    def whole(self, own: Tensor) -> Tensor:
        """The values of the whole list, (total,), in every process; they have no gradient.

        Args:
            own: values of its items, (end - begin,).
        """
        if self.process.world_size == 1:
            return own.detach()
        everything = own.new_zeros(self.total, dtype=torch.float64)
        everything[self.slice] = own.detach().double()
        self.sum([everything])
        return (everything if own.is_floating_point() else everything.round()).to(own.dtype)
