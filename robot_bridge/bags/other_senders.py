"""Parts of a recording in which somebody else commanded the robot, too.

What the robot did there may have come of commands that the bag does not have, or not in this order. A message in a bag does not
say who has sent it. What shows another sender is the node's own diagnosis, which counts the publishers of commands once a second,
and commands that crowd: a control loop in good order does not send two of them within a quarter of its period.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.logs.samples import Array
from robot_bridge.middleware.messages import DiagnosticArray

SOMEBODY_ELSE = "somebody else commanded"
"""Reason for leaving out a stretch."""
TOPIC = "/diagnostics"
CROWDED = 0.25
"""Commands are crowded if they are closer than this share of the control period."""
UNKNOWN = 2.0
"""How long before the first diagnosis the sender may have been there already [s]."""
_PART, _KEY = "output", "other publishers"
Interval = tuple[float, float]
"""Begin and end, since the recording's start [s]."""


def other_publishers(message: DiagnosticArray, node: str) -> int | None:
    """How many others publish commands, by the diagnosis of a node; None if the message is not about that."""
    for status in message.status:
        if status.name.strip("/") == f"{node.strip('/')}: {_PART}":
            found = next((pair.value for pair in status.values if pair.key == _KEY), "")
            return int(found) if found.isdigit() else None
    return None


def told_by_diagnosis(counts: Sequence[tuple[float, int]]) -> list[Interval]:
    """When somebody else commanded, by the number of other publishers at some times, in their order.

    One that is seen may have come right after the diagnosis before, and may go right before the next one.
    """
    times = [at for at, _ in counts]
    before = [times[0] - UNKNOWN, *times[:-1]] if times else []
    after = [*times[1:], math.inf]
    return [(begin, end) for begin, (_, count), end in zip(before, counts, after, strict=True) if count] if counts else []


def crowded(times: Array, dt: float) -> list[Interval]:
    """The gaps between commands that are too close to have come of one control loop with the period dt [s]."""
    close = np.flatnonzero(np.diff(times) < CROWDED * dt)
    return [(float(times[i]), float(times[i + 1])) for i in close]


def steps_within(ticks: Array, intervals: Iterable[Interval]) -> NDArray[np.bool_]:
    """Which steps of the control grid touch one of these intervals, (T,)."""
    found = np.zeros(len(ticks) - 1, dtype=np.bool_)
    for begin, end in intervals:
        found |= (ticks[:-1] <= end) & (ticks[1:] >= begin)
    return found
