"""Numbers of a bag over time: when each of its messages was measured."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import median_filter

from adaptive_mbrl.logs.samples import Array, Measured, in_order
from robot_bridge.control.sender_clock import which_are_new
from robot_bridge.middleware.messages import Message

MAX_STAMP_AHEAD = 0.005
"""How much later than a message's arrival its stamp may be [s]. Synchronised clocks still differ by a little."""
DELAY_WINDOW = 101
"""Number of messages whose median delay decides whether two clocks agree."""


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
        order = np.argsort(np.array(self.received, dtype=np.int64), kind="stable")
        received, stamps = (np.array(ns, dtype=np.int64)[order] for ns in (self.received, self.stamps))
        rows = np.array(self.rows, dtype=np.float64)[order]
        stamped, used = stamps > 0, np.ones(len(stamps), dtype=bool)
        used[stamped] = which_are_new((1e-9 * stamps[stamped]).tolist(), np.isfinite(rows[stamped]))
        received, stamps, rows = received[used], stamps[used], rows[used]
        since_start = np.where(stamps > 0, 1e-9 * (stamps - start), np.nan)
        times, by_stamp = measured_times((1e-9 * (received - start)).astype(np.float64), since_start, max_age)
        return Measured(*in_order(times, rows), by_stamp)


def measured_times(received: Array, stamps: Array, max_age: float) -> tuple[Array, float]:
    """When each message was measured: its stamp where the sender's clock agrees with the receiver's, its arrival elsewhere.

    Args:
        received: times of arrival in increasing order [s], (S,).
        stamps: stamps of the messages, counted from the same start [s], (S,); NaN for a message without one.
        max_age: longest plausible delay of a message [s].

    Returns:
        Times [s], (S,), and the share of them that are stamps.
    """
    times, stamped = received.copy(), np.isfinite(stamps)
    if not stamped.any():
        return times, 0.0
    # the median of many messages: a single long delay does not make the clock wrong, but a wrong clock affects all of them
    delay = median_filter((received - stamps)[stamped], DELAY_WINDOW, mode="nearest")
    agrees = (delay >= -MAX_STAMP_AHEAD) & (delay <= max_age)
    times[stamped] = np.where(agrees, stamps[stamped], received[stamped])
    return times, float(agrees.sum() / len(times))
