"""Which command acts on the robot when: each acts from `latency` after it was sent until the next one acts."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
NEGLIGIBLE = 0.02
"""Parts of a control period that are shorter than this share are ignored."""


class SentCommands:
    """The latest commands. Times are monotonic [s] and given by the caller.

    Args:
        dt: control period [s].
        latency: delay of the observations plus delay of the commands, which together pass between a measurement and the effect
            of a command that answers it at once [s].
        memory: how far back `mean` and `pending` may ask [s].
    """

    def __init__(self, dt: float, latency: float, memory: float) -> None:
        self._dt, self._latency, self._memory = dt, latency, memory
        self._sent: deque[tuple[float, Array | None]] = deque()

    def add(self, at: float, command: Array | None) -> None:
        """Take note of a command that was sent at this time.

        Args:
            at: time of sending, monotonic [s].
            command: the command, (action_dim,); None when sending ends, after which it is not known what acts on the robot.
        """
        # after the clock was set back, later entries are wrong
        while self._sent and self._sent[-1][0] >= at:
            self._sent.pop()
        while len(self._sent) > 1 and self._sent[1][0] + self._latency < at - self._memory:
            self._sent.popleft()
        self._sent.append((at, command))

    def mean(self, begin: float, end: float) -> Array | None:
        """The mean command that acts from `begin` to `end`, (action_dim,); None if it is not known for the whole time."""
        total: Array | float = 0.0
        weight, until = 0.0, end
        for sent, command in reversed(self._sent):
            since = max(begin, sent + self._latency)
            # the share is negative for a command that acts only after this interval
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
        """The commands that act between a measurement and the first effect of a plan, as one mean for each control period.

        Args:
            measured: time of the measurement, monotonic [s].
            effect: time at which the plan's first command acts, monotonic [s].

        Returns:
            Actions (action_dim,), the newest last, and the share of its period for which the first of them still acts.
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
