"""Two publishers of one channel that contradict each other, by what comes: no middleware tells it for certain.

Of messages that come in turn from two publishers, a channel's values jump to and fro between two levels, or their stamps do. A
robot's own motion does not do that from message to message: after a jump it does not come back at once, again and again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robot_bridge.safety.circle import on_circle
from robot_bridge.safety.faults import Fault

Array = NDArray[np.float64]
MESSAGES = 24
"""Number of messages about a channel that are looked at."""
RETURNS = 8
"""So many jumps to and fro among them are a contradiction."""
STAMP_BACK = 0.002
"""How far a stamp must be behind the last one to count [s]. Messages of one publisher arrive in the order of their stamps."""
SAME_SIZE = 0.5
"""A jump back has the size of the jump before, up to this share of it."""


class Contradictions:
    """Keeps the newest messages about each channel. `add` runs on the transport's thread, `look` on the control loop's.

    Args:
        channels: names of all observation channels.
        reach: how far apart two values must be, for each channel in its own unit, (obs_dim,).
        is_angle: which channels are angles, (obs_dim,) bool: these are compared on the circle.

    Attributes:
        reach: as given; it may be changed.
    """

    def __init__(self, channels: tuple[str, ...], reach: Array, is_angle: NDArray[np.bool_]) -> None:
        self._channels, self.reach, self._is_angle = channels, reach, is_angle
        self._values = np.full((len(channels), MESSAGES), np.nan)
        self._stamps = np.full((len(channels), MESSAGES), np.nan)
        self._at = np.full(len(channels), -np.inf)

    def add(self, indices: list[int], values: list[float], stamp: float, received: float) -> None:
        """Take over a message about some channels.

        Args:
            indices: which channels.
            values: their values.
            stamp: the message's stamp [s]; NaN without one.
            received: when it came, monotonic [s].
        """
        for kept, new in ((self._values, values), (self._stamps, stamp)):
            rows = kept[indices]
            rows[:, :-1] = rows[:, 1:]
            rows[:, -1] = new
            kept[indices] = rows
        self._at[indices] = received

    def look(self, now: float) -> list[Fault]:
        """The fault of each channel that two publishers contradict each other about, at a time, monotonic [s]."""
        values, stamps = self._values.copy(), self._stamps.copy()
        steps = np.diff(values, axis=1)
        # half a turn must keep its sign: a jump there and the jump back are then opposite, as everywhere else on the circle
        steps[self._is_angle] = on_circle(steps[self._is_angle])
        # comparisons with NaN are false, so unknown values are no jumps
        often = (np.abs(steps) > self.reach[:, None]).sum(1) >= RETURNS
        back = (np.diff(stamps, axis=1) < -STAMP_BACK).sum(1) >= RETURNS // 2
        suspects = np.flatnonzero((often | back) & (now - self._at < 1.0))
        return [fault for i in suspects if (fault := self._fault(int(i), steps[i], bool(back[i]))) is not None]

    def forget(self) -> None:
        """Forget all messages."""
        self._values[:], self._stamps[:] = np.nan, np.nan

    def _fault(self, i: int, steps: Array, is_back: bool) -> Fault | None:
        name = self._channels[i]
        if is_back:
            words = f"stamps of messages about '{name}' go to and fro, as of two publishers"
            return Fault("contradiction", words, name)
        if returns(steps, float(self.reach[i])) < RETURNS:
            return None
        apart = float(np.median(np.abs(steps[np.abs(steps) > self.reach[i]])))
        return Fault(
            "contradiction", f"'{name}' jumps to and fro by {apart:.3g} from message to message, as of two publishers", name
        )


def returns(steps: Array, reach: float) -> int:
    """How often a jump of more than `reach` is followed by one of about the same size in the other direction.

    Args:
        steps: differences of successive values, (n,).
        reach: size of a jump, in the channel's unit.
    """
    jumps = steps[np.abs(steps) > reach]
    before, after = jumps[:-1], jumps[1:]
    return int((np.abs(before + after) < SAME_SIZE * np.maximum(np.abs(before), np.abs(after))).sum())
