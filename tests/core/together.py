"""Processes that train together, as threads of one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from adaptive_mbrl.adaptation.belief import map_belief
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.process import Process


class Exchange:
    """Where threads leave values for each other; a thread that waits in vain fails.

    Args:
        number: of threads.
    """

    def __init__(self, number: int) -> None:
        self.meeting = threading.Barrier(number, timeout=60)
        self.left: dict[int, Any] = {}

    def all(self, rank: int, value: Any) -> list[Any]:
        """What all have left, by rank."""
        self.left[rank] = value
        self.meeting.wait()
        everything = [self.left[i] for i in range(self.meeting.parties)]
        self.meeting.wait()
        return everything


@dataclass(frozen=True)
class ThreadProcess(Process):
    """One of several processes, which are threads here."""

    exchange: Exchange = field(default_factory=lambda: Exchange(1))

    def reduce(self, tensors: Iterable[Tensor]) -> None:
        own = list(tensors)
        for tensor, values in zip(own, zip(*self.exchange.all(self.rank, _copies(own)), strict=True), strict=True):
            tensor.copy_(torch.stack(values).mean(0))

    def gather(self, value: Any) -> list[Any]:
        return self.exchange.all(self.rank, value)

    def barrier(self) -> None:
        self.exchange.meeting.wait()

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        own = list(tensors)
        for tensor, value in zip(own, self.exchange.all(self.rank, _copies(own))[0], strict=True):
            tensor.copy_(value)


def _copies(tensors: Iterable[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


def together(number: int, work: Callable[[ThreadProcess], Any]) -> list[Any]:
    """What each of `number` processes returns, by rank."""
    exchange = Exchange(number)
    with ThreadPoolExecutor(number) as pool:
        running = [pool.submit(work, ThreadProcess(rank, number, exchange)) for rank in range(number)]
        return [one.result() for one in running]


def precise(windows: Windows) -> Windows:
    """The windows in double precision."""
    return map_belief(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor, windows)
