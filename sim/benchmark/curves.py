"""Curves with bands: a mean over training seeds and episodes at every point, and a pointwise 95 % bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.benchmark.statistics import FEWEST_SEEDS, LEVEL

Array = NDArray[np.float64]
RESAMPLES = 1_000


@dataclass(frozen=True)
class Curve:
    """A curve of X points.

    Attributes:
        mean: (X,); NaN where nothing is known.
        low, high: ends of the pointwise interval, (X,).
    """

    mean: Array
    low: Array
    high: Array


def curve(values: Array, divisor: Array | None = None, strata: Sequence[int] = ()) -> Curve:
    """Mean of the values, or ratio of sums, at every point; percentile intervals, drawn like those of `statistics`.

    Args:
        values: (S, E, X); NaN where nothing was measured.
        divisor: what the values are divided by after averaging, (S, E, X) or (1, E, X); 1 by default.
        strata: number of episodes of each scenario, in order; all are of one scenario by default.
    """
    by = np.ones_like(values) if divisor is None else np.broadcast_to(divisor, values.shape)
    known = np.isfinite(values) & np.isfinite(by)
    above, below = np.where(known, values, 0.0), np.where(known, by, 0.0)
    seeds, episodes = _weights(values.shape[0], values.shape[1], strata or (values.shape[1],))
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = _weighted(above, seeds, episodes) / _weighted(below, seeds, episodes)
        mean = above.sum((0, 1)) / below.sum((0, 1))
    drawn = np.where(np.isfinite(drawn), drawn, mean)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return Curve(mean, low, high)


def performance_profile(scores: Array, thresholds: Array, strata: Sequence[int] = ()) -> Curve:
    """Share of runs whose score is above each threshold; of scores (S, E), NaN left out."""
    above = np.where(np.isfinite(scores)[..., None], scores[..., None] > thresholds, np.nan)
    return curve(above, strata=strata)


def _weights(num_seeds: int, num_episodes: int, strata: Sequence[int]) -> tuple[Array, Array]:
    """How often every seed, (R, S), and every episode, (R, E), is drawn."""
    rng = np.random.default_rng(0)
    is_drawn = num_seeds >= FEWEST_SEEDS
    seeds = _counts(rng, num_seeds) if is_drawn else np.ones((RESAMPLES, num_seeds))
    assert sum(strata) == num_episodes, "every episode belongs to a scenario"
    return seeds, np.concatenate([_counts(rng, size) for size in strata], axis=1)


def _counts(rng: np.random.Generator, size: int) -> Array:
    return rng.multinomial(size, np.full(size, 1 / size), size=RESAMPLES).astype(np.float64)


def _weighted(values: Array, seeds: Array, episodes: Array) -> Array:
    """Weighted sums of (S, E, X), one for each resample, (R, X)."""
    return np.einsum("rs,re,sex->rx", seeds, episodes, values, optimize=True)
