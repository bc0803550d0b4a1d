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
        names: names of the goal's entries.
        kind: what the goal does. ``fixed``: it is always `low`. ``uniform``: it is drawn from [low, high], and drawn again after
            every `every` steps. ``circle`` and ``figure_eight``: it moves on a periodic path around `low` with amplitudes `high`.
        low: the lower ends of the range, or the fixed goal, or the path's centre; one number per name.
        high: the upper ends of the range, or the amplitudes of the path's first three entries: those of a circle move as
            cos, sin and -cos of the angle, those of a figure eight as its sin, the sin of twice the angle, and its cos.
        every: number of steps between two draws; with 0 there is one draw per episode.
        period_s: range that the path's period [s] is drawn from, once per episode.
        random_phase: whether the path starts at a random point, and not always at the same one.
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
        """Whether the goal follows a path, so that its future is known; a goal that jumps has no known future."""
        return self.kind in ("circle", "figure_eight")

    def sample(self, seed: int, steps: int, dt: float) -> NDArray[np.float32]:
        """The goal of each step of one episode, (steps, goal_dim); the observation after step t is scored against goal[t]."""
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
