"""Intervals of means over episodes: what a mean would be over other episodes of the same kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Interval = tuple[float, float]
LEVEL = 0.95
RESAMPLES = 10_000
RESAMPLES_OF_CURVES = 1_000


@dataclass(frozen=True)
class Curve:
    """A mean at each of X points, with the ends of its pointwise interval.

    Attributes:
        mean: (X,).
        low: lower ends, (X,); NaN where there is no interval.
        high: upper ends, (X,).
    """

    mean: Array
    low: Array
    high: Array


def bootstrap_interval(
    statistic: Callable[[Array], Array], samples: Array, *, level: float = LEVEL, seed: int = 0
) -> Interval | None:
    """Percentile bootstrap over episodes.

    Args:
        statistic: computes one number per resample, from (R, E, C) to (R,).
        samples: one row per episode, (E, C); whole rows are drawn, so that paired columns stay paired.
        level: the confidence level, between 0 and 1.
        seed: seed of the resampling.

    Returns:
        Lower and upper end; None for fewer than two episodes or where the statistic of a resample is not finite.
    """
    if len(samples) < 2:
        return None
    picks = np.random.default_rng(seed).integers(len(samples), size=(RESAMPLES, len(samples)))
    values = statistic(samples[picks])
    if not np.isfinite(values).all():
        return None
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_and_interval(values: Array) -> tuple[float, Interval | None]:
    """The mean of one value per episode, (E,), and its 95 % bootstrap interval."""
    return float(np.mean(values)), bootstrap_interval(lambda r: r[..., 0].mean(1), values[:, None])


def mean_curve(values: Array) -> Curve:
    """The mean of E rows, (E, X), with pointwise 95 % bootstrap intervals over the rows; a single row has none."""
    mean = values.mean(0)
    if len(values) < 2:
        return Curve(mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan))
    weights = np.random.default_rng(0).multinomial(len(values), np.full(len(values), 1 / len(values)), size=RESAMPLES_OF_CURVES)
    low, high = np.quantile(weights @ values / len(values), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return Curve(mean, low, high)
