"""Which source of commands has the robot: the one with the highest priority that is not silent. No middleware in here.

Whoever has the robot, its commands take the place of the plan, so the safety supervisor limits them as it limits a plan. When the
planner gets the robot back, its share of the command grows from 0 to 1, beginning at the last command that was sent:

    wanted = start + share (plan - start)

The priorities and timeouts are those of twist_mux, a multiplexer of velocity commands in ROS.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robot_bridge.ownership.config import PLANNER, CommandSource

Array = NDArray[np.float64]

JUST_NOW = 0.005
"""How much newer than the control period's begin a command may be [s]."""


class Choice(NamedTuple):
    """Who has the robot in a control period.

    Attributes:
        owner: the name of the source; `PLANNER` also where nobody says anything.
        action: what it wants, (action_dim,); None if the planner has the robot and no plan.
    """

    owner: str
    action: Array | None


class Arbiter:
    """Chooses the owner in every control period. `hear` runs on the transport's thread, `choose` on the control loop's.

    Args:
        sources: the others, by name.
        priority: the planner's priority.
        size: number of action channels.
        ramp_seconds: how long the planner's share grows when it gets the robot back [s].

    Attributes:
        owner: who has the robot.
        changes: how often the owner has changed.
        refused: number of commands of each source that were no finite numbers of the right number.
    """

    def __init__(self, sources: Mapping[str, CommandSource], priority: int, size: int, ramp_seconds: float) -> None:
        self._sources, self._priority, self._size, self._ramp_seconds = sources, priority, size, ramp_seconds
        self._heard: dict[str, tuple[Array, float]] = {}
        self._lock = threading.Lock()
        self._start: Array | None = None
        self._since = -math.inf
        self.owner = PLANNER
        self.changes = 0
        self.refused = dict.fromkeys(sources, 0)

    def hear(self, name: str, values: Array, at: float) -> None:
        """Take over a command of a source, (action_dim,), that came at this time, monotonic [s]; one that is none is counted."""
        if np.shape(values) != (self._size,) or not np.isfinite(values).all():
            self.refused[name] += 1
            return
        with self._lock:
            self._heard[name] = np.array(values, dtype=np.float64), at

    def choose(self, now: float, plan: Array | None, sent: Array) -> Choice:
        """Who has the robot now, and what it wants.

        Args:
            now: monotonic time [s].
            plan: the planner's action, (action_dim,); None if it has none, with which it counts as silent.
            sent: the last command, (action_dim,).
        """
        wanted = self._wanted(now)
        if plan is not None:
            wanted[PLANNER] = plan
        owner = max(wanted, key=self._priority_of, default=PLANNER)
        if owner != self.owner:
            self.owner, self.changes = owner, self.changes + 1
            self._start, self._since = np.array(sent, dtype=np.float64), now
        if owner != PLANNER:
            return Choice(owner, wanted[owner])
        return Choice(owner, None if plan is None else self._ramped(now, plan))

    def forget(self) -> None:
        """The robot is not controlled any more, so that the next start is no change of the owner."""
        self.owner, self._start = PLANNER, None

    def _wanted(self, now: float) -> dict[str, Array]:
        """What the sources want that are not silent. A command from the future means that a clock jumped, and is none.

        One that came while the control loop was beginning its period is a little newer than `now`.
        """
        with self._lock:
            heard = dict(self._heard)
        return {name: values for name, (values, at) in heard.items() if -JUST_NOW <= now - at <= self._sources[name].timeout}

    def _priority_of(self, name: str) -> int:
        return self._priority if name == PLANNER else self._sources[name].priority

    def _ramped(self, now: float, plan: Array) -> Array:
        if self._start is None:
            return plan
        share = 1.0 if self._ramp_seconds <= 0 else min(1.0, max(0.0, now - self._since) / self._ramp_seconds)
        if share >= 1.0 or np.shape(plan) != self._start.shape:
            self._start = None
            return plan
        return self._start + share * (np.asarray(plan, dtype=np.float64) - self._start)
