"""Goals that change while the robot runs, drawn per episode from its seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.config import bounded
from adaptive_mbrl.errors import ConfigError

_STREAM = 2  # keeps the goal's random numbers apart from those of the reset and of the noise


@dataclass(frozen=True)
class Goal:
    """What the objective's terms with `goal` aim at.

    Attributes:
        names: the entries of the goal.
        kind: ``fixed``: `low`. ``uniform``: drawn from [low, high], again every `every` steps. ``circle`` and
            ``figure_eight``: a periodic path around `low`, with the entries' amplitudes in `high`.
        low: lower ends, or the fixed goal, or the path's centre; one per name.
        high: upper ends, or the path's amplitudes: circle (cos, sin, -cos), figure eight (sin, sin of twice the angle, cos).
        every: steps between two draws; 0 draws once per episode.
        period_s: the path's period [s] is drawn from this range once per episode.
        random_phase: whether the path starts anywhere on its loop.
    """

    names: tuple[str, ...]
    kind: Literal["fixed", "uniform", "circle", "figure_eight"]
    low: tuple[float, ...]
    high: tuple[float, ...] = ()
    every: int = bounded(0, low=0)
    period_s: tuple[float, float] = bounded((5.0, 5.0), low=0.1)
    random_phase: bool = False

    def __post_init__(self) -> None:
        for key in ("low",) if self.kind == "fixed" else ("low", "high"):
            if len(getattr(self, key)) != len(self.names):
                raise ConfigError(
                    f"goal: '{key}' needs one number for each of {', '.join(self.names)}; got {len(getattr(self, key))}"
                )
        if self.kind == "uniform" and any(a > b for a, b in zip(self.low, self.high, strict=True)):
            raise ConfigError("goal: 'low' must not be above 'high'")
        if self.period_s[0] > self.period_s[1]:
            raise ConfigError(f"goal: 'period_s' {list(self.period_s)} must be [shortest, longest]")

    @property
    def is_path(self) -> bool:
        """Whether the goal's future is known, unlike that of a goal which jumps."""
        return self.kind in ("circle", "figure_eight")

    def sample(self, seed: int, steps: int, dt: float) -> NDArray[np.float32]:
        """The goal of each step of one episode, (steps, goal_dim); goal[t] is what next_obs after step t is scored against."""
        rng = np.random.default_rng([seed, _STREAM])
        low, high = np.array(self.low), np.array(self.high)
        if self.kind == "fixed":
            return np.tile(low, (steps, 1)).astype(np.float32)
        if self.kind == "uniform":
            hold = self.every or max(steps, 1)
            draws = rng.uniform(low, high, (math.ceil(steps / hold), len(low)))
            return np.repeat(draws, hold, axis=0)[:steps].astype(np.float32)
        period = rng.uniform(*self.period_s)
        phase = rng.uniform(0.0, 2 * math.pi) if self.random_phase else 0.0
        angle = 2 * math.pi * np.arange(1, steps + 1) * dt / period + phase
        if self.kind == "circle":
            shape = [np.cos(angle), np.sin(angle), -np.cos(angle)]
        else:
            shape = [np.sin(angle), np.sin(2 * angle), np.cos(angle)]
        rest = [np.zeros_like(angle)] * max(0, len(low) - 3)
        return (low + high * np.stack((shape + rest)[: len(low)], axis=1)).astype(np.float32)
