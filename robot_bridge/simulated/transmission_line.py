"""A line with latency, jitter and loss between a simulated robot and the network."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

import numpy as np

from robot_bridge.simulated.imperfections import TransmissionLineConfig

ItemT = TypeVar("ItemT")


class TransmissionLine(Generic[ItemT]):
    """A queue whose items arrive after a delay or never. Times are monotonic [s] and given by the caller.

    Args:
        config: latency, jitter and loss.
        rng: source of all random numbers; each item takes two.

    Attributes:
        lost: number of items that never arrive.
    """

    def __init__(self, config: TransmissionLineConfig, rng: np.random.Generator) -> None:
        self._config, self._rng = config, rng
        self._under_way: deque[tuple[float, ItemT]] = deque()
        self._last_arrival = -math.inf
        self.lost = 0

    @property
    def due(self) -> float:
        """Time at which the next item arrives [s]; infinity if none is under way."""
        return self._under_way[0][0] if self._under_way else math.inf

    def send(self, item: ItemT, now: float) -> None:
        """Put an item on the line at this time [s]."""
        fate, delay = self._rng.random(2)
        if fate < self._config.loss:
            self.lost += 1
            return
        self._last_arrival = max(self._last_arrival, now + self._config.latency + float(delay) * self._config.jitter)
        self._under_way.append((self._last_arrival, item))

    def arrived(self, now: float) -> Iterator[tuple[float, ItemT]]:
        """Take off the items that have arrived by `now`, oldest first, each with its time of arrival [s]."""
        while self._under_way and self._under_way[0][0] <= now:
            yield self._under_way.popleft()
