"""One process of a training that may have several: who it is, and how it agrees with the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Process:
    """A training in one process; a subclass speaks to the others of a group.

    The trainer averages its gradients with `reduce`, draws its windows by `rank`, and takes weights and statistics from the main
    process with `broadcast`. A run's episodes and files are made where `is_main`; the others wait for them at a `barrier`.

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

    def reduce(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, in place."""

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by the main process's, in place."""

    def barrier(self) -> None:
        """Wait until all processes have come here."""


SINGLE = Process()
"""The only process of a training."""
