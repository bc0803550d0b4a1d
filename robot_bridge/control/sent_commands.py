"""What acts on the robot, and when: a command acts from `latency` after it was sent until the next one does."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
NEGLIGIBLE = 0.02
"""Share of a control period that a prediction leaves out."""


class SentCommands:
    """Commands of the last moments. Times are monotonic [s] and given by the caller.

    Args:
        dt: control period [s].
        latency: from sending a command, and from a measurement to its arrival, to the effect on the robot, together [s].
        memory: how far back anybody asks [s].
    """

    def __init__(self, dt: float, latency: float, memory: float) -> None:
        self._dt, self._latency, self._memory = dt, latency, memory
        self._sent: deque[tuple[float, Array | None]] = deque()

    def add(self, at: float, command: Array | None) -> None:
        """A command was sent; None: nothing is sent from now on, and what acts is not known."""
        # a clock that was set back begins anew
        while self._sent and self._sent[-1][0] >= at:
            self._sent.pop()
        while len(self._sent) > 1 and self._sent[1][0] + self._latency < at - self._memory:
            self._sent.popleft()
        self._sent.append((at, command))

    def mean(self, begin: float, end: float) -> Array | None:
        """What acts on average from `begin` to `end`, (action_dim,); None if that is not known for the whole time."""
        total: Array | float = 0.0
        weight, until = 0.0, end
        for sent, command in reversed(self._sent):
            since = max(begin, sent + self._latency)
            # negative for a command that does not act yet
            share = until - since
            if share > 0:
                if command is None:
                    break
                total, weight, until = total + share * command, weight + share, since
            if until <= begin:
                break
        if weight < (1 - NEGLIGIBLE) * (end - begin) or weight == 0:
            return None
        return np.asarray(total / weight)

    def pending(self, measured: float, effect: float) -> tuple[list[Array], float]:
        """What acts between a measurement and the first effect of a plan, one control period after the other.

        Returns:
            Actions, the newest last, and the share of its period that the first of them still acts.
        """
        periods = max(0, math.ceil((effect - measured) / self._dt - NEGLIGIBLE))
        actions: list[Array] = []
        remaining = 1.0
        for back in range(periods):
            end = effect - back * self._dt
            begin = max(measured, end - self._dt)
            action = self.mean(begin, end)
            if action is None:
                break
            actions.insert(0, action)
            remaining = min(1.0, (end - begin) / self._dt)
        return actions, remaining
