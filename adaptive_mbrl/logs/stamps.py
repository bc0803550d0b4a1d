"""When messages were measured: by the stamp that their sender gave them, or by their arrival where its clock is another one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from adaptive_mbrl.logs.samples import Array, Measured, in_order
from adaptive_mbrl.stamp_order import which_are_new

Times = Sequence[int] | NDArray[np.int64]
MAX_STAMP_AHEAD = 0.005
"""How much later than a message's arrival its stamp may be [s]. Synchronised clocks still differ by a little."""
DELAY_WINDOW = 101
"""Number of messages whose median delay decides whether two clocks agree."""


def measured(received: Times, stamps: Times, rows: Array, start: int, max_delay: float) -> Measured:
    """The messages of one topic by the time at which they were measured.

    Args:
        received: time of arrival of each message, in any order, since the epoch [ns], (S,).
        stamps: stamp that the sender wrote into each header, since the epoch [ns], (S,); 0 without a header.
        rows: the numbers of each message, (S, num); NaN for a number that the message does not hold.
        start: start of the recording since the epoch, from which times count [ns].
        max_delay: longest plausible delay of a message [s]; after a longer one, the sender's clock was another one.
    """
    order = np.argsort(np.asarray(received, dtype=np.int64), kind="stable")
    received, stamps = (np.asarray(ns, dtype=np.int64)[order] for ns in (received, stamps))
    rows, stamped, used = rows[order], stamps > 0, np.ones(len(stamps), dtype=bool)
    used[stamped] = which_are_new((1e-9 * stamps[stamped]).tolist(), np.isfinite(rows[stamped]))
    received, stamps, rows = received[used], stamps[used], rows[used]
    since_start = np.where(stamps > 0, 1e-9 * (stamps - start), np.nan)
    times, by_stamp = measured_times((1e-9 * (received - start)).astype(np.float64), since_start, max_delay)
    return Measured(*in_order(times, rows), by_stamp)


def measured_times(received: Array, stamps: Array, max_delay: float) -> tuple[Array, float]:
    """When each message was measured: its stamp where the sender's clock agrees with the receiver's, its arrival elsewhere.

    Args:
        received: times of arrival in increasing order [s], (S,).
        stamps: stamps of the messages, counted from the same start [s], (S,); NaN for a message without one.
        max_delay: longest plausible delay of a message [s].

    Returns:
        Times [s], (S,), and the share of them that are stamps.
    """
    times, stamped = received.copy(), np.isfinite(stamps)
    if not stamped.any():
        return times, 0.0
    # the median of many messages: a single long delay does not make the clock wrong, but a wrong clock affects all of them
    delay = median_filter((received - stamps)[stamped], DELAY_WINDOW, mode="nearest")
    agrees = (delay >= -MAX_STAMP_AHEAD) & (delay <= max_delay)
    times[stamped] = np.where(agrees, stamps[stamped], received[stamped])
    return times, float(agrees.sum() / len(times))


def notes_on_stamps(topic: str, stamps: Times, found: Measured) -> list[str]:
    """What there is to say to a user about the stamps of a topic's messages.

    Args:
        topic: the topic's name.
        stamps: stamp of each message, 0 without a header, (S,).
        found: what `measured` made of the messages.
    """
    notes, repeated = [], len(stamps) - len(found.times)
    if repeated:
        notes.append(f"{topic}: {repeated} messages left out, their stamps stand still or go back")
    if any(stamps) and found.by_stamp < 1:
        share = f"{1 - found.by_stamp:.0%}"
        notes.append(f"{topic}: {share} of its stamps are of another clock; the time of arrival is used there")
    return notes
