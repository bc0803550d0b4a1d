"""What a bag says about each number over time: when it was measured, and its value between two measurements."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from robot_bridge.control.inputs import is_new
from robot_bridge.middleware.messages import Message

Array = NDArray[np.float64]
MAX_STAMP_AHEAD = 0.005
"""A stamp this much later than the message's arrival [s] is still the same clock: two clocks are never quite equal."""

SAME_TIME = 1e-6
"""Times this close [s] are one: that of a sample is known whatever is missing beside it."""
DELAY_WINDOW = 101
"""Messages whose median delay tells whether two clocks agree."""


@dataclass
class Samples:
    """Messages of one topic, as numbers.

    Attributes:
        received: when each came, since the epoch [ns].
        stamps: what the sender wrote into the header, since the epoch [ns]; 0 without a header.
        rows: the numbers that are read from each message, (num,); NaN where the message does not have them.
    """

    received: list[int] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)

    def add(self, message: Message, received: int, row: list[float]) -> None:
        """Take over a message."""
        header = getattr(message, "header", None)
        self.received.append(received)
        self.stamps.append(0 if header is None else header.stamp.sec * 10**9 + header.stamp.nanosec)
        self.rows.append(row)

    def measured(self, start: int, max_age: float) -> Measured:
        """The samples by the time at which they were measured.

        Args:
            start: of the bag, since the epoch [ns]; times count from here.
            max_age: a message that takes longer than this on its way [s] is stamped by a clock that is not this one's.
        """
        order = np.argsort(np.array(self.received, dtype=np.int64), kind="stable")
        order = order[_is_new(np.array(self.stamps, dtype=np.int64)[order])]
        received, stamps = (np.array(ns, dtype=np.int64)[order] for ns in (self.received, self.stamps))
        since_start = np.where(stamps > 0, 1e-9 * (stamps - start), np.nan)
        times, by_stamp = measured_times((1e-9 * (received - start)).astype(np.float64), since_start, max_age)
        later = np.diff(np.maximum.accumulate(times), prepend=-math.inf) > 0
        return Measured(times[later], np.array(self.rows, dtype=np.float64)[order][later], by_stamp)


@dataclass(frozen=True)
class Measured:
    """Samples in the order of their measurement.

    Attributes:
        times: since the bag's start [s], strictly increasing, (S,).
        values: (S, num).
        by_stamp: share of the messages whose time is the header's stamp and not their arrival.
    """

    times: Array
    values: Array
    by_stamp: float


def _is_new(stamps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each message is newer than those before it, as the live inputs see it, (S,).

    Not with a stamp that stands still or was overtaken, but again after a clock was set back by more than `CLOCK_JUMP`.
    """
    new, last = np.ones(len(stamps), dtype=np.bool_), 0
    for index, stamp in enumerate(stamps.tolist()):
        if stamp > 0:
            new[index] = is_new(1e-9 * stamp, 1e-9 * last)
            last = stamp if new[index] else last
    return new


def measured_times(received: Array, stamps: Array, max_age: float) -> tuple[Array, float]:
    """When each message was measured: its stamp where the sender's clock agrees with the receiver's, its arrival elsewhere.

    Args:
        received: in increasing order [s], (S,).
        stamps: on the same scale [s], NaN for none, (S,).
        max_age: see `Samples.measured`.

    Returns:
        Times (S,) and the share that are stamps.
    """
    times, stamped = received.copy(), np.isfinite(stamps)
    if not stamped.any():
        return times, 0.0
    # of many messages: one that was long on its way has a stamp that is right, a clock that is wrong is so for all
    delay = median_filter((received - stamps)[stamped], DELAY_WINDOW, mode="nearest")
    agrees = (delay >= -MAX_STAMP_AHEAD) & (delay <= max_age)
    times[stamped] = np.where(agrees, stamps[stamped], received[stamped])
    return times, float(agrees.sum() / len(times))


def interpolate(times: Array, values: Array, at: Array, max_gap: float, *, angle: bool) -> Array:
    """One channel between the neighbouring samples.

    Args:
        times: strictly increasing [s], (S,).
        values: (S,); one that is not finite is no sample.
        at: where the channel is wanted [s], (T,).
        max_gap: samples further apart than this [s] say nothing about the time between them.
        angle: on the circle, the short way round.

    Returns:
        (T,); NaN where it is not known.
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
