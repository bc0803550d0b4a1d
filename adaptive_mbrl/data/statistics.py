"""Statistics of transitions, gathered piece by piece, so that the data may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from adaptive_mbrl.angles import wrap_angle
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import RobotSpec

MIN_RELATIVE_STD = 1e-3
"""Smallest std of a channel relative to its range: a channel that hardly moves must not blow up the loss."""


class Moments(NamedTuple):
    """What is known of one set of rows: their number and, of each of d columns, mean, sum of squared deviations and range.

    Attributes:
        rows: number of rows.
        mean: (d,) float64.
        squared: sum of the squared deviations from the mean, (d,) float64.
        low: smallest value, (d,).
        high: largest value, (d,).
    """

    rows: int
    mean: Tensor
    squared: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Moments:
        """The moments of rows (S, d)."""
        mean = rows.double().mean(0)
        return cls(len(rows), mean, (rows.double() - mean).square().sum(0), rows.amin(0), rows.amax(0))

    def merged(self, other: Moments) -> Moments:
        """The moments of both sets of rows together (Chan et al. 1979)."""
        rows, difference = self.rows + other.rows, other.mean - self.mean
        mean = self.mean + difference * (other.rows / rows)
        squared = self.squared + other.squared + difference.square() * (self.rows * other.rows / rows)
        return Moments(rows, mean, squared, torch.minimum(self.low, other.low), torch.maximum(self.high, other.high))

    @property
    def floored_std(self) -> Tensor:
        """Standard deviation, (d,), at least `MIN_RELATIVE_STD` of the range, and 1 for a constant column."""
        span = self.high - self.low
        floor = torch.where(span > 0, MIN_RELATIVE_STD * span, torch.ones_like(span))
        return torch.maximum((self.squared / self.rows).sqrt().to(floor), floor)


class TransitionStatistics(NamedTuple):
    """Moments of obs, of raw targets (wrapped changes, or next values where the spec says so) and of next_obs."""

    obs: Moments
    target: Moments
    next_obs: Moments


def transition_statistics(spec: RobotSpec, pieces: Iterable[tuple[Tensor, Tensor]]) -> TransitionStatistics:
    """The statistics of transitions that come in pieces.

    Args:
        spec: the robot, whose channels say what a target is.
        pieces: pairs of obs and next_obs, each (S, obs_dim).

    Raises:
        ConfigError: there is no transition.
    """
    total: TransitionStatistics | None = None
    for obs, next_obs in pieces:
        part = TransitionStatistics(*(Moments.of(rows) for rows in (obs, _raw_target(spec, obs, next_obs), next_obs)))
        total = part if total is None else TransitionStatistics(*(a.merged(b) for a, b in zip(total, part, strict=True)))
    if total is None:
        raise ConfigError("there is no transition to take statistics from")
    return total


def _raw_target(spec: RobotSpec, obs: Tensor, next_obs: Tensor) -> Tensor:
    target = next_obs - obs
    for column, channel in enumerate(spec.obs):
        if channel.kind == "angle":
            target[:, column] = wrap_angle(target[:, column])
        if channel.target == "direct":
            target[:, column] = next_obs[:, column]
    return target
