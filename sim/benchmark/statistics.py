"""Statistics over training seeds and episodes, in the vocabulary of rliable (Agarwal et al. 2021, arXiv 2108.13264).

Every training seed of a method meets the same episodes, each with planner noise of its own, so that a table has one row for each
training seed and one column for each episode. An interval draws rows and columns anew, each with replacement and independently of
one another: the bootstrap of crossed factors (Owen 2007, "The pigeonhole bootstrap"). Episodes are drawn within their scenario.
It would be wrong to draw episodes anew for each training seed: the luck of an episode is the same for all seeds, and would count
as many lucks that cancel. Intervals are BCa (Efron 1987), computed by `scipy.stats.bootstrap`.

With fewer than `FEWEST_SEEDS` training seeds, rows are kept as they are, and the interval says nothing about other trainings.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

Array = NDArray[np.float64]
Interval = tuple[float, float | None]
"""Lower and upper end; an upper end of None is infinite."""
Draw = Mapping[str, NDArray[np.int64]]
"""For every axis the indices that were drawn, (R, n): R resamples."""
Statistic = Callable[[Draw], Array]
"""Computes one number for each resample, (R,)."""

FEWEST_SEEDS = 3
RESAMPLES = 9_999
LEVEL = 0.95
SEEDS, EPISODES = "seeds ", "episodes "
"""Beginnings of the names of axes."""
_BATCH = 500


@dataclass(frozen=True)
class Table:
    """One number for each training seed and episode of a method on a scenario.

    Attributes:
        values: (S, E).
        seeds: name of the axis of training seeds. Tables of the same models have the same one, and stay paired.
        episodes: name of the axis of episodes, likewise.
    """

    values: Array
    seeds: str
    episodes: str

    @property
    def axes(self) -> dict[str, int]:
        """Sizes of the two axes."""
        return {self.seeds: self.values.shape[0], self.episodes: self.values.shape[1]}

    def drawn(self, draw: Draw) -> Array:
        """The table of every resample, (R, S, E)."""
        return self.values[draw[self.seeds][..., :, None], draw[self.episodes][..., None, :]]


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval; None where there is none."""

    value: float | None
    ci95: Interval | None = None


NOTHING = asdict(Estimate(None))
"""No figure, as it is in a report."""


def estimate(
    statistic: Statistic, tables: Sequence[Table], resamples: int | None = None, *, may_be_infinite: bool = False
) -> Estimate:
    """A statistic and its interval.

    Args:
        statistic: the statistic.
        tables: all tables that it reads; their axes are drawn.
        resamples: number of resamples; `RESAMPLES` by default.
        may_be_infinite: whether an infinite statistic means something, and not only that it is unknown.
    """
    axes: dict[str, int] = {}
    for table in tables:
        axes |= table.axes
    fixed = {name: np.arange(n) for name, n in axes.items() if name.startswith(SEEDS) and n < FEWEST_SEEDS}
    drawn = [name for name in axes if name not in fixed]

    def of(*indices: NDArray[np.int64], axis: int = -1) -> Array:
        leading = indices[0].shape[:-1]
        draw = {name: np.broadcast_to(i, (*leading, len(i))) for name, i in fixed.items()}
        return statistic({**draw, **dict(zip(drawn, indices, strict=True))})

    data = tuple(np.arange(axes[name]) for name in drawn)
    value = float(of(*data))
    if not np.isfinite(value):
        return Estimate(None)
    return Estimate(value, bca_interval(of, data, resamples or RESAMPLES, may_be_infinite=may_be_infinite))


def bca_interval(
    statistic: Callable[..., Array],
    data: tuple[NDArray[np.int64], ...],
    resamples: int = RESAMPLES,
    *,
    may_be_infinite: bool = False,
) -> Interval | None:
    """The BCa interval of a vectorised statistic of several samples, each drawn independently: `scipy.stats.bootstrap`.

    Where BCa is not defined, since leaving one out changes nothing or all resamples lie on one side, the percentile interval
    takes its place, as rliable has it.

    Returns:
        None where a sample has fewer than two entries, or the statistic of a resample is not finite. With `may_be_infinite`, a
        resample may be positively infinite; None then takes the place of an infinite upper end.
    """
    if any(len(sample) < 2 for sample in data):
        return None
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
        found = scipy.stats.bootstrap(
            data,
            statistic,
            n_resamples=resamples,
            batch=_BATCH,
            vectorized=True,
            paired=False,
            confidence_level=LEVEL,
            method="BCa",
            rng=np.random.default_rng(0),
        )
    low, high = (float(end) for end in found.confidence_interval)
    is_finite = bool(np.isfinite(found.bootstrap_distribution).all())
    if not is_finite and (not may_be_infinite or not (found.bootstrap_distribution > -np.inf).all()):
        return None
    if not (np.isfinite(low) and np.isfinite(high)):
        # between a finite and an infinite resample nothing can be interpolated
        ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
        low, high = np.quantile(found.bootstrap_distribution, ends, method="linear" if is_finite else "inverted_cdf")
    if not np.isfinite(low):
        return None
    return float(low), float(high) if np.isfinite(high) else None


def pooled(tables: Sequence[Table], draw: Draw) -> Array:
    """All entries of several tables in one row per resample, (R, number of entries)."""
    parts = [table.drawn(draw) for table in tables]
    return np.concatenate([part.reshape(*part.shape[:-2], -1) for part in parts], axis=-1)


def mean_of_ratios(gains: Sequence[Table], gaps: Sequence[Table]) -> Statistic:
    """Sum of gains over sum of gaps of every scenario, and their mean over scenarios."""

    def statistic(draw: Draw) -> Array:
        ratios = [g.drawn(draw).mean((-2, -1)) / d.drawn(draw).mean((-2, -1)) for g, d in zip(gains, gaps, strict=True)]
        return np.mean(ratios, axis=0)

    return statistic


def mean_difference(ours: Sequence[Table], theirs: Sequence[Table]) -> Statistic:
    """Difference of the means, averaged over scenarios."""

    def statistic(draw: Draw) -> Array:
        pairs = zip(ours, theirs, strict=True)
        return np.mean([a.drawn(draw).mean((-2, -1)) - b.drawn(draw).mean((-2, -1)) for a, b in pairs], axis=0)

    return statistic


def probability_of_improvement(ours: Sequence[Table], theirs: Sequence[Table]) -> Statistic:
    """How probable it is that ours is better than theirs on the same episode; a tie counts half.

    Models of one checkpoint are compared seed by seed, others in all pairs of seeds. Averaged over scenarios.
    """

    def of_pair(a: Table, b: Table, draw: Draw) -> Array:
        x, y = a.drawn(draw), b.drawn(draw)
        if a.seeds != b.seeds:
            x, y = x[..., :, None, :], y[..., None, :, :]
        better = np.where(x > y, 1.0, np.where(x == y, 0.5, 0.0))
        return better.mean(tuple(range(draw[a.episodes].ndim - 1, better.ndim)))

    def statistic(draw: Draw) -> Array:
        return np.mean([of_pair(a, b, draw) for a, b in zip(ours, theirs, strict=True)], axis=0)

    return statistic
