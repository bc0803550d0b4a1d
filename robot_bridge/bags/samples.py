"""Numbers of a bag over time: when each of its messages was measured."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from adaptive_mbrl.logs.samples import Measured
from adaptive_mbrl.logs.stamps import measured
from robot_bridge.middleware.messages import Message


@dataclass
class Samples:
    """Messages of one topic, as numbers.

    Attributes:
        received: time of arrival of each message, since the epoch [ns].
        stamps: stamp that the sender wrote into each header, since the epoch [ns]; 0 without a header.
        rows: the numbers of each message, (num,); NaN for a number that the message does not hold.
    """

    received: list[int] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)

    def add(self, message: Message, received: int, row: list[float]) -> None:
        """Append a message: its time of arrival since the epoch [ns] and its numbers."""
        header = getattr(message, "header", None)
        self.received.append(received)
        self.stamps.append(0 if header is None else header.stamp.sec * 10**9 + header.stamp.nanosec)
        self.rows.append(row)

    def measured(self, start: int, max_age: float) -> Measured:
        """The samples by the time at which they were measured.

        Args:
            start: the bag's start since the epoch, from which times count [ns].
            max_age: longest plausible delay of a message [s]; after a longer one, the sender's clock was another one.
        """
        return measured(self.received, self.stamps, np.array(self.rows, dtype=np.float64), start, max_age)
