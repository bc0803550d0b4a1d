"""Numbers of a bag over time: when each was measured, and its value between two measurements."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from robot_bridge.control.sender_clock import which_are_new
from robot_bridge.middleware.messages import Message

Array = NDArray[np.float64]
MAX_STAMP_AHEAD = 0.005
"""How much later than a message's arrival its stamp may be [s]. Synchronised clocks still differ by a little."""
SAME_TIME = 1e-6
"""Two times that differ by less than this [s] are the same. At the time of a sample its value is known, even beside a gap."""
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


@dataclass(frozen=True)
class Measured:
    """Samples in the order of their measurement.

    Attributes:
        times: time of each sample since the bag's start [s], strictly increasing, (S,).
        values: values of each sample, (S, num).
        by_stamp: share of the messages whose time is the header's stamp instead of their arrival.
    """

    times: Array
    values: Array
    by_stamp: float


def in_order(times: Array, rows: Array) -> tuple[Array, Array]:
    """Samples in the order of their measurement, those of one time in one row.

    A number that was measured before one that came earlier is left out; several drivers have numbers of their own.

    Args:
        times: when each sample was measured, in the order of arrival [s], (S,).
        rows: the samples, (S, num); NaN for a number that a sample does not hold.

    Returns:
        Times, strictly increasing, (T,), and rows, (T, num).
    """
    latest = np.maximum.accumulate(np.where(np.isfinite(rows), times[:, None], -math.inf), axis=0)
    before = np.vstack([np.full_like(rows[:1], -math.inf), latest[:-1]])
    later = np.isfinite(rows) & (times[:, None] > before)
    # a sample without any number says that nothing was known
    kept = later.any(1) | ~np.isfinite(rows).any(1)
    times, rows = times[kept], np.where(later, rows, np.nan)[kept]
    merged, where = np.unique(times, return_inverse=True)
    values = np.full((len(merged), rows.shape[1]), np.nan)
    row, column = np.nonzero(np.isfinite(rows))
    values[where[row], column] = rows[row, column]
    return merged, values


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


def interpolate(times: Array, values: Array, at: Array, max_gap: float, *, angle: bool) -> Array:
    """Interpolate one channel between the neighbouring samples.

    Args:
        times: times of the samples [s], strictly increasing, (S,).
        values: values of the samples, (S,); one that is not finite is left out.
        at: times at which the channel is wanted [s], (T,).
        max_gap: longest time between two samples that is bridged [s].
        angle: whether the channel is an angle, which is interpolated the short way round the circle.

    Returns:
        Values, (T,); NaN where the channel is not known.
    """
    finite = np.isfinite(values)
    times, values = times[finite], values[finite]
    if len(times) < 2:
        return np.full(len(at), np.nan)
    left = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2)
    gap = times[left + 1] - times[left]
    share = (at - times[left]) / gap
    change = values[left + 1] - values[left]
    if angle:
        change = np.remainder(change + math.pi, 2 * math.pi) - math.pi
    at_sample = np.minimum(np.abs(at - times[left]), np.abs(at - times[left + 1])) <= SAME_TIME
    known = at_sample | ((share >= 0) & (share <= 1) & (gap <= max_gap))
    return np.where(known, values[left] + np.clip(share, 0, 1) * change, np.nan)
