"""Figures of reactions, with the intervals that a number of observations allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats


def share_interval(count: int, of: int) -> list[float]:
    """The exact 95 % interval of a share, two-sided (Clopper and Pearson, 1934); 0 of n allows up to 1 - 0.025^(1/n)."""
    if of == 0:
        return [0.0, 1.0]
    low = float(stats.beta.ppf(0.025, count, of - count + 1)) if count else 0.0
    high = float(stats.beta.ppf(0.975, count + 1, of - count)) if count < of else 1.0
    return [round(low, 5), round(high, 5)]


def rate_interval(count: int, duration: float) -> list[float | None]:
    """Events per unit of the duration: what was found, and the exact 95 % interval of a Poisson process (Garwood, 1936)."""
    if duration <= 0:
        return [None, None, None]
    low = stats.chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    high = stats.chi2.ppf(0.975, 2 * (count + 1)) / 2
    return [round(float(value) / duration, 3) for value in (count, low, high)]


def quantiles(values: Sequence[float]) -> dict[str, float | None]:
    """Median, 99th percentile and largest value of those that are known; None without any."""
    known = np.array([value for value in values if np.isfinite(value)])
    wanted = {"p50": 50, "p99": 99, "max": 100}
    return {name: digits(np.percentile(known, q)) if len(known) else None for name, q in wanted.items()}


def digits(value: Any, number: int = 3) -> float:
    """A number for a report."""
    return round(float(value), number)


def proportion(count: int, of: int) -> dict[str, Any]:
    """A share of a number of observations with its interval."""
    return {"count": count, "of": of, "share_95": share_interval(count, of)}
