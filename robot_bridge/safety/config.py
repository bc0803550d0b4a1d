"""Configuration of the safety supervisor: the `safety` part of a bridge YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from adaptive_mbrl.config import bounded
from adaptive_mbrl.errors import ConfigError

LONGEST_AGE = 10.0
"""Largest age limit [s]; more is a mistaken unit."""


@dataclass(frozen=True)
class Range:
    """Closed interval in the channel's own unit."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(f"low {self.low:g} must be below high {self.high:g}")


@dataclass(frozen=True)
class Damper:
    """A safe action against a velocity: -gain * velocity."""

    velocity: str
    gain: float = bounded(low=0.0)


@dataclass(frozen=True)
class SafetyConfig:
    """Limits between planner and actuator.

    Attributes:
        rate_limits: fastest change of each action channel [its unit/s]; one entry for every channel.
        action_limits: tighter than the robot spec's, by action channel.
        obs_limits: position, velocity or effort limits, by observation channel; beyond them is a fault.
        margin: share of each of these ranges that is kept free at either end.
        max_age: oldest observation that may be acted on [s].
        max_age_of: the same for single observation channels [s].
        max_missed_deadlines: control periods in a row without a plan before it is a fault.
        max_model_error: one-step error that the alarm takes for too large [target stds]; 0 switches the alarm off.
        model_error_steps: steps in a row above it before it is a fault.
        ramp_seconds: soft start, from the safe action to the full plan [s].
        recovery_seconds: how long all faults must be gone before a held robot starts again [s].
        safe_action: `hold`: the command last sent; `zero`: zero, or the limit nearest to it; `damping`: see `dampers`, zero where
            the velocity is not known.
        dampers: for `damping`, by action channel; zero for a channel that is not named.
    """

    rate_limits: Mapping[str, float]
    action_limits: Mapping[str, Range] = field(default_factory=dict)
    obs_limits: Mapping[str, Range] = field(default_factory=dict)
    margin: float = bounded(0.0, low=0.0, high=0.4)
    max_age: float = bounded(0.1, low=1e-3, high=LONGEST_AGE)
    max_age_of: Mapping[str, float] = field(default_factory=dict)
    max_missed_deadlines: int = bounded(3, low=0)
    max_model_error: float = bounded(0.0, low=0.0)
    model_error_steps: int = bounded(10, low=1)
    ramp_seconds: float = bounded(2.0, low=0.0)
    recovery_seconds: float = bounded(1.0, low=0.0)
    safe_action: Literal["hold", "zero", "damping"] = "zero"
    dampers: Mapping[str, Damper] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in ("rate_limits", "max_age_of"):
            for name, value in getattr(self, key).items():
                if not value > 0:
                    raise ConfigError(f"key '{key}.{name}': {value:g} is out of range; allowed: above 0")
                if key == "max_age_of" and value > LONGEST_AGE:
                    raise ConfigError(f"key '{key}.{name}': {value:g} is out of range; allowed: at most {LONGEST_AGE:g}")
        if self.safe_action == "damping" and not self.dampers:
            raise ConfigError("key 'dampers': missing with safe_action 'damping'; allowed: {ACTION: {velocity: CHANNEL, gain: }}")

    def age_limit(self, channel: str) -> float:
        """Oldest value of an observation channel that may be acted on [s]."""
        return self.max_age_of.get(channel, self.max_age)
