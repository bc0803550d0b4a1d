"""Numbers over time: samples in the order of their measurement, and what is known between two of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SAME_TIME = 1e-6
"""Two times that differ by less than this [s] are the same. At the time of a sample its value is known, even beside a gap."""


@dataclass(frozen=True)
class Measured:
    """Samples in the order of their measurement.

    Attributes:
        times: time of each sample since the recording's start [s], strictly increasing, (S,).
        values: values of each sample, (S, num).
        by_stamp: share of the samples whose time is the stamp that their sender gave them, and not the time of their arrival.
    """

    times: Array
    values: Array
    by_stamp: float = 1.0


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


def measured_at(at: Array, channels: Sequence[Array]) -> Array:
    """When what is known at some times was measured: at the nearest sample of each channel, of which the oldest counts.

    Args:
        at: times, increasing, (T,).
        channels: times of the samples of each channel, increasing, at least one each.

    Returns:
        Times, never decreasing, (T,).
    """
    nearest = []
    for times in channels:
        place = np.clip(np.searchsorted(times, at), 1, max(1, len(times) - 1))
        before, after = times[place - 1], times[np.minimum(place, len(times) - 1)]
        nearest.append(np.where(at - before <= after - at + SAME_TIME, before, after))
    return np.min(nearest, axis=0)


def hold(times: Array, rows: Array, at: Array, max_age: float) -> Array:
    """The newest value of each column.

    Args:
        times: times of the samples [s], strictly increasing, (S,).
        rows: the samples, (S, num); NaN for a number that a sample does not hold.
        at: times at which the values are wanted [s], (T,).
        max_age: age beyond which a value is not known any more [s].

    Returns:
        Values, (T, num); NaN where a value is not known.
    """
    found = np.full((len(at), rows.shape[1]), np.nan)
    for column, values in enumerate(rows.T):
        finite = np.isfinite(values)
        newest = np.searchsorted(times[finite], at, side="right") - 1
        there = newest >= 0
        age = at[there] - times[finite][newest[there]]
        found[there, column] = np.where(age <= max_age + SAME_TIME, values[finite][newest[there]], np.nan)
    return found
