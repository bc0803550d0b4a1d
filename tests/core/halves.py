"""Two processes that train together, as threads of one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import torch
from torch import Tensor

from adaptive_mbrl.process import Process


@dataclass
class Exchange:
    """Where two threads leave tensors for each other; a thread that waits in vain fails."""

    meeting: threading.Barrier = field(default_factory=lambda: threading.Barrier(2, timeout=60))
    left: dict[int, list[Tensor]] = field(default_factory=dict)

    def all(self, rank: int, tensors: Iterable[Tensor]) -> list[list[Tensor]]:
        """What both have left, by rank."""
        self.left[rank] = [tensor.detach().clone() for tensor in tensors]
        self.meeting.wait()
        everything = [self.left[0], self.left[1]]
        self.meeting.wait()
        return everything


@dataclass(frozen=True)
class Half(Process):
    """One of two processes, which are threads here."""

    world_size: int = 2
    exchange: Exchange = field(default_factory=Exchange)

    def reduce(self, tensors: Iterable[Tensor]) -> None:
        own = list(tensors)
        for tensor, values in zip(own, zip(*self.exchange.all(self.rank, own), strict=True), strict=True):
            tensor.copy_(torch.stack(values).mean(0))

    def barrier(self) -> None:
        self.exchange.meeting.wait()

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        own = list(tensors)
        for tensor, value in zip(own, self.exchange.all(self.rank, own)[0], strict=True):
            tensor.copy_(value)


def in_two(work: Callable[[Half], object]) -> list:
    """What both halves of a pair of processes return, by rank."""
    exchange = Exchange()
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(work, Half(rank, exchange=exchange)) for rank in range(2)]
        return [one.result() for one in running]
