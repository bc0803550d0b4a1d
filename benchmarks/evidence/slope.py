"""How fast something grows, robustly, with an interval that does not take neighbouring readings for independent ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

SEGMENTS = 40
"""Number of parts that the readings are cut into; each counts with its median, which a moment's peak does not move."""
BLOCK = 4
"""Number of successive parts that are drawn together, because what grows in steps grows in all of them."""
DRAWS = 4000


def growth(at: Sequence[float], values: Sequence[float], seed: int = 0) -> dict[str, Any] | None:
    """The Theil-Sen slope of medians of segments, with a 95 % interval by a circular block bootstrap of their increments.

    Args:
        at: when each reading was made, in any unit, increasing.
        values: the readings.
        seed: seed of the bootstrap.

    Returns:
        `slope`, `low` and `high` per unit, and `last_minus_first`; None for fewer than two readings a segment.
    """
    x, y = np.asarray(at, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if len(x) < 2 * SEGMENTS:
        return None
    parts = np.array_split(np.arange(len(x)), SEGMENTS)
    times, medians = np.array([x[p].mean() for p in parts]), np.array([np.median(y[p]) for p in parts])
    rates = np.diff(medians) / np.diff(times)
    rng, number = np.random.default_rng(seed), len(rates)
    begins = rng.integers(0, number, (DRAWS, -(-number // BLOCK)))
    drawn = (begins[:, :, None] + np.arange(BLOCK)) % number
    means = rates[drawn.reshape(DRAWS, -1)[:, :number]].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    slope = float(stats.theilslopes(medians, times).slope)
    # the median of slopes may lie beyond the interval of their mean, where all growth is in one step
    return {
        "slope": slope,
        "mean": float((medians[-1] - medians[0]) / (times[-1] - times[0])),
        "low": float(low),
        "high": float(high),
        "last_minus_first": float(medians[-1] - medians[0]),
    }
